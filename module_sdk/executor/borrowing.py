"""Which columns of a returned table need not be written, because inputs have them already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from module_sdk.executor.compose import Lane
from module_sdk.executor.same_values import same_values
from module_sdk.executor.untouched import Places, Run, same_kind
from plugmesh.contracts.data import DataRef

if TYPE_CHECKING:
    import pyarrow as pa

_FEW_FRAGMENTS = 16
_ROWS_PER_FRAGMENT = 64 * 1024
_LEAST_SHARE = 4
"""A part of stored columns is borrowed if it is at least a quarter of them: they are kept for as long."""

Ranges = tuple[tuple[int, int, int], ...]
"""Source, first row, number of rows."""


@dataclass(slots=True)
class Borrowed:
    """Columns by their new names: in which lane they are, and what they are called there. `cuts`: the rows in which
    fragments must end."""

    columns: dict[str, tuple[Lane, str]] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)


class Borrowing:
    """What a returned table has in common with the tables `given`, which lie in the store as `refs`."""

    def __init__(
        self, table: pa.Table, given: Sequence[pa.Table], refs: Sequence[DataRef], places: Places | None = None
    ) -> None:
        self._table, self._given, self._refs = table, given, refs
        self._places = places or Places(given)
        self._same: dict[str, tuple[Run, ...]] = {}
        if table.num_rows and given:
            for index, name in enumerate(table.column_names):
                runs = self._places.runs(name, table.column(index), table.schema.field(index))
                if runs is not None:
                    self._same[name] = runs

    def proves_rows(self, source: int) -> bool:
        """Whether a column of this table came back that says that all rows are there, in their order."""
        return any(runs[0].source == source and self._places.proves_rows(runs) for runs in self._same.values())

    def borrow(self, must: Lane | None = None) -> Borrowed:
        """The columns that are borrowed, and where fragments end then. `must` is part of the table in any case."""
        borrowed = Borrowed(cuts=[] if must is None else ends_of(must))
        by_ranges: dict[Ranges, list[tuple[str, str]]] = {}
        for name in self._table.column_names if self._table.num_rows and self._given else ():
            runs = self._same.get(name) or self._equal(name)
            if runs is not None and len(runs) <= most_fragments(self._table.num_rows):
                ranges = tuple([(run.source, run.start, run.rows) for run in runs])
                by_ranges.setdefault(ranges, []).append((name, runs[0].name))
        lanes = [(Lane(tuple([(self._refs[s], a, n) for s, a, n in key])), names) for key, names in by_ranges.items()]
        if len(lanes) > 1:
            lanes.sort(key=lambda found: (not found[0].is_whole, -len(found[1])))
        for lane, names in lanes:
            self._add(borrowed, lane, names)
        return borrowed

    def _add(self, borrowed: Borrowed, lane: Lane, names: Sequence[tuple[str, str]]) -> None:
        ends = ends_of(lane)
        if not borrowed.cuts and lane.is_whole:
            cuts = ends
        else:
            cuts = ends if ends == borrowed.cuts else sorted({*borrowed.cuts, *ends})
            if len(cuts) > max(most_fragments(self._table.num_rows), len(borrowed.cuts)) or not (
                lane.is_whole or lane.rows * _LEAST_SHARE >= lane.rows_kept
            ):
                return
        borrowed.cuts = cuts
        for name, there in names:
            borrowed.columns[name] = lane, there

    def _equal(self, name: str) -> tuple[Run, ...] | None:
        """A column of the same name with the same values in other bytes. It says nothing about the order of rows."""
        column, rows = self._table.column(name), self._table.num_rows
        kind = self._table.schema.field(name)
        for source, table in enumerate(self._given):
            if table.num_rows != rows or name not in table.column_names or not self._places.is_fixed(source, name):
                continue
            if same_kind(table.schema.field(name), kind) and same_values(column, table.column(name)):
                return (Run(source, name, 0, rows),)
        return None


def most_fragments(rows: int) -> int:
    """Fragments that a table should have at most because of where its columns lie."""
    return _FEW_FRAGMENTS + rows // _ROWS_PER_FRAGMENT


def ends_of(lane: Lane) -> list[int]:
    """Every one once, and none before the first row."""
    cuts = lane.cuts()
    return cuts if len(cuts) == 1 and cuts[0] else sorted({*cuts} - {0})
