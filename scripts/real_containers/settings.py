"""The settings of the podman that we start: they hold for our engine, and for no other podman of the machine."""

import resource
import shutil
import subprocess
from pathlib import Path

from scripts.real_containers.places import Places

MOST = 16_384

CONTAINERS = """[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
[engine]
{runtime}cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{networks}"
"""

STORAGE = """[storage]
driver = "{driver}"
graphroot = "{images}"
runroot = "/run/containers/plugmesh"
"""


def write_settings(places: Places) -> None:
    """Writes both files. Limits stay below what this process may have: more cannot be given without further rights."""
    text = CONTAINERS.format(
        files=_limit(resource.RLIMIT_NOFILE),
        processes=_limit(resource.RLIMIT_NPROC),
        networks=places.cache / "networks",
        runtime='runtime = "runc"\n' if shutil.which("runc") else "",  # which we install; another podman has its own
    )
    places.cache.mkdir(parents=True, exist_ok=True)
    places.settings.write_text(text)
    if not places.storage.exists():  # another driver would not find the images of the one before
        places.storage.write_text(_storage(places.cache))


def _limit(what: int) -> int:
    hard = resource.getrlimit(what)[1]
    return MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)


def _storage(cache: Path) -> str:
    """Layers are laid over each other by the kernel, unless the file system below is itself such a pile."""
    below = subprocess.run(["stat", "-f", "-c", "%T", str(cache)], capture_output=True, text=True, check=True).stdout
    images = cache / "images"
    if below.strip() != "overlayfs":
        return STORAGE.format(driver="overlay", images=images)
    fuse = shutil.which("fuse-overlayfs")
    if fuse is None or not Path("/dev/fuse").exists():
        return STORAGE.format(driver="vfs", images=images)
    return STORAGE.format(driver="overlay", images=images) + f'[storage.options.overlay]\nmount_program = "{fuse}"\n'
