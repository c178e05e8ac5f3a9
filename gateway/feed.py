"""The feed: one stream of everything that a user interface shows: runs, modules, instances, notifications, and what
the sweeper did.

It listens while it has clients, and a minute longer, so that a client whose connection broke goes on where it was.
A client has no queue of its own, only a place in the backlog: what a slow one missed is told as one change a thing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pydantic_core import from_json, to_json

from gateway.backlog import STEPS_LISTED, Backlog, Entry
from gateway.catalogue import Modules
from gateway.instances import instance_document
from plugmesh.bus.port import Bus, Delivery, Subscription
from plugmesh.contracts.messages import EVENTS, NEWS, News
from plugmesh.contracts.run import SHARDS
from plugmesh.discovery.port import Watch
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from registry.registry import MemberChange, Registry

TOPICS = ("run", "module", "instance", "notification", "data")
LINGER_S = 60.0
"""Changes are remembered so long after the last client left."""
PAUSE_S = 0.05
"""Time between two batches to one client: a busy mesh makes thousands of changes a second, nobody looks that often."""
_log = logging.getLogger("plugmesh.gateway")


class Feed:
    """One gateway's feed. `tell` is for parts of its own process, whose changes do not travel on the bus."""

    def __init__(self, runtime: Runtime, bus: Bus, registry: Registry, modules: Modules) -> None:
        self._runtime, self._bus = runtime, bus
        self._registry, self._modules = registry, modules
        self._boot = runtime.new_id("feed")
        self._backlog = Backlog()
        self._listening: tuple[Subscription, Subscription, Watch] | None = None
        self._awake: set[asyncio.Event] = set()
        self._left_at = 0.0
        self._closed = False
        self.resyncs = 0
        """How often a client had to read everything anew, for metrics."""

    def __len__(self) -> int:
        """The clients that are connected."""
        return len(self._awake)

    @property
    def backlog(self) -> int:
        """The changes that are remembered."""
        return len(self._backlog)

    def tell(self, topic: str, key: str, document: dict[str, Any]) -> None:
        """Something has changed; nothing happens while nobody listens."""
        if self._listening is None:
            return
        self._backlog.add(topic, key, document)
        for awake in self._awake:
            awake.set()
        if not self._awake and self._runtime.now() - self._left_at > LINGER_S:
            self._stop()

    def close(self) -> None:
        """Let every client go."""
        self._closed = True
        self._stop()
        for awake in self._awake:
            awake.set()

    async def stream(
        self, topics: Collection[str], last: str | None, silent_s: Callable[[], float]
    ) -> AsyncIterator[bytes]:
        """Frames for one client that saw everything up to `last`, an id of this feed.

        The first frame is `resync` (read everything that you show) unless all that came after `last` is still here; a
        comment is sent after `silent_s()` seconds without a change.
        """
        with self._client() as awake:
            place = self._place(last)
            while not self._closed:
                if place is None or not self._backlog.has_all_after(place):
                    place = self._backlog.newest
                    self.resyncs += 1
                    yield _frame("resync", {"topics": [*topics]}, self._id(place))
                    continue  # a slow client may be too far behind again
                awake.clear()
                found = self._backlog.after(place, topics)
                place = self._backlog.newest
                if found:
                    yield _batch(found, self._id(place))
                    await self._runtime.sleep(PAUSE_S)
                elif not await _set_within(awake, silent_s()):
                    yield b": nothing new\nid: %s\n\n" % self._id(place)

    @contextmanager
    def _client(self) -> Iterator[asyncio.Event]:
        awake = asyncio.Event()
        self._awake.add(awake)
        self._listen()
        try:
            yield awake
        finally:
            self._awake.discard(awake)
            self._left_at = self._runtime.now()

    def _place(self, last: str | None) -> int | None:
        boot, _, number = (last or "").rpartition(":")
        known = boot == self._boot and number.isascii() and number.isdecimal() and len(number) < 19
        return int(number) if known else None

    def _id(self, number: int) -> bytes:
        return f"{self._boot}:{number}".encode()

    # -- listening ---------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._listening is None and not self._closed:
            events = self._bus.subscribe(EVENTS, range(SHARDS), self._deliver)
            news = self._bus.subscribe(EVENTS, [NEWS], self._deliver_news)
            self._listening = (events, news, self._registry.watch(self._member_changed))

    def _stop(self) -> None:
        if self._listening is not None:
            for source in self._listening:
                source.close()
            self._listening = None
            self._backlog.forget()

    def _deliver(self, delivery: Delivery) -> None:
        for payload in delivery.messages:
            try:
                changed = from_json(payload)
                self.tell("run", changed["run"], _run_document(changed))
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("the feed dropped an event that cannot be read: %s", error)
        delivery.ack()

    def _deliver_news(self, delivery: Delivery) -> None:
        for payload in delivery.messages:
            try:
                news = News.model_validate_json(payload)
                self.tell(news.topic, news.key, news.document)
            except (ValueError, PlugmeshError) as error:
                _log.warning("the feed dropped news that cannot be read: %s", error)
        delivery.ack()

    def _member_changed(self, change: MemberChange) -> None:
        if change.instance is not None:
            gone = {"id": change.instance, "gone": True}
            document = gone if change.after is None else {**instance_document(change.after), "gone": False}
            self.tell("instance", change.instance, document)
        for name in sorted(change.modules_changed):
            self.tell("module", name, self._modules.document(name))


def _batch(entries: Sequence[Entry], last: bytes) -> bytes:
    """Frames of which only the last one has an id: who was cut off in between gets the whole batch again."""
    frames = [_frame(entry.topic, entry.document) for entry in entries[:-1]]
    return b"".join([*frames, _frame(entries[-1].topic, entries[-1].document, last)])


def _frame(event: str, document: dict[str, Any], number: bytes = b"") -> bytes:
    head = b"id: %s\n" % number if number else b""
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), to_json(document, inf_nan_mode="null"))


def _run_document(changed: dict[str, Any]) -> dict[str, Any]:
    """A run's change for people: its state, and by step the new state or progress; `steps` is null for too many."""
    changes = changed.get("changes", [])
    steps: dict[str, dict[str, Any]] = {}
    for change in changes:
        if "step" in change and change.get("change") in {"step", "progress"}:
            told = {key: change[key] for key in ("state", "progress", "reason") if key in change}
            steps[change["step"]] = {**steps.get(change["step"], {}), **told}
    # A change that is too large for a message travels without its content.
    listed = steps if changes and len(steps) <= STEPS_LISTED else None
    return {
        "run": changed["run"],
        "seq": changed["seq"],
        "state": changed["state"],
        "at": changed["at"],
        "steps": listed,
    }


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False
