"""A run's changes as server-sent events: first what SQL has behind the last one seen, then live, until the run ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic_core import from_json, to_json

from gateway.views import find
from gateway.waiting import ENDED, Waiting, Watcher
from plugmesh.errors import NotFound
from plugmesh.settings.settings import Settings
from plugmesh.state.reads import Reader
from plugmesh.state.records import EventRow, StoredRun
from plugmesh.state.store import State

PAGE = 200
KEEPALIVE = b": nothing new\n\n"


@dataclass(frozen=True, slots=True)
class Page:
    """Event rows behind a number, and the run as it was then (read first, so that it is never ahead of them)."""

    run: StoredRun
    rows: list[EventRow]


def read_page(reader: Reader, run: str, after: int) -> Page:
    """One page of a run's events. Raises `NotFound`."""
    stored = find(reader, run)
    return Page(stored, reader.events(stored, after=after, limit=PAGE))


def is_over(page: Page, after: int) -> bool:
    """Whether everything was sent, and nothing will come."""
    return page.run.state in ENDED and after >= page.run.seq


async def stream(state: State, waiting: Waiting, settings: Settings, run: str, after: int) -> AsyncIterator[bytes]:
    """Frames `change` (id: the event row's number; data: `run`, `seq`, `at`, `changes`), and `end` when the run has ended.

    A reader too slow for the live messages goes back to SQL, so it loses nothing and holds no memory.
    """
    with waiting.watch(run, settings.backlog) as watcher:
        while not waiting.closed:
            watcher.missed = watcher.ended = False
            try:
                page = await state.read(read_page, run, after)
            except NotFound:  # deleted meanwhile: who asks again is told so
                return
            for row in page.rows:
                after = row.seq
                yield _change(run, row.seq, row.at, row.changes.encode())
            if is_over(page, after):
                yield _end(page.run)
                return
            if len(page.rows) < PAGE:
                async for seq, frame in _live(watcher, settings, after):
                    after = seq
                    yield frame


async def _live(watcher: Watcher, settings: Settings, after: int) -> AsyncIterator[tuple[int, bytes]]:
    """What the bus says, as long as it follows `after` without a gap; ends when SQL must be asked again."""
    await watcher.wait(settings.recheck_s)
    if not watcher.changes and not watcher.missed:
        yield after, KEEPALIVE
    while watcher.changes and not watcher.missed and not watcher.ended:
        seq, payload = watcher.changes.popleft()
        if seq <= after:  # SQL had it already
            continue
        change = from_json(payload)
        if seq != after + 1 or not change.get("changes"):  # one was lost, or was too large for a message
            return
        after = seq
        yield after, _change(change["run"], seq, change["at"], to_json(change["changes"]))
        if not watcher.changes:
            await watcher.wait(settings.recheck_s)


def _change(run: str, seq: int, at: float, changes: bytes) -> bytes:
    data = to_json({"run": run, "seq": seq, "at": at})[:-1] + b',"changes":' + changes + b"}"
    return b"id: %d\nevent: change\ndata: %b\n\n" % (seq, data.replace(b"\n", b" ").replace(b"\r", b" "))


def _end(run: StoredRun) -> bytes:
    data = to_json({"run": run.id, "state": run.state, "reason": run.reason, "seq": run.seq})
    return b"event: end\ndata: %b\n\n" % data
