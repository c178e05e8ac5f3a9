"""What an engine tells about itself: work in memory, what waits and how long, what is out, what was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from plugmesh.contracts.run import RUN_TERMINAL
from plugmesh.contracts.run import RunState as State
from plugmesh.figures import Figure, Latency, amount, amounts, count
from plugmesh.runtime import Runtime
from scheduler.board import Board
from scheduler.engine import Engine

LOOKED_AT = 5000
"""Steps in line whose age is looked at: a look must not take long when very many wait."""


def engine_figures(engine: Engine, runtime: Runtime) -> Iterator[Figure | Latency]:
    """The figures of one scheduler. Ages are in seconds, 0 when there is nothing."""
    board = engine.board
    yield engine.thinking
    yield count("plugmesh_engine_commits", "Transactions of the scheduler", engine.commits)
    yield count("plugmesh_engine_assigned", "Attempts that were sent out", board.assigned)
    yield count(
        "plugmesh_engine_retried", "Attempts that were sent out and are not the first of their step", board.retried
    )
    yield count(
        "plugmesh_engine_lost", "Attempts that were given up: not accepted, lease over, or instance gone", board.lost
    )
    yield count(
        "plugmesh_engine_convictions",
        "Attempts that ended the process of their module version, or were alone on an instance that was lost",
        engine.quarantines.convictions,
    )
    yield count("plugmesh_engine_quarantines", "Module versions that were quarantined", engine.quarantines.quarantines)
    yield amount("plugmesh_engine_inbox", "Things that wait for the scheduler's next cycle", engine.inbox)
    yield amount("plugmesh_engine_shards", "Shards of runs that this scheduler owns", len(board.terms))
    runs = Counter(dict.fromkeys((state.value for state in State if state not in RUN_TERMINAL), 0))
    runs.update(run.state.value for run in board.runs.values())
    yield amounts("plugmesh_engine_runs", "Runs in memory", "state", runs)
    yield amount("plugmesh_engine_steps", "Steps in memory", sum(len(run.steps) for run in board.runs.values()))
    yield amount("plugmesh_engine_ready", "Steps in line for an instance", len(board.placement))
    yield amount(
        "plugmesh_engine_ready_age_seconds", "How long the oldest step in line waits", _ready_age(board, runtime)
    )
    yield amount("plugmesh_engine_parked", "Steps that wait for a module", sum(map(len, board.parked.values())))
    yield amount("plugmesh_engine_leases", "Attempts that are out", len(board.leases))
    yield amount("plugmesh_engine_lease_age_seconds", "How long the oldest attempt is out", _lease_age(board, runtime))
    yield amount("plugmesh_engine_timers", "Timers that are set", len(board.timers))
    yield from board.tally.figures()


def _ready_age(board: Board, runtime: Runtime) -> float:
    since = [
        step.ready_at
        for entry in islice(board.placement.entries(), LOOKED_AT)
        if (run := board.runs.get(entry.run)) is not None
        and (step := run.steps.get(entry.step)) is not None
        and step.ready_at is not None
    ]
    return max(0.0, runtime.wall() - min(since)) if since else 0.0


def _lease_age(board: Board, runtime: Runtime) -> float:
    oldest = board.leases.oldest()
    return 0.0 if oldest is None else max(0.0, runtime.now() - oldest)
