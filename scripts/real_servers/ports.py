"""Ports of servers: remembered, so that a server that is started again is found where it was."""

import random
import socket
import time
from pathlib import Path

# Below the range that the system gives to outgoing connections: one of those cannot take a server's port while it is down.
LOWEST, HIGHEST = 20_000, 31_999
SOON_S = 2.0


def port_of(folder: Path, purpose: str) -> int:
    """The port for `purpose` of the server in `folder`: the one it had, unless somebody else listens there now."""
    file = folder / f"port.{purpose}"
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        port = 0
    if not (port and _comes_free(port)):
        port = _free_port(_taken(folder.parent))
        file.write_text(str(port))
    return port


def recorded_port(folder: Path, purpose: str) -> int:
    return int((folder / f"port.{purpose}").read_text())


def is_free(port: int) -> bool:
    with socket.socket() as tried:
        # As servers do: a port whose last connections are closing is free.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _comes_free(port: int) -> bool:
    """Whether it is free, or soon is: somebody else may be looking at it just now."""
    deadline = time.monotonic() + SOON_S
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _taken(state: Path) -> set[int]:
    """Ports of all servers of this state folder, also of those that are down."""
    return {int(text) for file in state.glob("*/port.*") if (text := file.read_text()).isdigit()}


def _free_port(taken: set[int]) -> int:
    order = random.SystemRandom().sample(range(LOWEST, HIGHEST + 1), HIGHEST + 1 - LOWEST)
    return next(port for port in order if port not in taken and is_free(port))
