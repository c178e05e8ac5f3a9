"""What instances answered, by module, and what came of runs: sums since the start, for `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

from plugmesh.contracts.messages import AttemptStats, StoreUse
from plugmesh.contracts.run import RUN_TERMINAL
from plugmesh.figures import Figure, count, counts
from plugmesh.state.records import Commit

Outcome: TypeAlias = Literal["done", "failed"]


class _Sum:
    """Of the answers for one module."""

    __slots__ = ("cpu_s", "done", "failed", "fetched", "hit", "read", "requests", "retries", "wall_s", "written")

    def __init__(self) -> None:
        self.done = self.failed = self.read = self.written = 0
        self.requests = self.retries = self.fetched = self.hit = 0
        self.wall_s = self.cpu_s = 0.0

    def asked(self, store: StoreUse) -> None:
        """Of an object store on another machine."""
        self.requests += store.requests
        self.retries += store.retries
        self.fetched += store.fetched_bytes
        self.hit += store.cache_hit_bytes


class Tally:
    """Counted by the engine. An answer that comes twice is counted twice."""

    def __init__(self) -> None:
        self._modules: dict[str, _Sum] = {}
        self._ended = dict.fromkeys((state.value for state in RUN_TERMINAL), 0)
        self._letters = self._letter_rows = 0

    def saw(self, module: str, outcome: Outcome, stats: AttemptStats | None) -> None:
        """An instance has answered an attempt."""
        mine = self._modules.get(module)
        if mine is None:
            mine = self._modules[module] = _Sum()
        if outcome == "done":
            mine.done += 1
        else:
            mine.failed += 1
        if stats is not None:
            mine.wall_s += stats.wall_s
            mine.cpu_s += stats.cpu_s
            mine.read += stats.bytes_read
            mine.written += stats.bytes_written
            if stats.store is not None:
                mine.asked(stats.store)

    def committed(self, commit: Commit) -> None:
        """A commit is in the database."""
        for run in commit.runs:
            if run.ended_at is not None:
                self._ended[run.state] += 1
        for letter in commit.letters:
            self._letters += 1
            self._letter_rows += letter.rows

    def figures(self) -> Iterator[Figure]:
        """By module, and of runs."""
        outcomes: dict[tuple[str, ...], float] = {
            key: value
            for module, mine in self._modules.items()
            for key, value in (((module, "done"), mine.done), ((module, "failed"), mine.failed))
        }
        text = "Attempts that instances answered"
        yield Figure("plugmesh_attempts", text, outcomes, ("module", "outcome"), counter=True)
        yield self._by_module("seconds", "Time that attempts took on their instances", lambda mine: mine.wall_s)
        yield self._by_module("cpu_seconds", "CPU time that attempts used", lambda mine: mine.cpu_s)
        yield self._by_module("read_bytes", "Bytes of columns that attempts were handed", lambda mine: mine.read)
        yield self._by_module("written_bytes", "Bytes that attempts wrote", lambda mine: mine.written)
        yield self._by_module(
            "object_requests", "Requests of attempts to an object store's server", lambda mine: mine.requests
        )
        yield self._by_module("object_retries", "Those of them that were made again", lambda mine: mine.retries)
        yield self._by_module(
            "fetched_bytes", "Bytes that attempts fetched from such a server", lambda mine: mine.fetched
        )
        text = "Bytes that attempts found in their host's cache instead"
        yield self._by_module("cache_hit_bytes", text, lambda mine: mine.hit)
        yield counts("plugmesh_engine_runs_ended", "Runs that this scheduler ended", "state", self._ended)
        yield count(
            "plugmesh_dead_letters", "Dead letters that steps left: each has the rows that one rejected", self._letters
        )
        yield count("plugmesh_dead_letter_rows", "Rows in them", self._letter_rows)

    def _by_module(self, name: str, text: str, value: Callable[[_Sum], float]) -> Figure:
        values = {module: value(mine) for module, mine in self._modules.items()}
        return counts(f"plugmesh_attempt_{name}", text, "module", values)
