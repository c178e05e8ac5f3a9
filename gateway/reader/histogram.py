"""How numbers are spread: bins of one width from the least to the greatest value."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

BINS = 20
"""Most bins of a histogram; fewer where there are not so many different integers in the range."""


class Bins(Protocol):
    """Counts values. All of them must lie between the two that the bins were made for."""

    def add(self, values: pa.ChunkedArray) -> None:
        """Count values without nulls."""
        ...

    def edges(self) -> list[Any]:
        """Where the bins begin, and where the last one ends."""
        ...

    def counts(self) -> list[int]:
        """Values in each bin."""
        ...


def bins_of(least: pa.Scalar, greatest: pa.Scalar) -> Bins:
    """Bins for integers, floats (finite ones) or decimals in this range."""
    if pa.types.is_integer(least.type):
        return IntegerBins(least.as_py(), greatest.as_py())
    return FloatBins(float(least.as_py()), float(greatest.as_py()))


class IntegerBins:
    """Exact over all 64 bits: every bin is as many integers wide. The last edge is the greatest value."""

    def __init__(self, least: int, greatest: int) -> None:
        self._least, self._greatest = least, greatest
        span = greatest - least + 1
        self._width = -(-span // BINS)
        self._bins = -(-span // self._width)
        self._found: Counter[int] = Counter()

    def add(self, values: pa.ChunkedArray) -> None:
        kind = pa.uint64() if pa.types.is_uint64(values.type) else pa.int64()
        for chunk in values.cast(kind).chunks:
            # The difference may be larger than an int64: it wraps around, and read as an uint64 it is right again.
            above = pc.subtract(chunk, pa.scalar(self._least, kind)).view(pa.uint64())
            _count(self._found, pc.divide(above, pa.scalar(self._width, pa.uint64())))

    def edges(self) -> list[int]:
        return [*(self._least + index * self._width for index in range(self._bins)), self._greatest]

    def counts(self) -> list[int]:
        return [self._found[index] for index in range(self._bins)]


class FloatBins:
    """Bins of floats. Values at an edge may fall on either side of it, by the precision of a double."""

    def __init__(self, least: float, greatest: float) -> None:
        self._least, self._greatest = least, greatest
        self._width = greatest / BINS - least / BINS  # so, the range of all doubles does not overflow
        self._bins = BINS if self._width > 0 else 1
        self._found: Counter[int] = Counter()

    def add(self, values: pa.ChunkedArray) -> None:
        doubles = values.cast(pa.float64(), safe=False)
        if self._bins == 1:
            self._found[0] += len(doubles)
            return
        places = pc.floor(pc.subtract(pc.divide(doubles, self._width), self._least / self._width))
        places = pc.max_element_wise(pc.min_element_wise(places, float(BINS - 1)), 0.0)
        _count(self._found, places.cast(pa.int64()))

    def edges(self) -> list[float]:
        parts = [index / self._bins for index in range(self._bins)]
        return [*(self._least * (1 - part) + self._greatest * part for part in parts), self._greatest]

    def counts(self) -> list[int]:
        return [self._found[index] for index in range(self._bins)]


def _count(found: Counter[int], places: Any) -> None:
    for pair in pc.value_counts(places).to_pylist():
        found[pair["values"]] += pair["counts"]
