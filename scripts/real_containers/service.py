"""Podman's service, which answers as Docker would, and who runs health checks beside it; from `start` to `stop`."""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from scripts.real_containers.engine import our_environment, status
from scripts.real_containers.install import search_path
from scripts.real_containers.places import Places
from scripts.real_containers.settings import write_settings
from scripts.real_servers.folders import locked
from scripts.real_servers.problem import Problem
from scripts.real_servers.process import LOOK_EVERY_S, Process, spawn
from scripts.real_servers.tool import tail

READY_WITHIN_S = 30.0
ENDED_WITHIN_S = 15.0
SERVICE, CHECKS = "service", "checks"
SYSTEMD = Path("/run/systemd/system")
# What podman puts all containers below, and the file with its part of the processors, for both kinds of control groups.
SHARES = {
    Path("/sys/fs/cgroup/cpu/libpod_parent/cpu.shares"): "16384",
    Path("/sys/fs/cgroup/libpod_parent/cpu.weight"): "1600",
}


def start(places: Places) -> None:
    """Starts what is not running and waits until it answers. Raises Problem with its last words when it does not."""
    podman = shutil.which("podman", path=search_path(places))
    if podman is None:
        raise Problem("There is no podman: scripts/containers install")
    places.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(places.run / "lock"):
        if _running(places, SERVICE) is None:
            write_settings(places)  # each time: the limits of this process may be others than those of the last one
            environ = our_environment(places)
            if not SYSTEMD.exists():
                environ["DISABLE_HC_SYSTEMD"] = "true"
            places.socket.unlink(missing_ok=True)
            service = [podman, "system", "service", "--time=0", f"unix://{places.socket}"]
            _spawn(places, SERVICE, service, environ)
        _wait(places)
        _give_processors()
        if not SYSTEMD.exists() and _running(places, CHECKS) is None:
            checks = [sys.executable, "-m", "scripts.real_containers.checks", str(places.socket)]
            _spawn(places, CHECKS, checks, {})


def stop(places: Places) -> bool:
    """Ends what `start` has started; False if nothing ran. Containers go on without it."""
    ended = False
    for name in (CHECKS, SERVICE):
        process = _running(places, name)
        if process is not None:
            ended = True
            process.end(signal.SIGTERM, ENDED_WITHIN_S)
        (places.run / name).unlink(missing_ok=True)
    places.socket.unlink(missing_ok=True)
    return ended


def _running(places: Places, name: str) -> Process | None:
    process = Process.read(places.run / name)
    return process if process is not None and process.alive() else None


def _spawn(places: Places, name: str, command: list[str], environ: dict[str, str]) -> None:
    places.log(name).parent.mkdir(parents=True, exist_ok=True)
    spawn(command, {**os.environ, **environ}, places.log(name)).write(places.run / name)


def _give_processors() -> None:
    """As much as sixteen processes get: without, all containers together get what a single process beside them does."""
    for file, shares in SHARES.items():
        if (file.parent.parent / "cgroup.procs").exists():
            with suppress(OSError):  # not the kind of this machine, or not ours to change
                file.parent.mkdir(exist_ok=True)
                file.write_text(shares)


def _wait(places: Places) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while not status(places).ready:
        if _running(places, SERVICE) is None or time.monotonic() > end:
            raise Problem(
                f"podman's service does not answer. {places.log(SERVICE)} ends so:\n{tail(places.log(SERVICE))}"
            )
        time.sleep(LOOK_EVERY_S)
