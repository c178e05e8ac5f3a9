"""Every invariant over a mesh's rows and objects: `check`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import sqlalchemy as sa

from plugmesh.objects.port import ObjectStore
from plugmesh.state import schema
from scheduler.invariants.letters import check_letters
from scheduler.invariants.objects import Objects
from scheduler.invariants.one_run import Look, check_run
from scheduler.invariants.permits import check_permits
from scheduler.invariants.promises import lost_too_often, missing_runs, repeated_effects
from scheduler.invariants.reading import Plans, Snapshot, windows
from scheduler.invariants.violation import Report, Violation

CLOCK_SKEW_S = 1.0
"""Clocks of schedulers, or one that was set, may differ by so much."""
_AT_ONCE = 500


def check(
    connection: sa.Connection,
    objects: ObjectStore | None,
    *,
    hashes: bool = True,
    submitted: Collection[str] = (),
    effects: Collection[str] = (),
    lost_allowed: int | None = None,
    clock_skew_s: float = CLOCK_SKEW_S,
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> Report:
    """Check a mesh that works, or has stopped; only reads. The connection's transaction is ended.

    `hashes`: read all data that is named, not only look whether it is there. `submitted`: runs for which somebody has a
    receipt. `effects`: what idempotent sinks applied, by their keys. `lost_allowed`: how many attempts may have been
    lost (faults x attempts in flight). `progress` is told how many runs were looked at, and of how many.
    """
    snapshot, report, plans = Snapshot(connection), Report(), Plans()
    store = None if objects is None else Objects(objects, hashes=hashes)
    whole = int(snapshot.rows(sa.select(sa.func.count()).select_from(schema.run))[0][0])
    for window in windows(snapshot):
        for table, key in window.strays:
            report.add(Violation("rows", f"table {table} has rows of a run with the key {key}, which is not there"))
        about_objects: list[Violation] = []
        for run in window.runs:
            check_run(Look(run, report, about_objects), plans, store)
        _add_lasting(snapshot, about_objects, report)
        progress(report.counts["runs"], whole)
    _add_lasting(snapshot, check_letters(snapshot, report, store), report)
    check_permits(snapshot, report, clock_skew_s=clock_skew_s)
    for violation in _promises(snapshot, submitted, effects, lost_allowed):
        report.add(violation)
    snapshot.close()
    if store is not None:
        report.counts["objects"], report.counts["bytes"] = store.count, store.bytes
    return report


def _promises(
    snapshot: Snapshot, submitted: Collection[str], effects: Collection[str], lost_allowed: int | None
) -> Sequence[Violation]:
    lost = () if lost_allowed is None else lost_too_often(snapshot, lost_allowed)
    return [*missing_runs(snapshot, submitted), *lost, *repeated_effects(effects)]


def _add_lasting(snapshot: Snapshot, found: Sequence[Violation], report: Report) -> None:
    """What is wrong with objects, unless their run has been given up meanwhile: a running mesh removes what is old."""
    run = schema.run
    for at in range(0, len(found), _AT_ONCE):
        part = found[at : at + _AT_ONCE]
        snapshot.renew()
        names = {violation.run for violation in part}
        query = sa.select(run.c.id).where(run.c.id.in_(names), run.c.data_gone_at.is_(None))
        there = {row[0] for row in snapshot.rows(query)}
        for violation in part:
            if violation.run in there:
                report.add(violation)
