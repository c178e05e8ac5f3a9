"""Which columns of an output anybody uses, and how the others are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Wanted:
    """Names of columns, compared without regard to case; there may be more than a table has, and none at all: then somebody
    counts the rows."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._folded = frozenset(name.casefold() for name in self.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.casefold() in self._folded

    def of(self, table: Any) -> Any:
        """A table, or a reader of batches, without the columns that nobody uses."""
        names: list[str] = table.schema.names
        chosen = [index for index, name in enumerate(names) if name in self] or [0][: len(names)]
        if len(chosen) == len(names):
            return table
        if hasattr(table, "num_rows"):
            return table.select(chosen)
        import pyarrow as pa

        schema = pa.schema([table.schema.field(index) for index in chosen], table.schema.metadata)
        return pa.RecordBatchReader.from_batches(schema, (batch.select(chosen) for batch in table))


def wanted_of(columns: Mapping[str, Iterable[str]] | None) -> dict[str, Wanted]:
    """By output port; a port that is missing is used whole."""
    return {} if columns is None else {port: Wanted(names) for port, names in columns.items()}
