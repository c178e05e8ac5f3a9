"""The judge of chaos can say no: each thing that must not be is found in records in which nothing else is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.chaos.clients import Receipt
from tests.chaos.evidence import Seen
from tests.chaos.shapes import CANCELLED, FAILED, SUCCEEDED, broken, chain, sink
from tests.chaos.verdict import judge
from tests.chaos.workload import FROM_FAILED, Order

CHAIN, SINK, BROKEN = 0, 1, 2


@dataclass
class Records:
    """What a quiet run would leave: a chain, a sink, and a broken one with its rerun."""

    receipts: list[Receipt] = field(default_factory=list)
    runs: list[Seen] = field(default_factory=list)
    effects: list[tuple[str, int]] = field(default_factory=list)

    def judge(self) -> list[str]:
        return judge(self.receipts, self.runs, self.effects)


@pytest.fixture
def records() -> Records:
    found = Records()
    for number, shape in enumerate((chain, sink, broken)):
        job = shape(f"s-{number}", number * 1000, "db", 1.0)
        receipt = Receipt(Order(0.0, job, rerun=FROM_FAILED if shape is broken else ""), run=f"run-{number}")
        found.receipts.append(receipt)
        rows = job.rows if job.ends == SUCCEEDED else ()
        found.runs.append(Seen(receipt.run, job.label, job.ends, rows=rows))
        if receipt.order.rerun:
            receipt.rerun = f"rerun-{number}"
            again = Seen(receipt.rerun, job.label, SUCCEEDED, receipt.run, rows=job.rows, steps={"one": "recovered"})
            found.runs.append(again)
        found.effects += [(label, one) for label, numbers in job.effects.items() for one in numbers]
    return found


def test_nothing_is_wrong_with_what_a_quiet_run_leaves(records: Records) -> None:
    assert records.judge() == []


def _change(place: int, **fields: Any) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        records.runs[place] = replace(records.runs[place], **fields)

    return change


def _lose_run(records: Records) -> None:
    del records.runs[CHAIN]


def _never_accept(records: Records) -> None:
    records.receipts[CHAIN].run = ""
    del records.runs[CHAIN]


def _double_run(records: Records) -> None:
    records.runs.append(replace(records.runs[CHAIN], id="run-again"))


def _double_effect(records: Records) -> None:
    records.effects.append(records.effects[0])


def _lose_effect(records: Records) -> None:
    records.effects.pop()


def _strange_effect(records: Records) -> None:
    records.effects.append(("nobody", 1))


def _effect_of_nothing(records: Records) -> None:
    """The chain has no sink."""
    records.effects.append(("s-0", 60))


def _ignored_cancel(records: Records) -> None:
    records.receipts[CHAIN].cancelled = "cancelling"


def _strange_refusal(records: Records) -> None:
    records.receipts[CHAIN].problems.append("POST /api/v1/runs: 500")


def _lose_rerun(records: Records) -> None:
    records.runs.pop()


WRONG: dict[str, tuple[Callable[[Records], None], str]] = {
    "a lost run": (_lose_run, "run run-0 was accepted and is not there"),
    "a run that was never accepted": (_never_accept, "it was never accepted"),
    "a run that was made twice": (_double_run, "run run-again of s-0 (succeeded) was made, and no client"),
    "a run that does not end": (_change(CHAIN, state="running", rows=()), "run run-0 is running"),
    "a run that fails": (_change(CHAIN, state=FAILED, rows=()), "run run-0 is failed (), not succeeded"),
    "a wrong answer": (_change(CHAIN, rows=(60, 61)), "run run-0 answers (60, 61)"),
    "rows in another order": (_change(CHAIN, rows=(62, 61, 60)), "run run-0 answers (62, 61, 60)"),
    "a doubled effect": (_double_effect, "s-1: the effect 1010 was applied 2 times, not 1"),
    "a lost effect": (_lose_effect, "s-2: its run has succeeded without the effects [2002]"),
    "an effect of nobody": (_strange_effect, "nobody: effects that no run was to have"),
    "an effect of a run without any": (_effect_of_nothing, "s-0: effects that no run was to have: {60: 1}"),
    "a cancel that was ignored": (_ignored_cancel, "run run-0 is succeeded (), not cancelled"),
    "an answer that nobody expects": (_strange_refusal, "s-0: POST /api/v1/runs: 500"),
    "a lost rerun": (_lose_rerun, "its rerun rerun-2 is not there"),
    "a rerun that failed": (_change(BROKEN + 1, state=FAILED, rows=()), "its rerun rerun-2 of run-2 is failed"),
    "a rerun from nowhere": (_change(BROKEN + 1, origin=""), "its rerun rerun-2 of  is succeeded"),
    "a rerun that did all again": (
        _change(BROKEN + 1, steps={"one": SUCCEEDED}),
        "the first step is succeeded, not recovered",
    ),
}


@pytest.mark.parametrize(("spoil", "says"), WRONG.values(), ids=WRONG)
def test_it_is_found(records: Records, spoil: Callable[[Records], None], says: str) -> None:
    spoil(records)
    found = records.judge()
    assert any(says in text for text in found), found


def test_a_run_that_was_cancelled_may_have_some_of_its_effects_but_none_twice(records: Records) -> None:
    receipt = records.receipts[SINK]
    receipt.order = replace(receipt.order, cancel_after_s=1.0)
    receipt.cancelled = "cancelling"
    records.runs[SINK] = replace(records.runs[SINK], state=CANCELLED, rows=())
    records.effects.remove(("s-1", 1010))
    assert records.judge() == []
    records.effects.append(("s-1", 1011))
    assert records.judge() == ["s-1: the effect 1011 was applied 2 times, not 1"]


def test_a_cancel_that_came_too_late_changes_nothing(records: Records) -> None:
    receipt = records.receipts[CHAIN]
    receipt.order = replace(receipt.order, cancel_after_s=1.0)
    receipt.cancelled = SUCCEEDED
    assert records.judge() == []
