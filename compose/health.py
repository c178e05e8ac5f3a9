"""Is this container well? A server is when it answers; modules are when they are connected to their mesh.

Python's standard library only, and little of it: this runs every ten seconds in every container.
"""

import os
import socket
import sys
from pathlib import Path

PATIENCE_S = 4.0
ESTABLISHED = "01"
LOOPBACK = ("0100007F", "00000000000000000000000001000000")


def main() -> int:
    """0: it is well."""
    port = os.environ.get("MESH_HEALTH_PORT", "8720" if _is_server() else "")
    return 0 if (_answers(int(port)) if port else _connected()) else 1


def _is_server() -> bool:
    """Whether the container's command is one that listens, by the command line of its first processes."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if b"plugmesh.cli.server" in words:
            return True
    return False


def _answers(port: int) -> bool:
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
            connection.sendall(request)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _connected() -> bool:
    """Whether any connection leads out of the container."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in _lines(Path("/proc/net", name))]
    return any(line[3] == ESTABLISHED and line[2].partition(":")[0] not in LOOPBACK for line in lines)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()[1:]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
