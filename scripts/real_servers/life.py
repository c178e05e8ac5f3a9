"""Installing, starting, looking at and stopping one server. Safe to be called by several processes at once."""

import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.real_servers import golang
from scripts.real_servers.folders import locked
from scripts.real_servers.problem import Problem
from scripts.real_servers.process import LOOK_EVERY_S, Process, memory_mib, spawn
from scripts.real_servers.server import Server
from scripts.real_servers.tool import tail

READY_WITHIN_S = 90.0
ENDED_WITHIN_S = 15.0


@dataclass(frozen=True)
class Status:
    """What `status` tells of a server; `urls` maps environment variables to what tests read from them."""

    name: str
    installed: bool
    running: bool
    ready: bool
    pid: int | None
    memory_mib: int
    urls: dict[str, str]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def install(server: Server) -> None:
    """Makes sure that it is there; waits for another process that is installing it."""
    if server.installed():
        return
    with locked(server.folders.cache / "locks" / server.name):
        if not server.installed():
            begun = time.monotonic()
            _say(f"{server.name}: installing")
            server.install()
            _say(f"{server.name}: installed in {time.monotonic() - begun:.0f} s")
    golang.clear(server.folders)


def start(server: Server) -> None:
    """Starts it and waits until it answers; installs it first where it is missing. Returns at once if it runs.

    Its data are what it had when it ended. Raises Problem with the last lines of its log when it ends instead, or does
    not answer in time.
    """
    install(server)
    launch(server)


def launch(server: Server) -> None:
    """`start` of a server that is installed."""
    with locked(server.folders.state / "locks" / server.name):
        process = running(server)
        if process is None:
            ports = server.choose_ports()
            server.prepare(ports)
            process = spawn(server.command(ports), server.environ(), _log(server))
            process.write(_record(server))
        _wait_until_ready(server, process)


def stop(server: Server, *, wipe: bool = False) -> bool:
    """Ends it if this state folder has started it; False if it was not running. `wipe` removes its data too."""
    with locked(server.folders.state / "locks" / server.name):
        process = running(server)
        if process is not None and not process.end(server.stop_by, ENDED_WITHIN_S):
            _say(f"{server.name}: it did not end within {ENDED_WITHIN_S:.0f} s and was killed")
        _record(server).unlink(missing_ok=True)
        if wipe:
            shutil.rmtree(server.folder)
    return process is not None


def status(server: Server) -> Status:
    process = running(server)
    return Status(
        name=server.name,
        installed=server.installed(),
        running=process is not None,
        ready=process is not None and server.ready(),
        pid=process.pid if process else None,
        memory_mib=memory_mib(process) if process else 0,
        urls=dict(server.urls()) if process else {},
    )


def running(server: Server) -> Process | None:
    """Its process; None if it was never started here, or has ended, even if its id is in use again."""
    process = Process.read(_record(server))
    return process if process is not None and process.alive() else None


def _wait_until_ready(server: Server, process: Process) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while not server.ready():
        if not process.alive():
            raise Problem(f"{server.name} ended while it was starting. {_log(server)} ends so:\n{tail(_log(server))}")
        if time.monotonic() > end:
            raise Problem(
                f"{server.name} (process {process.pid}) does not answer after {READY_WITHIN_S:.0f} s. "
                f"{_log(server)} ends so:\n{tail(_log(server))}"
            )
        time.sleep(LOOK_EVERY_S)


def _record(server: Server) -> Path:
    return server.folder / "process"


def _log(server: Server) -> Path:
    return server.folder / "log"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")  # in one piece: several servers speak at once
