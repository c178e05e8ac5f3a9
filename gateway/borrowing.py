"""What a rerun uses of other runs and of files, held before the run is made: see `plugmesh.state.borrowing`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from plugmesh.contracts.data import JoinedRef, Reference, SpilledRef, referenced_keys
from plugmesh.contracts.run import Submission
from plugmesh.data.reference import resolve
from plugmesh.errors import Conflict, ObjectMissing
from plugmesh.objects.keys import lender_of
from plugmesh.objects.port import ObjectStore, store_call
from plugmesh.runtime import Runtime
from plugmesh.state.borrowing import borrow
from plugmesh.state.store import State

_NAMED = 5
"""Of things that are gone, so many are named."""
Used = list[tuple[str, frozenset[str]]]
"""What is used, in words (`input 'orders'`, `step 'load'`), and whom its objects belong to."""


async def hold(
    runtime: Runtime, state: State, objects: ObjectStore, submission: Submission, given: Collection[str]
) -> None:
    """Hold all that the rerun `submission` uses, but its inputs that were `given` anew: those have been looked at.

    Raises `Conflict`, naming what is gone or about to go.
    """
    assert submission.rerun is not None
    used = await store_call(objects, runtime, _used, objects, submission, frozenset(given))
    lenders = frozenset[str]().union(*(owners for _, owners in used))
    lost = await state.write(borrow, submission.run, lenders, runtime.wall()) if lenders else frozenset[str]()
    gone = [what for what, owners in used if not owners.isdisjoint(lost)]
    if gone:
        raise Conflict(_told(submission.rerun.origin, gone))


def _used(objects: ObjectStore, submission: Submission, given: frozenset[str]) -> Used:
    """Blocking: references that were spilled are read."""
    rerun = submission.rerun
    assert rerun is not None
    used = [
        (f"input {name!r}", _owners(objects, [reference]))
        for name, reference in submission.inputs.items()
        if name not in given
    ]
    for one in rerun.recovered:
        owners = _owners(objects, one.outputs.values())
        used.append((f"step {one.step!r}", owners | {rerun.origin} if owners else owners))
    for step, ports in rerun.feeds.items():
        fed = (reference for references in ports.values() for reference in references)
        used.append((f"rows for step {step!r}", _owners(objects, fed)))
    return used


def _owners(objects: ObjectStore, references: Iterable[Reference]) -> frozenset[str]:
    keys: set[str] = set()
    for reference in references:
        keys |= referenced_keys(reference)
        if isinstance(reference, SpilledRef | JoinedRef):
            try:
                keys |= referenced_keys(resolve(objects, reference))
            except ObjectMissing:
                keys |= referenced_keys(reference)  # then its run is marked, or unknown
    return frozenset(lender_of(key) for key in keys)


def _told(origin: str, gone: list[str]) -> str:
    named = ", ".join(gone[:_NAMED]) + (f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else "")
    if any(what.startswith("input") for what in gone):
        advice = "hand in others (`inputs`, or `plugmesh rerun --input`)"
    else:
        advice = f'run it again from the start (`"from": "start"`, or `plugmesh rerun {origin} --start`)'
    return (
        f"data that the rerun of {origin} needs was deleted, or is going as retention says: {named}. Instead, {advice}"
    )
