"""Makes an engine ready: podman from the system's packages, Docker's command and Compose from a newer Debian."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.real_containers.places import Places
from scripts.real_servers.debian import apt_install
from scripts.real_servers.folders import Folders, locked
from scripts.real_servers.problem import Problem
from scripts.real_servers.tool import need, run

ENGINE = ("podman", "runc", "netavark", "aardvark-dns", "iptables", "catatonit", "mmdebstrap")
# Compose 2 is not in Debian 12; its programs need no library that Debian 12 has not.
NEWER = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT = """Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
APT::Sandbox::User "root";
"""


def install_engine(places: Places) -> None:
    """Installs what is missing. Raises Problem where that takes rights or a system that we do not have."""
    with locked(places.cache / "install.lock"):
        if shutil.which("podman") is None:
            missing = [package for package in ENGINE if not _installed(package)]
            # Where `scripts/servers install` keeps its own: both use apt, one after the other.
            apt_install(*missing, log=Folders.of(os.environ).cache / "logs" / "podman.log")
        install_commands(places)


def install_commands(places: Places) -> None:
    """Docker's command and its plugin Compose, unpacked into our folder where the system has none."""
    docker = shutil.which("docker", path=search_path(places))
    packages = {} if docker else {"docker-cli": ("usr/bin/docker", places.commands / "docker")}
    if not docker or not has_compose(docker, places):
        plugin = places.plugins / "cli-plugins" / "docker-compose"
        packages["docker-compose"] = ("usr/libexec/docker/cli-plugins/docker-compose", plugin)
    if packages:
        with tempfile.TemporaryDirectory(prefix="plugmesh-apt-") as folder:
            _unpack(Path(folder), packages, places.log("commands"))


def has_compose(docker: str, places: Places) -> bool:
    """Whether `docker compose` is there, in our folder or anywhere else."""
    for environ in (os.environ, {**os.environ, "DOCKER_CONFIG": str(places.plugins)}):
        if (
            subprocess.run([docker, "compose", "version"], capture_output=True, env=environ, check=False).returncode
            == 0
        ):
            return True
    return False


def search_path(places: Places) -> str:
    """The system's commands before ours, and those of administrators, which podman needs."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(places.commands), "/usr/sbin", "/sbin"])


def archive() -> str:
    """The Debian archive that this machine's apt uses. Raises Problem where there is none."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    debian = next((uri for uri in found if uri.rstrip("/").endswith("/debian")), None)
    if debian is None:
        raise Problem(
            "apt knows no archive of Debian: install Docker with Compose 2, or podman and Docker's command, by other means"
        )
    return debian


def _installed(package: str) -> bool:
    asked = ["dpkg-query", "-W", "-f", "${Status}", package]
    return "install ok installed" in subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def _unpack(folder: Path, packages: dict[str, tuple[str, Path]], log: Path) -> None:
    """Through apt, which checks signatures, with lists of its own: the system's packages stay as they are."""
    need("dpkg-deb", "packages of Debian are unpacked with it")
    for name in ("lists/partial", "cache/archives/partial", "files"):
        (folder / name).mkdir(parents=True)
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (folder / "sources.list").write_text(f"deb {signed}{archive()} {NEWER} main\n")
    (folder / "apt.conf").write_text(APT.format(folder=folder))
    own = {"APT_CONFIG": str(folder / "apt.conf")}
    _run([["apt-get", "update", "-q"], ["apt-get", "download", "-q", *packages]], folder, own, log)
    for package, (inside, target) in packages.items():
        (file,) = folder.glob(f"{package}_*.deb")
        _run([["dpkg-deb", "-x", str(file), str(folder / "files")]], folder, own, log)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "files" / inside, target)


def _run(commands: Sequence[Sequence[str]], folder: Path, environ: dict[str, str], log: Path) -> None:
    for command in commands:
        run(command, log=log, folder=folder, environ=environ)
