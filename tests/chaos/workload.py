"""Who submits what and when, and what else they want of their runs: drawn from the seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from tests.chaos.shapes import SHAPES, SPACING, Job, broken

SLOW_S = (1.5, 5.0)


@dataclass(frozen=True, slots=True)
class Order:
    """One submission, `at_s` seconds after the start, and what its client wants afterwards.

    `again`: it submits a second time, with the same key. `cancel_after_s` counts from the receipt, `pause_after_s` too;
    a pause is lifted `resume_after_s` later. `rerun`: the run is expected to fail, and is run again then.
    """

    at_s: float
    job: Job
    again: bool = False
    cancel_after_s: float | None = None
    pause_after_s: float | None = None
    resume_after_s: float = 0.0
    rerun: bool = False


def orders(seed: int, runs: int, seconds: float, database: str, *, controls: bool = True) -> tuple[Order, ...]:
    """All submissions of a run of chaos, in their order. `database` is the file that the sinks write to."""
    dice = random.Random(f"{seed} orders")
    shapes = dice.choices(list(SHAPES), weights=list(SHAPES.values()), k=runs)
    found = []
    for number, shape in enumerate(shapes):
        job = shape(f"s{seed}-{number}", number * SPACING, database, round(dice.uniform(*SLOW_S), 2))
        at_s = dice.uniform(0.0, seconds)
        order = _order(dice, at_s, job, rerun=shape is broken)
        found.append(order if controls else replace(order, pause_after_s=None, rerun=False))
    return tuple(sorted(found, key=lambda order: order.at_s))


def _order(dice: random.Random, at_s: float, job: Job, *, rerun: bool) -> Order:
    again = dice.random() < 0.2
    wish = dice.random()
    if rerun or wish < 0.7:
        return Order(at_s, job, again, rerun=rerun)
    if wish < 0.85:
        return Order(at_s, job, again, cancel_after_s=dice.uniform(0.0, 3.0))
    return Order(at_s, job, again, pause_after_s=dice.uniform(0.0, 2.0), resume_after_s=dice.uniform(0.1, 4.0))
