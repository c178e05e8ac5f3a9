"""Operations on references that move no data: what a step that drops, renames or adds columns writes.

All but `spill` and `resolve` are pure. Every one raises `DataMismatch` when columns or rows do not fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from plugmesh.contracts.data import (
    ColumnGroup,
    DataRef,
    FileRef,
    Fragment,
    JoinedRef,
    Reference,
    SpilledRef,
    ValueRef,
    kind_of,
)
from plugmesh.data.checked import read_checked
from plugmesh.data.digest import content_hash
from plugmesh.data.schema import find_columns, make_schema_ipc, schema_of
from plugmesh.errors import DataMismatch, ObjectCorrupt
from plugmesh.objects.port import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

SPILL_BYTES = 16 * 1024
"""A reference whose JSON is longer than this goes to the object store instead of into a message."""

_REFERENCE: TypeAdapter[Reference] = TypeAdapter(Reference)


def select(ref: DataRef, columns: Sequence[str]) -> DataRef:
    """Only `columns`, in that order."""
    import pyarrow as pa

    schema = schema_of(ref)
    find_columns(schema.names, columns)
    if len(set(columns)) != len(columns):
        raise DataMismatch(f"a column is selected twice: {', '.join(columns)}")
    chosen = pa.schema([schema.field(name) for name in columns], schema.metadata)
    fragments = tuple(_keep(fragment, columns) for fragment in ref.fragments)
    return DataRef(schema_ipc=make_schema_ipc(chosen), rows=ref.rows, fragments=fragments)


def drop(ref: DataRef, columns: Iterable[str]) -> DataRef:
    """All columns but these."""
    gone = dict.fromkeys(columns)
    names = schema_of(ref).names
    find_columns(names, list(gone))
    return select(ref, [name for name in names if name not in gone])


def rename(ref: DataRef, names: Mapping[str, str]) -> DataRef:
    """Columns called otherwise, `{old: new}`; two may swap names."""
    import pyarrow as pa

    schema = schema_of(ref)
    find_columns(schema.names, list(names))
    called = [names.get(name, name) for name in schema.names]
    twice = next((name for name, count in Counter(called).items() if count > 1), None)
    if twice is not None:
        raise DataMismatch(f"after renaming there would be two columns {twice!r}: rename or drop the other one too")
    renamed = pa.schema([field.with_name(name) for field, name in zip(schema, called, strict=True)], schema.metadata)
    fragments = tuple(
        fragment.model_copy(update={"groups": tuple(_renamed(group, names) for group in fragment.groups)})
        for fragment in ref.fragments
    )
    return DataRef(schema_ipc=make_schema_ipc(renamed), rows=ref.rows, fragments=fragments)


def attach(ref: DataRef, other: DataRef, columns: Sequence[str]) -> DataRef:
    """`ref` with `columns` of `other` after its own; both must have the same fragments (the same rows in each).

    A new column gets them by `write_table(…, boundaries=[fragment.rows for fragment in ref.fragments])`.
    """
    added = select(other, columns)
    names, more = schema_of(ref), schema_of(added)
    if both := sorted(set(names.names) & set(columns)):
        raise DataMismatch(f"column {both[0]!r} is in both tables: drop or rename one of them")
    ours, theirs = [part.rows for part in ref.fragments], [part.rows for part in added.fragments]
    if ours != theirs:
        raise DataMismatch(
            f"columns cannot be put beside each other: {ref.rows} rows in {len(ours)} fragments and "
            f"{other.rows} rows in {len(theirs)}; write the new columns with the boundaries of the old"
        )
    schema = names
    for field in more:
        schema = schema.append(field)
    fragments = tuple(
        Fragment(rows=one.rows, groups=_merged(one.groups + two.groups))
        for one, two in zip(ref.fragments, added.fragments, strict=True)
    )
    return DataRef(schema_ipc=make_schema_ipc(schema), rows=ref.rows, fragments=fragments)


def join(refs: Sequence[Reference]) -> Reference:
    """The rows of all tables in order, also of those that were spilled. Raises `DataMismatch`."""
    parts: list[DataRef | SpilledRef] = []
    for ref in refs:
        if isinstance(ref, JoinedRef):
            parts += ref.parts
        elif isinstance(ref, DataRef) or (isinstance(ref, SpilledRef) and ref.of == "table" and ref.rows is not None):
            parts.append(ref)
        else:
            raise DataMismatch(f"only tables can be put together, and one of {len(refs)} is a {kind_of(ref)}")
    tables = [part for part in parts if isinstance(part, DataRef)]
    if len(tables) == len(parts):
        return concat(tables)
    return parts[0] if len(parts) == 1 else JoinedRef(rows=sum(part.rows or 0 for part in parts), parts=tuple(parts))


def concat(refs: Sequence[DataRef]) -> DataRef:
    """The rows of all, in order. They must have the same columns and types in the same order."""
    if not refs:
        raise DataMismatch("there is nothing to put together: at least one table is needed")
    for number, ref in enumerate(refs[1:], 1):
        if ref.schema_ipc == refs[0].schema_ipc:
            continue  # the rule; no need to decode it, nor to import pyarrow in a scheduler
        first, schema = schema_of(refs[0]), schema_of(ref)
        if schema.names != first.names or schema.types != first.types:
            raise DataMismatch(
                f"table {number} does not continue table 0: expected {_described(first)}; found {_described(schema)}"
            )
    fragments = tuple(fragment for ref in refs for fragment in ref.fragments)
    return DataRef(schema_ipc=refs[0].schema_ipc, rows=sum(ref.rows for ref in refs), fragments=fragments)


def cut(ref: Reference, start: int, rows: int) -> Reference:
    """The same as `slice_ref` of any reference to a table. Raises `DataMismatch` for what is none."""
    if isinstance(ref, DataRef):
        return slice_ref(ref, start, rows)
    if isinstance(ref, SpilledRef) and ref.of == "table" and ref.rows is not None:
        left = min(rows, max(ref.rows - start, 0))
        return ref.model_copy(update={"start": (ref.start or 0) + start, "rows": left})
    if not isinstance(ref, JoinedRef):
        raise DataMismatch(f"only a table has rows to cut, not a {kind_of(ref)}")
    parts: list[Reference] = []
    for part in ref.parts:
        begin, stop = max(start, 0), min(start + rows, part.rows or 0)
        if begin < stop:
            parts.append(cut(part, begin, stop - begin))
        start -= part.rows or 0
    return join(parts or [cut(ref.parts[0], 0, 0)])


def slice_ref(ref: DataRef, start: int, rows: int) -> DataRef:
    """At most `rows` rows of `ref` from row `start` on; no byte is moved. Raises `ValueError` for negative numbers."""
    if start < 0 or rows < 0:
        raise ValueError(f"start {start} and rows {rows} must not be negative")
    fragments: list[Fragment] = []
    first, end = start, start + rows
    for fragment in ref.fragments:
        begin, stop = max(first, 0), min(end, fragment.rows)
        if begin < stop:
            fragments.append(fragment if stop - begin == fragment.rows else _part(fragment, begin, stop - begin))
        first, end = first - fragment.rows, end - fragment.rows
    return ref.model_copy(update={"rows": sum(part.rows for part in fragments), "fragments": tuple(fragments)})


def _part(fragment: Fragment, start: int, rows: int) -> Fragment:
    groups = (
        group.model_copy(
            update={"start": group.start + start, "rows": fragment.rows if group.rows is None else group.rows}
        )
        for group in fragment.groups
    )
    return Fragment(rows=rows, groups=tuple(groups))


def spill(store: ObjectStore, key: str, ref: Reference, *, limit_bytes: int = SPILL_BYTES) -> Reference:
    """`ref` itself, or, if its JSON is longer than `limit_bytes`, a short one to where it now lies: under `key`.

    Raises `StoreFull`, `Conflict`.
    """
    if isinstance(ref, SpilledRef):
        return ref
    text = ref.model_dump_json().encode()
    if len(text) <= limit_bytes:
        return ref
    writer = store.create(key)
    writer.write(text)
    writer.commit()
    rows = ref.rows if isinstance(ref, DataRef | JoinedRef) else None
    return SpilledRef(
        of=kind_of(ref), key=key, bytes=len(text), hash=content_hash(text), rows=rows, schema_hash=schema_hash(ref)
    )


def schema_hash(ref: Reference) -> str | None:
    """What tells the columns of a table from others, as far as it is known without reading anything: metadata counts, too."""
    if isinstance(ref, DataRef):
        return content_hash(ref.schema_ipc.encode())
    if isinstance(ref, JoinedRef):
        return schema_hash(ref.parts[0]) if ref.parts else None
    return ref.schema_hash if isinstance(ref, SpilledRef) else None


def resolve(store: ObjectStore, ref: Reference) -> DataRef | FileRef | ValueRef:
    """The reference that `ref` stands for. Raises `ObjectMissing`, `ObjectCorrupt`, `DataMismatch`."""
    if isinstance(ref, JoinedRef):
        return _joined(store, ref)
    if not isinstance(ref, SpilledRef):
        return ref
    text = read_checked(store, ref.key, 0, ref.bytes, ref.hash, about=", a reference", verify=True)
    try:
        found = _REFERENCE.validate_json(bytes(text))
    except ValidationError as error:
        raise ObjectCorrupt(f"object {ref.key} holds no reference: {error}") from error
    if isinstance(found, SpilledRef) or kind_of(found) != ref.of:
        raise ObjectCorrupt(f"object {ref.key} holds a reference of kind {found.kind}, not {ref.of}")
    if isinstance(found, JoinedRef):
        found = _joined(store, found)
    if ref.start is None or not isinstance(found, DataRef):
        return found
    return slice_ref(found, ref.start, ref.rows or 0)


def _joined(store: ObjectStore, ref: JoinedRef) -> DataRef:
    parts = [resolve(store, part) for part in ref.parts]
    return concat([part for part in parts if isinstance(part, DataRef)])


def _keep(fragment: Fragment, columns: Sequence[str]) -> Fragment:
    wanted = set(columns)
    groups = (
        group.model_copy(update={"columns": tuple(span for span in group.columns if span.name in wanted)})
        for group in fragment.groups
    )
    return Fragment(rows=fragment.rows, groups=tuple(group for group in groups if group.columns))


def _renamed(group: ColumnGroup, names: Mapping[str, str]) -> ColumnGroup:
    spans = (span.model_copy(update={"name": names.get(span.name, span.name)}) for span in group.columns)
    return group.model_copy(update={"columns": tuple(spans)})


def _merged(groups: Sequence[ColumnGroup]) -> tuple[ColumnGroup, ...]:
    """One group for each part of an object, so that a table that is put together again is as short as it was."""
    by_part: dict[tuple[str, int, int | None], ColumnGroup] = {}
    for group in groups:
        part = (group.key, group.start, group.rows)
        before = by_part.get(part)
        columns = before.columns + group.columns if before else group.columns
        by_part[part] = group.model_copy(update={"columns": columns})
    return tuple(by_part.values())


def _described(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema) or "no columns"
