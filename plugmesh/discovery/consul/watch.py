"""Watching Consul: two blocking queries, each on a thread of its own, and a roster of what they found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from plugmesh.discovery.consul.address import ConsulPlace
from plugmesh.discovery.consul.client import in_our_words, open_client
from plugmesh.discovery.consul.entry import SERVICE, folder, mesh_tag, statuses
from plugmesh.discovery.consul.figures import ConsulCalls
from plugmesh.discovery.consul.roster import News, Roster
from plugmesh.discovery.port import Entry
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime

WAIT_S = 5.0
"""How long Consul may hold a query back: an answer that takes much longer was lost on a dead connection."""
ANSWER_S = 3.0
PAUSE_S = 0.25
"""After an answer, so that many changes at once make one answer."""
RETRY_S = 1.0
TICK_S = 2.0
_log = logging.getLogger(__name__)


class ConsulWatch:
    """A watch whose last known list stays while Consul is away."""

    def __init__(
        self, place: ConsulPlace, runtime: Runtime, deliver: Callable[[str, Entry | None], None], calls: ConsulCalls
    ) -> None:
        self._place, self._calls = place, calls
        self._runtime = runtime
        self._deliver = deliver
        self._roster = Roster(place.mesh)
        self._closed = False
        self._tasks = [
            runtime.spawn(self._follow(_Services(place), self._roster.services), "consul services"),
            runtime.spawn(self._follow(_Documents(place), self._roster.documents), "consul documents"),
            runtime.spawn(self._pass_time(), "consul watch"),
        ]

    def close(self) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()

    async def _follow(self, query: _Query, note: Callable[..., list[News]]) -> None:
        thread, failed = _Thread(self._runtime), False
        index, after_break = 0, True
        try:
            while True:
                try:
                    newer, found = await self._calls.counted(query.name, thread.ask(query.ask, index))
                except Exception as error:  # noqa: BLE001  whatever it was, a watch goes on
                    self._missed(error, again=failed)
                    index, after_break, failed = 0, True, True
                    await self._runtime.sleep(RETRY_S)
                    continue
                if failed:
                    _log.info("%s answers again", self._place)
                back = newer < index  # a Consul that was started anew, or went back to a snapshot
                self._tell(note(found, self._runtime.now(), after_break=after_break or back))
                index, after_break, failed = 0 if back else newer, back, False
                await self._runtime.sleep(PAUSE_S)
        finally:
            thread.end()

    def _missed(self, error: Exception, *, again: bool) -> None:
        level = logging.DEBUG if again else logging.WARNING
        unforeseen = None if isinstance(error, PlugmeshError) else error
        _log.log(level, "%s; the last known list stays", error, exc_info=unforeseen)

    async def _pass_time(self) -> None:
        while True:
            await self._runtime.sleep(TICK_S)
            self._tell(self._roster.time(self._runtime.now()))

    def _tell(self, news: list[News]) -> None:
        for instance, entry in news:
            if self._closed:
                return
            try:
                self._deliver(instance, entry)
            except Exception:  # noqa: BLE001  one bad listener must not end the watch
                _log.exception("a watcher of Consul failed at %s", instance)


class _Query:
    """One list of Consul. `ask` blocks until it is newer than `index`, or for `WAIT_S`; it raises `PlugmeshError`."""

    name: str

    def __init__(self, place: ConsulPlace) -> None:
        self._place = place
        self._client: Any = open_client(place, ANSWER_S)

    def ask(self, index: int) -> tuple[int, Any]:
        """The list's index, and the list; 0 asks for the list as it is."""
        with in_our_words(self._place):
            found_index, found = self._list(str(index) if index else None, f"{WAIT_S:g}s")
        return int(found_index), found

    def _list(self, index: str | None, wait: str) -> tuple[str, Any]:
        raise NotImplementedError


class _Services(_Query):
    name = "services"

    def _list(self, index: str | None, wait: str) -> tuple[str, Any]:
        found_index, rows = self._client.health.service(SERVICE, index=index, wait=wait, tag=mesh_tag(self._place.mesh))
        return found_index, statuses(rows)


class _Documents(_Query):
    name = "documents"

    def _list(self, index: str | None, wait: str) -> tuple[str, Any]:
        found_index, items = self._client.kv.get(folder(self._place.mesh), recurse=True, index=index, wait=wait)
        return found_index, items or ()


class _Thread:
    """A worker that can be left while it waits for Consul: it ends when its answer is there."""

    def __init__(self, runtime: Runtime) -> None:
        self._worker = runtime.worker("consul watch")
        self._asked: asyncio.Future[Any] | None = None

    async def ask(self, function: Callable[[int], tuple[int, Any]], index: int) -> tuple[int, Any]:
        self._asked = self._worker.begin(function, index)
        return await asyncio.shield(self._asked)

    def end(self) -> None:
        if self._asked is None or self._asked.done():
            self._worker.close()
        else:
            self._asked.add_done_callback(self._last)

    def _last(self, asked: asyncio.Future[Any]) -> None:
        if not asked.cancelled():
            asked.exception()  # nobody waits for it any more
        self._worker.close()
