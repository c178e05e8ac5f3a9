"""What is written down about the processes that the server started, so that the next server finds them again."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from plugmesh.cli.server.process import ProcessId, find_marked
from plugmesh.contracts.base import Contract, Versioned
from plugmesh.errors import PlugmeshError

MARK = "PLUGMESH_CHILD"
"""Environment variable with the launch that a process belongs to."""


class Spec(Contract):
    """What a process was started from. A process of another spec is replaced.

    `url` is the mesh that it joins, `version` the Plugmesh that it runs, `source` a digest of the author's code,
    `environment` what it is told besides, `withheld` the names of variables that it does not inherit.
    """

    command: tuple[str, ...]
    url: str
    version: str
    source: str = ""
    environment: dict[str, str] = {}
    withheld: tuple[str, ...] = ()


class Kept(Contract):
    """One process. It is written down as pid 0 before it is started: whoever finds that looks for its mark."""

    launch: str
    spec: Spec
    pid: int = 0
    started: int = 0
    boot: str = ""
    leaving: bool = False

    def process(self) -> ProcessId | None:
        """The process, if it still runs."""
        if self.pid:
            process = ProcessId(self.pid, self.started, self.boot)
            return process if process.alive else None
        marked = (ProcessId.of(pid) for pid in find_marked(MARK, self.launch))
        return next((process for process in marked if process is not None), None)

    def running(self, process: ProcessId) -> Kept:
        """The same, now that it has been started."""
        return self.model_copy(update={"pid": process.pid, "started": process.started, "boot": process.boot})


class _Page(Versioned):
    processes: tuple[Kept, ...] = ()


class Record:
    """A JSON file with the processes of one service."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Kept, ...]:
        """What is written there; nothing if it cannot be read."""
        try:
            return _Page.model_validate_json(self._path.read_bytes()).processes
        except (OSError, ValidationError, PlugmeshError):
            return ()

    def write(self, processes: tuple[Kept, ...]) -> None:
        """Replace it at once; without processes the file goes."""
        if not processes:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_bytes(_Page(processes=processes).encode())
        os.replace(fresh, self._path)
