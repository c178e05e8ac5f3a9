"""A reference whose columns come from several others: nothing is copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from plugmesh.contracts.data import ColumnGroup, ColumnSpan, DataRef, Fragment, table_bytes
from plugmesh.data.schema import make_schema_ipc

if TYPE_CHECKING:
    import pyarrow as pa


def compose(schema: pa.Schema, sources: Mapping[str, tuple[DataRef, str]], rows: Sequence[int]) -> DataRef:
    """The table with `schema` whose columns are columns of other references, `{name: (reference, name there)}`.

    All of them have fragments of `rows` rows.
    """
    fragments = tuple(Fragment(rows=count, groups=_groups(sources, index)) for index, count in enumerate(rows))
    return DataRef(schema_ipc=make_schema_ipc(schema), rows=sum(rows), fragments=fragments)


def _groups(sources: Mapping[str, tuple[DataRef, str]], index: int) -> tuple[ColumnGroup, ...]:
    spans: dict[int, dict[str, tuple[ColumnGroup, ColumnSpan]]] = {}
    groups: dict[tuple[str, int, int | None], list[ColumnSpan]] = {}
    for name, (ref, there) in sources.items():
        known = spans.get(id(ref))
        if known is None:
            known = spans[id(ref)] = _spans(ref.fragments[index])
        group, span = known[there]
        part = (group.key, group.start, group.rows)
        groups.setdefault(part, []).append(span if there == name else span.model_copy(update={"name": name}))
    return tuple(
        ColumnGroup(key=key, columns=tuple(found), start=start, rows=count)
        for (key, start, count), found in groups.items()
    )


def _spans(fragment: Fragment) -> dict[str, tuple[ColumnGroup, ColumnSpan]]:
    return {span.name: (group, span) for group in fragment.groups for span in group.columns}


def bytes_of(ref: DataRef, columns: Sequence[str] | None = None) -> int:
    """Bytes of a reference's columns."""
    return table_bytes(ref, None if columns is None else set(columns))
