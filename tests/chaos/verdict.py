"""What must be true when all is healed and over: of each order, of each run, and of each effect. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.clients import Receipt
from tests.chaos.evidence import Seen
from tests.chaos.shapes import CANCELLED, SUCCEEDED
from tests.chaos.workload import FROM_START, REDRIVE

_CANCELLING = frozenset({"cancelling", CANCELLED})


def judge(receipts: Sequence[Receipt], runs: Sequence[Seen], effects: Sequence[tuple[str, int]]) -> list[str]:
    """Everything that is wrong. `effects` are label and number of all that was ever written down by sinks."""
    there = {run.id: run for run in runs}
    found = [f"{one.order.job.label}: {problem}" for one in receipts for problem in one.problems]
    for receipt in receipts:
        found += [f"{receipt.order.job.label} ({receipt.order.job.shape}): {text}" for text in _order(receipt, there)]
    found += _strangers(receipts, runs)
    found += _effects(receipts, there, effects)
    return found


# -- runs --------------------------------------------------------------------------------------------------------------


def _order(receipt: Receipt, there: Mapping[str, Seen]) -> Iterator[str]:
    """Its run is there, has ended as it may, and says what it must say; so does its rerun."""
    if not receipt.run:
        yield "it was never accepted"
        return
    run = there.get(receipt.run)
    if run is None:
        yield f"run {receipt.run} was accepted and is not there"
        return
    may = _may_end(receipt)
    if run.state not in may:
        yield f"run {run.id} is {run.state} ({run.reason}), not {' or '.join(sorted(may))}"
    yield from _answer(run, receipt.order.job.rows)
    if receipt.order.rerun:
        yield from _rerun(receipt, there)


def _may_end(receipt: Receipt) -> frozenset[str]:
    """Only a client who was told that the run is being cancelled can be sure of it."""
    if receipt.cancelled in _CANCELLING:
        return frozenset({CANCELLED})
    if receipt.order.cancel_after_s is not None:
        return frozenset({CANCELLED, receipt.order.job.ends})
    return frozenset({receipt.order.job.ends})


def _answer(run: Seen, rows: tuple[int, ...]) -> Iterator[str]:
    if run.state == SUCCEEDED and run.rows != rows:
        yield f"run {run.id} answers {run.rows}, not {rows}"


def _rerun(receipt: Receipt, there: Mapping[str, Seen]) -> Iterator[str]:
    run = there.get(receipt.rerun)
    if run is None:
        yield f"its rerun {receipt.rerun or ''} is not there"
        return
    if run.state != SUCCEEDED or run.origin != receipt.run:
        yield f"its rerun {run.id} of {run.origin} is {run.state} ({run.reason})"
    wanted = SUCCEEDED if receipt.order.rerun == FROM_START else "recovered"
    if run.steps.get("one") != wanted:
        yield f"in its rerun {run.id} the first step is {run.steps.get('one')}, not {wanted}"
    job = receipt.order.job
    yield from _answer(run, job.redriven if receipt.order.rerun == REDRIVE else job.rows)


def _strangers(receipts: Sequence[Receipt], runs: Sequence[Seen]) -> Iterator[str]:
    """However often a submission was repeated, it made one run; and nobody else made any."""
    known = {made for receipt in receipts for made in (receipt.run, receipt.rerun)}
    for run in runs:
        if run.id not in known:
            yield f"run {run.id} of {run.order or 'nobody'} ({run.state}) was made, and no client was told of it"


# -- effects -----------------------------------------------------------------------------------------------------------


def _effects(
    receipts: Sequence[Receipt], there: Mapping[str, Seen], effects: Sequence[tuple[str, int]]
) -> Iterator[str]:
    """Each effect once; all of them where the run has succeeded; none that no run could have."""
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for label, number in effects:
        found[label][number] += 1
    for receipt in receipts:
        succeeded = any(one in there and there[one].state == SUCCEEDED for one in (receipt.run, receipt.rerun))
        for label, numbers in receipt.order.job.effects.items():
            yield from _counted(label, found.pop(label, Counter()), Counter(numbers), whole=succeeded)
    for label, counted in found.items():
        yield f"{label}: effects that no run was to have: {dict(counted)}"


def _counted(label: str, found: Counter[int], wanted: Counter[int], *, whole: bool) -> Iterator[str]:
    for number, count in (found - wanted).items():
        yield f"{label}: the effect {number} was applied {count + wanted[number]} times, not {wanted[number]}"
    missing = wanted - found
    if whole and missing:
        yield f"{label}: its run has succeeded without the effects {sorted(missing)}"
