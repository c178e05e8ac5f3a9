"""`python -m scripts.real_containers.checks SOCKET`: runs the health checks of podman's containers, until podman is gone.

Podman leaves that to systemd, which is not everywhere. As Docker does, it looks often at what is starting, and at what is
well as often as its image or its service says.
"""

import http.client
import json
import socket
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

LOOK_EVERY_S = 1.0
STARTING_S = 1.0
SIDE_BY_SIDE = 4
PATIENCE_S = 60
RUNNING = quote(json.dumps({"status": ["running"]}))
API = "/v4.0.0/libpod/containers"


class Connection(http.client.HTTPConnection):
    """HTTP over podman's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("podman", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


@dataclass
class Check:
    """When a container is looked at next; `every_s` is None for one without a check."""

    every_s: float | None
    due: float = 0.0
    busy: bool = False
    well: bool = field(default=False)

    def after(self, now: float) -> None:
        """It was looked at."""
        self.busy = False
        every = self.every_s or 0.0
        self.due = now + (every if self.well else min(every, STARTING_S))


class Checks:
    """What is known of all containers that run."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[str, Check] = {}
        self._threads = ThreadPoolExecutor(SIDE_BY_SIDE)

    def look(self) -> None:
        """Begins the checks that are due. Raises OSError when podman does not answer."""
        running = {one["Id"] for one in self._ask(f"{API}/json?filters={RUNNING}") or ()}
        for gone in self._known.keys() - running:
            del self._known[gone]
        for container in running:
            check = self._known.get(container) or self._meet(container)
            if check.every_s is not None and not check.busy and time.monotonic() >= check.due:
                check.busy = True
                self._threads.submit(self._run, container, check)

    def _meet(self, container: str) -> Check:
        wanted = (self._ask(f"{API}/{container}/json").get("Config") or {}).get("Healthcheck") or {}
        has = (wanted.get("Test") or ["NONE"])[0] != "NONE"
        self._known[container] = Check((wanted.get("Interval") or 30e9) / 1e9 if has else None)
        return self._known[container]

    def _run(self, container: str, check: Check) -> None:
        with suppress(OSError, http.client.HTTPException, ValueError, KeyError):  # it has ended meanwhile
            check.well = (self._ask(f"{API}/{container}/healthcheck") or {}).get("Status") == "healthy"
        check.after(time.monotonic())

    def _ask(self, path: str) -> Any:
        connection = Connection(self._path)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read() or b"null")
        finally:
            connection.close()


def main(arguments: Iterable[str]) -> None:
    (path,) = arguments
    checks = Checks(path)
    while Path(path).exists():
        with suppress(OSError, http.client.HTTPException, ValueError, KeyError):
            checks.look()
        time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    main(sys.argv[1:])
