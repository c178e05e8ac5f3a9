"""Making a failing simulation smaller, as long as it still violates the same: delta debugging.

The reduction of lists is ddmin (A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE
Transactions on Software Engineering 28(2), 2002): leave out halves, then quarters, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from tests.sim.case import Case
from tests.sim.network import Weather

T = TypeVar("T")


def ddmin(items: Sequence[T], still_fails: Callable[[list[T]], bool]) -> list[T]:
    """A part of `items` that still fails, of which no single one can be left out. `items` as a whole do."""
    kept, parts = list(items), 2
    while kept:
        size = -(-len(kept) // parts)
        rests = [kept[:start] + kept[start + size :] for start in range(0, len(kept), size)]
        smaller = next((rest for rest in rests if still_fails(rest)), None)
        if smaller is not None:
            kept, parts = smaller, max(2, parts - 1)
        elif size == 1:
            break
        else:
            parts = min(len(kept), parts * 2)
    return kept


class Shrinker:
    """Looks for the smallest case that still violates `invariant`. `tried` counts the simulations."""

    def __init__(self, invariant: str) -> None:
        self._invariant = invariant
        self.tried = 0

    def shrink(self, case: Case) -> Case:
        """The smallest case that was found; the same one if nothing can be left out."""
        while True:
            before = case
            for attempt in (self._concrete, self._calm, self._jobs, self._faults, self._traps):
                case = attempt(case)
            if case == before:
                return case

    def fails(self, case: Case) -> bool:
        """Whether it still violates what the first one did."""
        self.tried += 1
        return self._invariant in {violation.invariant for violation in case.world().run()}

    def _concrete(self, case: Case) -> Case:
        """Chances become the traps that they have sprung: those can be left out one by one."""
        plan = case.plan
        if not any(plan.crash.values()) and not plan.sql_error:
            return case
        world = case.world()
        world.run()
        traps = [*plan.traps, *world.sprung]
        sprung = replace(case, plan=replace(plan, traps=traps, crash={}, sql_error=0.0))
        return sprung if self.fails(sprung) else case

    def _calm(self, case: Case) -> Case:
        for calmer in _calmer(case):
            if calmer != case and self.fails(calmer):
                return self._calm(calmer)
        return case

    def _jobs(self, case: Case) -> Case:
        jobs = ddmin(case.jobs, lambda kept: bool(kept) and self.fails(replace(case, jobs=kept)))
        return replace(case, jobs=jobs)

    def _faults(self, case: Case) -> Case:
        plan = case.plan
        faults = ddmin(plan.faults, lambda kept: self.fails(replace(case, plan=replace(plan, faults=kept))))
        return replace(case, plan=replace(plan, faults=faults))

    def _traps(self, case: Case) -> Case:
        plan = case.plan
        traps = ddmin(plan.traps, lambda kept: self.fails(replace(case, plan=replace(plan, traps=kept))))
        return replace(case, plan=replace(plan, traps=traps))


def _calmer(case: Case) -> Iterator[Case]:
    """The case with one thing less that happens by chance; all at once first."""
    plan = case.plan
    quiet = replace(plan, weather=Weather(), crash={}, sql_error=0.0, executor_dies=0.0, answer_lost=0.0)
    yield replace(case, plan=quiet)
    if case.servers > 1:
        yield replace(case, servers=1)
    for still in (replace(plan, sql_error=0.0), replace(plan, executor_dies=0.0), replace(plan, answer_lost=0.0)):
        yield replace(case, plan=still)
    for kind in sorted(plan.crash):
        yield replace(case, plan=replace(plan, crash={**plan.crash, kind: 0.0}))
    for weather in _calmer_weather(plan.weather):
        yield replace(case, plan=replace(plan, weather=weather))


def _calmer_weather(weather: Weather) -> Iterator[Weather]:
    calm = Weather()
    yield calm
    for field in fields(Weather):
        yield replace(weather, **{field.name: getattr(calm, field.name)})
