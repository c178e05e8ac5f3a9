"""What a step printed: the lines that are in the store, and those that come while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from pydantic import TypeAdapter
from pydantic_core import to_json

from gateway.reading import Reading
from gateway.views import Views
from gateway.waiting import ENDED, Waiting
from plugmesh.contracts.messages import LogRef
from plugmesh.contracts.run import STEP_TERMINAL
from plugmesh.errors import NotFound, ObjectMissing
from plugmesh.objects.keys import attempt_prefix, lender_of
from plugmesh.objects.port import ObjectStore, store_call
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.reads import Reader
from plugmesh.state.records import AttemptRow, StepRow
from plugmesh.state.retention import logs_gone_at
from plugmesh.state.store import State
from plugmesh.steplog import Line, chosen, finished_lines, live_lines

FOLLOW_S = 0.5
"""Who follows looks for new lines so often; an attempt writes them in chunks, every few seconds."""
_PIECE_LINES = 1000
_STEP_ENDED = frozenset(state.value for state in STEP_TERMINAL)
_LOG: TypeAdapter[LogRef] = TypeAdapter(LogRef)


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where the log of an attempt lies. `log` is there once the attempt has said so; `over`: nothing will come."""

    epoch: int
    prefix: str
    log: LogRef | None
    over: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: those above number `after`, of `level` and above, with `search` in them."""

    after: int = 0
    level: str | None = None
    search: str = ""


class Logs:
    """Reads and follows logs."""

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        objects: ObjectStore,
        *,
        views: Views,
        waiting: Waiting,
        settings: Settings,
        reading: Reading,
    ) -> None:
        self._runtime, self._state, self._objects = runtime, state, objects
        self._views, self._waiting, self._settings = views, waiting, settings
        self._reading = reading

    async def find(self, run: str, step: str, epoch: int | None) -> LogPlace:
        """Where the log of an attempt is, of the newest one that may have one if none is named.

        Raises `NotFound`, `ObjectMissing` (retention has removed it)."""
        return await self._state.read(_place, self._views, run, step, epoch)

    async def lines(self, place: LogPlace, wanted: Wanted, write: Callable[[Line], bytes]) -> AsyncIterator[bytes]:
        """The lines that are there, in pieces. Raises `ObjectMissing` before the first piece."""
        found = chosen(self._read(place), after=wanted.after, level=wanted.level, search=wanted.search)
        async with self._reading.holding(lender_of(f"{place.prefix}/log")):
            while piece := await store_call(self._objects, self._runtime, _piece, found, write):
                yield piece

    async def follow(
        self, run: str, step: str, epoch: int | None, wanted: Wanted, write: Callable[[Line], bytes]
    ) -> AsyncIterator[bytes]:
        """The same, and what comes until the step (or the named attempt) has ended; an empty line when there is
        nothing new. The lines of a further attempt begin with number 1 again."""
        place = await self.find(run, step, epoch)
        seen, silent_since = wanted.after, self._runtime.now()
        with self._waiting.watch(run) as watcher:
            while not self._waiting.closed:
                for line in await store_call(self._objects, self._runtime, self._new_lines, place, seen):
                    seen = line["n"]
                    for picked in chosen([line], level=wanted.level, search=wanted.search):
                        silent_since = self._runtime.now()
                        yield write(picked)
                if place.over:
                    return
                if self._runtime.now() - silent_since >= self._settings.recheck_s:
                    silent_since = self._runtime.now()
                    yield b"\n"
                watcher.ended = False
                await watcher.wait(FOLLOW_S)
                try:
                    now = await self.find(run, step, epoch)
                except NotFound:  # the run was deleted meanwhile
                    return
                seen = seen if now.epoch == place.epoch else 0
                place = now

    def _new_lines(self, place: LogPlace, after: int) -> list[Line]:
        return list(chosen(self._read(place), after=after))

    def _read(self, place: LogPlace) -> Iterator[Line]:
        found = finished_lines(self._objects, place.log) if place.log else live_lines(self._objects, place.prefix)
        return ({**line, "epoch": place.epoch} for line in found)


def as_json_line(line: Line) -> bytes:
    """A line as JSON."""
    return to_json(line) + b"\n"


def as_text_line(line: Line) -> bytes:
    """What was printed, alone."""
    return str(line.get("text", "")).encode("utf-8", "replace") + b"\n"


def _piece(lines: Iterator[Line], write: Callable[[Line], bytes]) -> bytes:
    return b"".join(write(line) for line in islice(lines, _PIECE_LINES))


def _place(reader: Reader, views: Views, run: str, step: str, epoch: int | None) -> LogPlace:
    stored, row = views.step_row(reader, run, step)
    attempts = reader.attempts(stored, step)
    over = stored.state in ENDED or (row is not None and row.state in _STEP_ENDED)
    newest = row.epoch if row is not None else 0
    if epoch is None:
        epoch = newest if over or (row is not None and row.instance is not None) else _last(attempts, newest)
    else:
        over = over or epoch < newest or any(attempt.epoch == epoch for attempt in attempts)
    log = _log_of(row, attempts, epoch)
    if epoch > max([newest, *(attempt.epoch for attempt in attempts)]):
        known = sorted({newest, *(attempt.epoch for attempt in attempts)} - {0})
        raise NotFound(f"step {step!r} of run {run} has no attempt {epoch}; its attempts are {known or 'none yet'}")
    if log is not None and logs_gone_at(reader, run) is not None:
        raise ObjectMissing(
            f"the logs of run {run} were removed, as retention says: pin runs that must stay (`plugmesh pin RUN`)"
        )
    prefix = attempt_prefix(stored.namespace, run, step, epoch)
    return LogPlace(epoch, prefix, log, over)


def _last(attempts: list[AttemptRow], newest: int) -> int:
    """While nobody has the step: what its last attempt said is of more use than nothing."""
    return max((attempt.epoch for attempt in attempts), default=newest)


def _log_of(row: StepRow | None, attempts: list[AttemptRow], epoch: int) -> LogRef | None:
    texts = [attempt.log for attempt in attempts if attempt.epoch == epoch]
    if row is not None and row.epoch == epoch:
        texts.append(row.log)
    return next((_LOG.validate_json(text) for text in reversed(texts) if text is not None), None)
