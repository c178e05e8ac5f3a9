"""What a part of a server tells about itself when somebody looks: counts, amounts of now, and latencies.

A part counts in plain attributes and reads lengths when it is asked; nothing here costs anything between two looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

LATENCIES_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """One name with its values by labels. A counter only rises; what is no counter is an amount of now."""

    name: str
    text: str
    values: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()
    counter: bool = False


@dataclass(slots=True)
class Latency:
    """How long something took, counted in buckets; `observe` costs well under a microsecond."""

    name: str
    text: str
    bounds: tuple[float, ...] = LATENCIES_S
    sum_s: float = 0.0
    counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        """It took so long."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum_s += seconds


Figures: TypeAlias = Callable[[], Iterable[Figure | Latency]]
"""A part's figures, read now."""


def count(name: str, text: str, value: float) -> Figure:
    """A counter without labels."""
    return Figure(name, text, {(): value}, counter=True)


def amount(name: str, text: str, value: float) -> Figure:
    """An amount of now, without labels."""
    return Figure(name, text, {(): value})


def counts(name: str, text: str, label: str, values: Mapping[str, float]) -> Figure:
    """Counters, one for each value of a label."""
    return Figure(name, text, {(key,): value for key, value in values.items()}, (label,), counter=True)


def amounts(name: str, text: str, label: str, values: Mapping[str, float]) -> Figure:
    """Amounts of now, one for each value of a label."""
    return Figure(name, text, {(key,): value for key, value in values.items()}, (label,))


def figures_of(part: object) -> Iterable[Figure | Latency]:
    """What a driver tells about itself (`figures()`): nothing, if it does not, as those of other packages need not."""
    figures: Figures | None = getattr(part, "figures", None)
    return () if figures is None else figures()
