"""Who submits what and when, and what else they want of their runs: drawn from the seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

from tests.chaos.shapes import SHAPES, SPACING, Job, Shape, broken, sifting, sink

SLOW_S = (1.5, 5.0)
FROM_FAILED: Literal["failed"] = "failed"
FROM_START: Literal["start"] = "start"
REDRIVE: Literal["redrive"] = "redrive"


@dataclass(frozen=True, slots=True)
class Order:
    """One submission, `at_s` seconds after the start, and what its client wants afterwards.

    `again`: it submits a second time, with the same key. `cancel_after_s` counts from the receipt, `pause_after_s` too;
    a pause is lifted `resume_after_s` later. `rerun`: where the run is run again from when it has ended, if it is: what
    has failed succeeds then, what had effects has no others, and rejected rows are given to the step once more.
    """

    at_s: float
    job: Job
    priority: int = 0
    again: bool = False
    cancel_after_s: float | None = None
    pause_after_s: float | None = None
    resume_after_s: float = 0.0
    rerun: Literal["", "failed", "start", "redrive"] = ""


def orders(seed: int, runs: int, seconds: float, database: str) -> tuple[Order, ...]:
    """All submissions of a run of chaos, in their order. `database` is the file that the sinks write to."""
    dice = random.Random(f"{seed} orders")
    shapes = dice.choices(list(SHAPES), weights=list(SHAPES.values()), k=runs)
    found = []
    for number, shape in enumerate(shapes):
        job = shape(f"s{seed}-{number}", number * SPACING, database, round(dice.uniform(*SLOW_S), 2))
        at_s = dice.uniform(0.0, seconds)
        found.append(_order(dice, at_s, job, shape))
    return tuple(sorted(found, key=lambda order: order.at_s))


def _order(dice: random.Random, at_s: float, job: Job, shape: Shape) -> Order:
    plain = Order(at_s, job, priority=dice.choice((-10, 0, 0, 10)), again=dice.random() < 0.2)
    wish = dice.random()
    if shape is broken:
        return replace(plain, rerun=FROM_FAILED)
    if shape is sink and wish < 0.2:
        return replace(plain, rerun=FROM_START)
    if shape is sifting and wish < 0.5:
        return replace(plain, rerun=REDRIVE)
    if wish < 0.7:
        return plain
    if wish < 0.85:
        return replace(plain, cancel_after_s=dice.uniform(0.0, 3.0))
    return replace(plain, pause_after_s=dice.uniform(0.0, 2.0), resume_after_s=dice.uniform(0.1, 4.0))
