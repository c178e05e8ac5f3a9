"""A measured figure and how it is written down."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a result: the median, the extremes and the number of repetitions."""

    workload: str
    variant: str
    metric: str
    unit: str
    median: float
    min: float
    max: float
    reps: int

    def line(self) -> str:
        """One JSON object."""
        document = {
            name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()
        }
        return json.dumps(document)


def figure(workload: str, variant: str, metric: str, unit: str, values: Sequence[float]) -> Figure:
    """The figure of some measured values."""
    return Figure(workload, variant, metric, unit, statistics.median(values), min(values), max(values), len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
