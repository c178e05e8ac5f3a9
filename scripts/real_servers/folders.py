"""Where things are: a cache that outlives everything, and a state folder that may be thrown away."""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STATE_VARIABLE = "PLUGMESH_TEST_SERVERS_STATE"
START_VARIABLE = "PLUGMESH_TEST_SERVERS_START"
"""Set by `scripts/servers run`: whoever needs a server starts it."""


@dataclass(frozen=True)
class Folders:
    """`cache` holds what was downloaded and built; `state` the data, logs, ports and process records of servers."""

    cache: Path
    state: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Folders":
        caches = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        state = environ.get(STATE_VARIABLE) or Path(tempfile.gettempdir(), f"plugmesh-servers-{os.getuid()}")
        return cls(caches.absolute() / "plugmesh-servers", Path(state).absolute())

    @property
    def programs(self) -> Path:
        return self.cache / "bin"

    @property
    def building(self) -> Path:
        """What Go downloads and compiles on the way: several GB, removed when no build is left."""
        return self.cache / "building"

    def of_server(self, name: str) -> Path:
        folder = self.state / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Waits until no other process holds the lock `path`; servers started meanwhile do not inherit it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Whether the lock was free; where it was, it is held until the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
