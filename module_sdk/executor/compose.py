"""A reference whose columns come from several others: nothing is copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from plugmesh.contracts.data import ColumnGroup, ColumnSpan, DataRef, Fragment, table_bytes
from plugmesh.data.schema import make_schema_ipc

if TYPE_CHECKING:
    import pyarrow as pa

_Part = tuple[str, int, int | None]


@dataclass(frozen=True, slots=True)
class Lane:
    """Rows of tables that are stored already, one after another: each of the `ranges` is a table, a first row and a number of
    rows."""

    ranges: tuple[tuple[DataRef, int, int], ...]

    @classmethod
    def whole(cls, ref: DataRef) -> Lane:
        """All rows of a table in their order."""
        return cls(((ref, 0, ref.rows),))

    @property
    def is_whole(self) -> bool:
        """Whether it is all rows of one table in their order."""
        return len(self.ranges) == 1 and self.ranges[0][1] == 0 and self.ranges[0][2] == self.ranges[0][0].rows

    @property
    def rows(self) -> int:
        """Of all ranges."""
        return sum(rows for _, _, rows in self.ranges)

    @property
    def rows_kept(self) -> int:
        """Rows of the fragments that it touches: so many stay in the store for its sake."""
        touched = {id(fragment): fragment.rows for fragment, _, _ in self._pieces()}
        return sum(touched.values())

    def cuts(self) -> list[int]:
        """The rows in which its fragments, or its ranges, end: in its own numbering."""
        if self.is_whole:
            return list(accumulate([part.rows for part in self.ranges[0][0].fragments]))
        return list(accumulate(rows for _, _, rows in self._pieces()))

    def at(self, cuts: Sequence[int]) -> Iterator[tuple[Fragment, int]]:
        """For each piece between two `cuts`, among which are its own: the fragment that it is in, and from which row on."""
        if len(cuts) == 1 and len(self.ranges) == 1 and len(self.ranges[0][0].fragments) == 1:
            return iter([(self.ranges[0][0].fragments[0], self.ranges[0][1])])
        return self._walk(cuts)

    def _walk(self, cuts: Sequence[int]) -> Iterator[tuple[Fragment, int]]:
        pieces = self._pieces()
        left = 0
        for rows in (end - start for start, end in pairwise([0, *cuts])):
            if left == 0:
                fragment, offset, left = next(pieces)
            yield fragment, offset
            offset, left = offset + rows, left - rows

    def _pieces(self) -> Iterator[tuple[Fragment, int, int]]:
        """Fragment, first row in it, number of rows: none of them is empty."""
        for ref, first, rows in self.ranges:
            end, start = first + rows, 0
            for fragment in ref.fragments:
                begin, stop = max(first, start), min(end, start + fragment.rows)
                if begin < stop:
                    yield fragment, begin - start, stop - begin
                start += fragment.rows
                if start >= end:
                    break


def compose(schema: pa.Schema, sources: Mapping[str, tuple[Lane, str]], cuts: Sequence[int]) -> DataRef:
    """The table with `schema` whose columns are columns of others, `{name: (lane, name there)}`.

    Its fragments end in the rows `cuts`, among which are those of every lane.
    """
    lanes: dict[int, tuple[Lane, list[tuple[str, str]]]] = {}
    for name, (lane, there) in sources.items():
        lanes.setdefault(id(lane), (lane, []))[1].append((name, there))
    columns = [names for _, names in lanes.values()]
    walks = [lane.at(cuts) for lane, _ in lanes.values()]
    fragments = tuple(
        Fragment(rows=end - start, groups=_groups(end - start, [next(walk) for walk in walks], columns))
        for start, end in pairwise([0, *cuts])
    )
    return DataRef(schema_ipc=make_schema_ipc(schema), rows=cuts[-1] if cuts else 0, fragments=fragments)


def _groups(
    rows: int, parts: Sequence[tuple[Fragment, int]], columns: Sequence[Sequence[tuple[str, str]]]
) -> tuple[ColumnGroup, ...]:
    groups: dict[_Part, list[ColumnSpan]] = {}
    inline: dict[str, str | None] = {}
    for (fragment, offset), names in zip(parts, columns, strict=True):
        spans = _spans(fragment)
        cut = rows != fragment.rows
        for name, there in names:
            group, span = spans[there]
            whole = fragment.rows if cut and group.rows is None else group.rows
            part = (group.key, group.start + offset, whole)
            inline[group.key] = group.data
            groups.setdefault(part, []).append(span if there == name else span.model_copy(update={"name": name}))
    return tuple(
        ColumnGroup(key=key, columns=tuple(found), data=inline[key], start=start, rows=whole)
        for (key, start, whole), found in groups.items()
    )


def _spans(fragment: Fragment) -> dict[str, tuple[ColumnGroup, ColumnSpan]]:
    return {span.name: (group, span) for group in fragment.groups for span in group.columns}


def bytes_of(ref: DataRef, columns: Sequence[str] | None = None) -> int:
    """Bytes of a reference's columns."""
    return table_bytes(ref, None if columns is None else set(columns))
