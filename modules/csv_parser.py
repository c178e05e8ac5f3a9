"""One piece of a CSV file, parsed: a batch, and what was found wrong with its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_QUOTE = b'"'
_COLUMN = re.compile(r"^In CSV column #(\d+): ")


class NoText(Exception):
    """A column is not text of the file's encoding."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """A row with another number of values than it should have. `number` counts rows of its piece from 1."""

    number: int
    expected: int
    actual: int
    text: str


@dataclass(slots=True)
class Parsed:
    """A piece. `rows` counts all that are in it, with the header and those that are left out."""

    batch: pa.RecordBatch
    rows: int
    ragged: list[Ragged] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parser:
    """How pieces are parsed. `names` are all columns of the file, `header` says that the first piece begins with them;
    `fixed` are types that somebody has set. With `rejects`, rows with another number of values are left out."""

    delimiter: str
    nulls: tuple[str, ...]
    names: tuple[str, ...]
    header: bool
    fixed: Mapping[str, pa.DataType]
    rejects: bool = False

    def parse(
        self, text: bytes | memoryview, first: bool, columns: Sequence[str], known: Mapping[str, pa.DataType]
    ) -> Parsed:
        """`columns` of a piece, with their `known` types where these fit, else with the narrowest that fit the piece.

        Any thread. Raises `pyarrow.ArrowInvalid`, `NoText`.
        """
        import pyarrow as pa
        from pyarrow import csv, types

        ragged: list[Ragged] = []
        read = csv.ReadOptions(
            use_threads=False, block_size=len(text) + 1, column_names=None if first and self.header else self.names
        )
        whole = text if isinstance(text, bytes) else text.obj
        quoted = not isinstance(whole, bytes | bytearray) or _QUOTE in whole  # to look at each takes Arrow time
        forced = {name: kind for name, kind in known.items() if name in columns and not types.is_null(kind)}
        while True:
            ragged.clear()
            convert = self.conversion(columns, {**forced, **self.fixed})
            try:
                table = csv.read_csv(pa.BufferReader(text), read, self._parsing(ragged, quoted=quoted), convert)
                break
            except pa.ArrowInvalid as error:
                misfit = self._column(error)
                if misfit is None or misfit not in forced or misfit in self.fixed:
                    raise
                del forced[misfit]
        for one in table.schema:
            if types.is_binary(one.type) and one.name not in self.fixed:
                raise NoText(f"the column {one.name!r}")
        header = 1 if first and self.header else 0
        return Parsed(_batch(table), table.num_rows + header + len(ragged), ragged)

    def conversion(self, columns: Sequence[str], types: Mapping[str, pa.DataType]) -> Any:
        """What texts mean."""
        from pyarrow import csv

        return csv.ConvertOptions(
            null_values=list(self.nulls),
            true_values=["true", "True", "TRUE"],  # not 1 and 0, which are integers
            false_values=["false", "False", "FALSE"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            include_columns=list(columns),
            column_types=dict(types),
        )

    def _parsing(self, ragged: list[Ragged], *, quoted: bool) -> Any:
        from pyarrow import csv

        def skip(row: Any) -> str:
            ragged.append(Ragged(row.number, row.expected_columns, row.actual_columns, row.text))
            return "skip"

        handler = skip if self.rejects else None
        quote = '"' if quoted else False
        return csv.ParseOptions(delimiter=self.delimiter, quote_char=quote, invalid_row_handler=handler)

    def _column(self, error: Exception) -> str | None:
        found = _COLUMN.match(str(error))
        return self.names[int(found[1])] if found else None


def head_names(text: bytes, delimiter: str, autogenerate: bool) -> list[str]:
    """The names in the first row, or (`autogenerate`) names for as many columns as it has. Raises `pyarrow.ArrowInvalid`."""
    import pyarrow as pa
    from pyarrow import csv

    read = csv.ReadOptions(use_threads=False, block_size=len(text) + 1, autogenerate_column_names=autogenerate)
    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    return list(csv.read_csv(pa.BufferReader(text), read, parse).column_names)


def _batch(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
