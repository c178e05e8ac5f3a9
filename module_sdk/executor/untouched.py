"""Recognising columns that a module handed through: same type, same bytes at the same place.

Identity proves something only because these bytes are read-only, and kept alive until the outputs are written.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

_EXTENSION = (b"ARROW:extension:name", b"ARROW:extension:metadata")


class Place(NamedTuple):
    """Rows `start` to `start + rows` of what lies in some buffers: `base` says which, children included."""

    base: tuple[object, ...]
    start: int
    rows: int


class Run(NamedTuple):
    """Rows `start` to `start + rows` of the column `name` of the `source`-th table."""

    source: int
    name: str
    start: int
    rows: int


class _Known(NamedTuple):
    start: int
    rows: int
    source: int
    name: str
    row: int


class Places:
    """Where the columns of tables lie that were handed over, found out when it is first asked.

    Columns that could be written to are left out, unless they are `trusted` to be unchanged.
    """

    __slots__ = ("_bases", "_tables", "_trusted")

    def __init__(self, tables: Sequence[pa.Table], *, trusted: bool = False) -> None:
        self._tables, self._trusted = tables, trusted
        self._bases: dict[Hashable, list[_Known]] | None = None

    def runs(self, name: str, column: pa.ChunkedArray, field: pa.Field) -> tuple[Run, ...] | None:
        """The rows of one column that a returned column consists of; `None` if some of it is not from there.

        Where several columns have the same bytes it is the one of the same name. `field` is that of the returned column.
        """
        known = self._known()
        found: list[Run] = []
        at = 0
        for chunk in _chunks(column):
            place = place_of(chunk)
            run = None if place is None else _find(known.get(place.base, ()), place, at, name, found[-1:])
            if run is None or (found and run.name != found[0].name):
                return None
            at += run.rows
            if found and _goes_on(found[-1], run):
                found[-1] = found[-1]._replace(rows=found[-1].rows + run.rows)
            else:
                found.append(run)
        if not found or not self._same_kind(found, field):
            return None
        return tuple(found)

    def is_whole(self, runs: Sequence[Run]) -> bool:
        """Whether these are all rows of a table in their order."""
        return len(runs) == 1 and runs[0].start == 0 and runs[0].rows == self._tables[runs[0].source].num_rows

    def proves_rows(self, runs: Sequence[Run]) -> bool:
        """Whether a column that came back like this says that all rows are there in their order: where the same bytes stand
        for several of its rows, they could have changed places."""
        return self.is_whole(runs) and not any(_overlap(known, runs[0]) for known in self._known().values())

    def is_fixed(self, source: int, name: str) -> bool:
        """Whether a column cannot have been written to."""
        return self._trusted or all(is_read_only(chunk) for chunk in _chunks(self._tables[source].column(name)))

    def _known(self) -> dict[Hashable, list[_Known]]:
        if self._bases is None:
            self._bases = {}
            for source, table in enumerate(self._tables):
                for index, name in enumerate(table.column_names):
                    self._add(self._bases, source, name, table.column(index))
        return self._bases

    def _add(self, bases: dict[Hashable, list[_Known]], source: int, name: str, column: pa.ChunkedArray) -> None:
        row = 0
        for chunk in _chunks(column):
            place = place_of(chunk) if self._trusted or is_read_only(chunk) else None
            if place is not None:
                _append(bases.setdefault(place.base, []), _Known(place.start, place.rows, source, name, row))
            row += len(chunk)

    def _same_kind(self, runs: Iterable[Run], field: pa.Field) -> bool:
        """Whether the stored column can be read as `field`: its type to the last detail, and the extension that metadata
        name."""
        return all(
            same_kind(self._tables[source].schema.field(name), field)
            for source, name in {(run.source, run.name) for run in runs}
        )


def comes_back(table: pa.Table, given: pa.Table) -> bool:
    """Whether a column of `given`, which nobody has written to, is in `table` as it was."""
    places = Places((given,), trusted=True)
    for index, name in enumerate(table.column_names):
        runs = places.runs(name, table.column(index), table.schema.field(index))
        if runs is not None and places.proves_rows(runs):
            return True
    return False


def same_kind(one: pa.Field, two: pa.Field) -> bool:
    """Whether the bytes of the one column can be read as the other."""
    return bool(one.type.equals(two.type, check_metadata=True)) and _extension(one) == _extension(two)


def place_of(array: pa.Array) -> Place | None:
    """Where an array lies; `None` where that proves nothing (no bytes, or types that hide a part of them)."""
    found = _place(array)
    return found if found is not None and any(found.base) else None


def _place(array: pa.Array) -> Place | None:
    """Children without bytes are known by their length: they are empty, or nothing but nulls."""
    import pyarrow as pa

    if isinstance(array, pa.ExtensionArray):
        return _place(array.storage)
    base: list[object] = [0 if buffer is None else buffer.address for buffer in array.buffers()]
    kind, types = array.type, pa.types
    inner: list[Place | None] = []
    if types.is_dictionary(kind):
        inner = [_place(array.dictionary)]
    elif types.is_nested(kind):
        if types.is_struct(kind):
            inner = [_beside(_place(array.field(index)), array.offset) for index in range(kind.num_fields)]
        elif types.is_map(kind):
            inner = [_place(array.keys), _place(array.items)]
        elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            inner = [_place(array.values)]
        else:
            return None
        if None in inner:
            return None
    base.extend(inner)
    return Place(tuple(base), array.offset, len(array))


def is_read_only(array: pa.Array) -> bool:
    """Whether nobody can write to the bytes of an array."""
    import pyarrow as pa

    if isinstance(array, pa.ExtensionArray):
        return is_read_only(array.storage)
    if any(buffer is not None and buffer.is_mutable and buffer.size for buffer in array.buffers()):
        return False
    kind = array.type
    if pa.types.is_dictionary(kind):
        return is_read_only(array.dictionary)
    # The buffers of children are among the array's own, but not those of their dictionaries.
    return not pa.types.is_nested(kind) or _children_are_read_only(array)


def _children_are_read_only(array: pa.Array) -> bool:
    from pyarrow import types

    kind = array.type
    if types.is_struct(kind):
        return all(is_read_only(array.field(index)) for index in range(kind.num_fields))
    if types.is_map(kind):
        return is_read_only(array.keys) and is_read_only(array.items)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return is_read_only(array.values)
    return False


def _beside(place: Place | None, offset: int) -> Place | None:
    """The place of a struct's field, which is cut as the struct is: whatever part of it, the base is the same."""
    return None if place is None else Place(place.base, place.start - offset, 0)


def _chunks(column: pa.ChunkedArray) -> Iterable[pa.Array]:
    """Those with rows."""
    if column.num_chunks == 1:
        only = column.chunk(0)
        return (only,) if len(only) else ()
    return [chunk for chunk in column.chunks if len(chunk)]


def _find(known: Sequence[_Known], place: Place, at: int, name: str, before: Sequence[Run]) -> Run | None:
    """The rows that lie at a place: if there are several, best those that go on where the rows before end, or those of the
    same name at the same row."""
    best: tuple[int, Run] | None = None
    for one in known:
        offset = place.start - one.start
        if offset < 0 or offset + place.rows > one.rows:
            continue
        run = Run(one.source, one.name, one.row + offset, place.rows)
        goes_on = bool(before) and _goes_on(before[0], run)
        rank = 4 * goes_on + 2 * (run.name == name) + (run.start == at)
        if best is None or rank > best[0]:
            best = rank, run
    return None if best is None else best[1]


def _append(known: list[_Known], one: _Known) -> None:
    """Parts of one stream that follow each other are one."""
    if known:
        last = known[-1]
        rows = last.rows
        if (last.start + rows, last.row + rows, last.source, last.name) == (one.start, one.row, one.source, one.name):
            known[-1] = last._replace(rows=rows + one.rows)
            return
    known.append(one)


def _goes_on(before: Run, run: Run) -> bool:
    return (before.source, before.name, before.start + before.rows) == (run.source, run.name, run.start)


def _overlap(known: Sequence[_Known], run: Run) -> bool:
    """Whether some of the bytes stand for several rows of a column."""
    if len(known) == 1:
        return False
    ours = sorted((one.start, one.rows) for one in known if (one.source, one.name) == (run.source, run.name))
    return any(one[0] + one[1] > two[0] for one, two in pairwise(ours))


def _extension(field: pa.Field) -> tuple[bytes | None, ...]:
    metadata = field.metadata
    return () if not metadata else tuple(metadata.get(key) for key in _EXTENSION)
