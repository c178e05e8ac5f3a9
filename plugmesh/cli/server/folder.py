"""A folder whose module files are plugged in: a new file within a second, a changed one without a gap."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from watchfiles import awatch

from plugmesh.cli.server.service import Service
from plugmesh.runtime import Runtime

STEP_MS = 50
"""Changes that follow each other more quickly than this are looked at together."""
DEBOUNCE_MS = 400
AWAY_S = 1.0
_DECLARES = re.compile(r"^\s*(from|import)\s+module_sdk\b", re.MULTILINE)


class ModulesFolder:
    """Looks after one service a file. `wanted(service, file, source)` says what a service is to run."""

    def __init__(
        self,
        folder: Path,
        open_service: Callable[[str], Service],
        wanted: Callable[[Service, Path, str], None],
        runtime: Runtime,
    ) -> None:
        self._folder = folder
        self._runtime = runtime
        self._open_service = open_service
        self._wanted = wanted
        self._services: dict[str, Service] = {}

    def look(self) -> None:
        """Compare the folder with what is served."""
        files = module_files(self._folder)
        for file, source in files.items():
            name = service_name(file)
            if name not in self._services:
                self._services[name] = self._open_service(name)
            self._wanted(self._services[name], file, source)
        names = {service_name(file) for file in files}
        for name, service in self._services.items():
            if name not in names:
                service.want(None)

    async def watch(self, stop: asyncio.Event) -> None:
        """Look again at each change, until `stop`. A folder that is taken away may come back."""
        while not stop.is_set():
            if self._folder.is_dir():
                await self._watch(stop)
            else:
                await self._runtime.sleep(AWAY_S)
            if not stop.is_set():
                self.look()

    async def _watch(self, stop: asyncio.Event) -> None:
        async for _ in awatch(
            self._folder,
            stop_event=stop,
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            recursive=False,
            ignore_permission_denied=True,
        ):
            self.look()
            if not self._folder.is_dir():
                return


def module_files(folder: Path) -> dict[Path, str]:
    """The files that declare modules, with a digest of each: `*.py` that import `module_sdk`.

    Names with `_` or `.` in front are for the author's own use, and `test_*.py` are tests.
    """
    found = {}
    for file in sorted(folder.glob("*.py")):
        if file.name.startswith(("_", ".", "test_")):
            continue
        try:
            content = file.read_bytes()
        except OSError:  # it went away, or may not be read
            continue
        if _DECLARES.search(content.decode(errors="replace")):
            found[file.resolve()] = hashlib.sha256(content).hexdigest()
    return found


def service_name(file: Path) -> str:
    """The name of a file's service: the same for the next server, another one for a file of another folder."""
    return f"{file.stem}-{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
