"""Where the engine's things lie: all in one folder of the user's cache, so that nothing of the system is changed."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """`cache` outlives everything; `run` holds the socket and what says which processes run."""

    cache: Path
    run: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Places":
        caches = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        run = Path(tempfile.gettempdir(), f"plugmesh-containers-{os.getuid()}")  # short: a socket's path has 107 bytes
        return cls(caches.absolute() / "plugmesh-containers", run)

    @property
    def socket(self) -> Path:
        return self.run / "engine.sock"

    @property
    def commands(self) -> Path:
        """Docker's command, where the system has none."""
        return self.cache / "bin"

    @property
    def plugins(self) -> Path:
        """What the variable DOCKER_CONFIG names: Compose lies below it."""
        return self.cache / "docker"

    @property
    def settings(self) -> Path:
        """Settings of podman that hold for our engine only."""
        return self.cache / "containers.conf"

    @property
    def storage(self) -> Path:
        return self.cache / "storage.conf"

    @property
    def programs(self) -> Path:
        """Build contexts of the images that compose/ci.override.yml builds."""
        return self.cache / "programs"

    def log(self, name: str) -> Path:
        return self.cache / "logs" / f"{name}.log"
