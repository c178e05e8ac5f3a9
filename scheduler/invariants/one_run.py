"""Everything that is checked of one run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

from plugmesh.contracts.data import Reference
from plugmesh.contracts.run import RUN_TERMINAL, Rerun, RunState, StepState
from plugmesh.data.named import Named, named_in
from plugmesh.errors import FlowInvalid
from plugmesh.state.records import StepRow, StoredRun
from scheduler.invariants.history import Past, Rule, Say, go_through
from scheduler.invariants.objects import OUTPUTS, SHOWN, Objects
from scheduler.invariants.progress import Progress
from scheduler.invariants.reading import Plans, RunRows
from scheduler.invariants.recovered import check_recovered
from scheduler.invariants.replay import Replay, compare
from scheduler.invariants.retries import Retries
from scheduler.invariants.runs import Held, RunTransitions, Terminal, unended, wrong_row
from scheduler.invariants.steps import Accepted, Parents, StepTransitions, is_good
from scheduler.invariants.violation import Report, Violation
from scheduler.invariants.visible import Visible
from scheduler.plan import Plan

_UNREADABLE = (ValueError, KeyError, TypeError, FlowInvalid)


@dataclass(frozen=True, slots=True)
class Look:
    """One run that is looked at: what is found goes to `report`, what is wrong with its objects to `about_objects`."""

    run: RunRows
    report: Report
    about_objects: list[Violation]

    @property
    def stored(self) -> StoredRun:
        """The run's own row."""
        return self.run.stored

    def say(self, invariant: str, text: str, step: str = "") -> None:
        """A violation."""
        self.report.add(Violation(invariant, text, self.stored.id, step))


def check_run(look: Look, plans: Plans, objects: Objects | None) -> None:
    """Check one run: its history, its rows, its objects."""
    stored = look.stored
    look.report.counts["runs"] += 1
    try:
        for invariant, text in wrong_row(stored):
            look.say(invariant, text)
        plan, named = plans.of(look.run.snapshot, stored.revision)
        replayed = _history(look, plan, named, objects)
        rows = _rows(look, objects, Progress(stored, seen=replayed is None or replayed.state.seq > 0))
        if replayed is not None:
            compare(look.run, plan, replayed, rows, look.say)
        if objects is not None and stored.outputs is not None and stored.data_gone_at is None:
            for name, references in SHOWN.validate_json(stored.outputs).items():
                for reference in references:
                    _check_object(look, objects, reference, f"its output {name}: ")
    except _UNREADABLE as error:
        look.say("rows", f"one of its rows cannot be read: {_brief(error)}")


# -- what happened -----------------------------------------------------------------------------------------------------


def _history(look: Look, plan: Plan, named: Named, objects: Objects | None) -> Replay | None:
    """Go through the events of a run. `None`: they are gone, as those of old runs are, or cannot be read."""
    past, counts = Past(plan), look.report.counts
    rules, replayed = _rules(look, past, named, objects), Replay(look.run, plan)
    try:
        events = look.run.events()
        first = next(events, None)
        if RunState(look.stored.state) in RUN_TERMINAL and (first is None or first[0] > 1):
            counts["runs without history"] += 1
            return None
        expected = 1
        for seq, changes in go_through(past, chain([first] if first else [], events), rules, look.say):
            if seq != expected:
                look.say("transitions", f"event row {expected} is missing: the next one has the number {seq}")
            expected = seq + 1
            counts["events"] += len(changes)
            replayed.row(changes)
    except _UNREADABLE as error:
        look.say("rows", f"one of its events cannot be read: {_brief(error)}")
        return None
    replayed.end()
    return replayed


def _rules(look: Look, past: Past, named: Named, objects: Objects | None) -> list[Rule]:
    stored = look.stored
    rerun = None if stored.rerun is None else Rerun.model_validate_json(stored.rerun)
    if rerun is not None:
        past.split.update(past.plan.by_name[name] for name in rerun.pieces)
    fed = frozenset() if rerun is None else frozenset(step.partition(".")[0] for step in rerun.feeds)
    given = named | named_in(stored.inputs, stored.params, stored.rerun)
    say: Say = look.say
    return [
        Terminal(past, say),
        RunTransitions(past, say),
        StepTransitions(past, say),
        Accepted(past, say),
        Parents(past, say, fed),
        Held(past, say),
        Retries(past, say),
        Visible(past, say, stored, given, _nothing_known if objects is None else objects.named_inside),
    ]


def _nothing_known(spilled: Collection[str]) -> None:
    """Without the store nobody can tell what is inside."""


# -- what is there -----------------------------------------------------------------------------------------------------


def _rows(look: Look, objects: Objects | None, progress: Progress) -> tuple[int, int]:
    """Look at the rows of a run's steps and attempts. How many steps there are, and the sum of the rows' hashes."""
    stored, counts = look.stored, look.report.counts
    total = count = 0
    recovered: list[StepRow] = []
    for row in look.run.steps():
        count += 1
        total += hash(row)
        for invariant, text in _wrong_step(stored, row, progress):
            look.say(invariant, text, row.id)
        if row.state == StepState.RECOVERED.value:
            recovered.append(row)
        if objects is not None and is_good(row.state) and row.outputs is not None and stored.data_gone_at is None:
            for reference in OUTPUTS.validate_json(row.outputs).values():
                _check_object(look, objects, reference, "", row.id)
    for text in progress.end():
        look.say("progress", text)
    counts["recovered steps whose origin is gone"] += check_recovered(look.run.snapshot, stored, recovered, look.say)
    counts["steps"] += count
    counts["attempts without a result"] += sum(1 for _ in look.run.attempts())
    return count, total


def _wrong_step(stored: StoredRun, row: StepRow, progress: Progress) -> Iterator[tuple[str, str]]:
    yield from (("terminal", text) for text in unended(stored, row))
    yield from (("progress", text) for text in progress.step(row))


def _check_object(look: Look, objects: Objects, reference: Reference, where: str, step: str = "") -> None:
    for text in objects.wrong(reference):
        look.about_objects.append(Violation("objects", f"{where}{text}", look.stored.id, step))


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
