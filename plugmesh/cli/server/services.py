"""The processes that a server starts: the built-in modules, and one for each file of the watched folders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from gateway.unplugged import Unplugged
from plugmesh import __version__
from plugmesh.cli.server.children import builtins_command, builtins_source, file_command
from plugmesh.cli.server.folder import ModulesFolder
from plugmesh.cli.server.record import Spec
from plugmesh.cli.server.service import Service
from plugmesh.runtime import Runtime

BUILTINS = "builtins"
_WHEN_SAVED = "correct the file (another contract needs another version): it is tried again when it is saved"
_BY_ITSELF = "it is tried again by itself; if that does not help, see what its process said, and the machine's memory"
_log = logging.getLogger(__name__)


class Services:
    """All services of one server; their records and logs lie in `folder`. `told` are variables for all of them,
    `environment` those for the built-in modules besides, `withheld` the names of those that none of them inherits."""

    def __init__(
        self,
        folder: Path,
        *,
        url: str,
        slots: int,
        runtime: Runtime,
        has_joined: Callable[[int], bool],
        say: Callable[[str], None],
        drain_s: float,
        token_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        told: Mapping[str, str] | None = None,
        withheld: Collection[str] = (),
    ) -> None:
        self._told = dict(told or {})
        self._withheld = tuple(sorted(withheld))
        self._environment = {**self._told, **(environment or {})}
        self._token_file = token_file
        self._folder = folder
        self._url = url
        self._slots = slots
        self._runtime = runtime
        self._has_joined = has_joined
        self._say = say
        self._drain_s = drain_s
        self._running: dict[Service, asyncio.Task[None]] = {}
        self._files: dict[Service, Path] = {}
        self._watching: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()

    def start(self, folders: Sequence[Path], *, builtins: bool) -> None:
        """Find what the server before left, start what is missing, end what is not wanted any more."""
        service = self._open(self._folder, BUILTINS, retry=True)
        if builtins:
            spec = self._spec(builtins_command(self._slots, self._drain_s, self._token_file), builtins_source())
            service.want(spec.model_copy(update={"environment": self._environment}), "the built-in modules")
        for place in folders:
            watched = ModulesFolder(place, self._open_file, self._want_file, self._runtime)
            watched.look()
            self._watching.append(self._runtime.spawn(watched.watch(self._stop), f"watch {place}"))
        known = {service.name for service in self._running}
        for record in (self._folder / "modules").glob("*.json"):
            if record.stem not in known:
                self._open_file(record.stem)

    def wake(self) -> None:
        """Somebody joined or left."""
        for service in self._running:
            service.wake()

    @property
    def settled(self) -> bool:
        """Everything that can be served is."""
        return all(service.settled for service in self._running)

    def unplugged(self) -> list[Unplugged]:
        """The files of the watched folders that could not be plugged in, by their paths."""
        found = []
        for service, file in sorted(self._files.items(), key=lambda one: one[1]):
            trouble = service.trouble
            if trouble is not None:
                todo = _WHEN_SAVED if trouble.is_final else _BY_ITSELF
                found.append(Unplugged(str(file), trouble.words, todo))
        return found

    async def stop(self) -> None:
        """Let all processes finish what they do, and end them. A second call does not wait any longer."""
        if self._stop.is_set():
            for service in self._running:
                service.kill()
            return
        self._stop.set()
        for service in self._running:
            service.stop()
        await self._end_watching()
        for ended in await asyncio.gather(*self._running.values(), return_exceptions=True):
            if isinstance(ended, Exception):
                _log.error("a service could not be stopped in order", exc_info=ended)

    async def abandon(self) -> None:
        """Leave the processes to the next server; without one they end by themselves."""
        await self._end_watching()
        for service, task in self._running.items():
            service.abandon()
            task.cancel()

    async def _end_watching(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._watching, return_exceptions=True)

    def _open(self, folder: Path, name: str, *, retry: bool) -> Service:
        service = Service(
            name,
            folder,
            runtime=self._runtime,
            has_joined=self._has_joined,
            say=self._say,
            drain_s=self._drain_s,
            retry=retry,
        )
        self._running[service] = self._runtime.spawn(service.run(), f"service {name}")
        return service

    def _open_file(self, name: str) -> Service:
        return self._open(self._folder / "modules", name, retry=False)

    def _want_file(self, service: Service, file: Path, source: str) -> None:
        self._files[service] = file
        service.want(self._spec(file_command(file, self._slots, self._drain_s, self._token_file), source), file.name)

    def _spec(self, command: tuple[str, ...], source: str = "") -> Spec:
        return Spec(
            command=command,
            url=self._url,
            version=__version__,
            source=source,
            environment=self._told,
            withheld=self._withheld,
        )
