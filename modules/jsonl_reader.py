"""JSON lines to Arrow: one object a line. Numbers widen over the whole file; text and numbers in one column do not mix.

Read in pieces of whole lines, side by side. A piece that looks other than the whole file does is read again when the types of
all columns are known; until then the pieces are kept in a file, so memory is bounded.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from module_sdk import DataError, Predicate
from modules.arrow_types import named_types
from modules.bad_rows import BadRows, Reject
from modules.csv_pieces import Pieces, TooLong
from modules.csv_spool import Spool
from modules.json_depth import BracketLimit, ManyBrackets, check_depth
from modules.json_lines import GoodObjects
from modules.json_types import Conflict, joined_schema
from modules.row_filters import filtered

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 8 * 1024 * 1024
"""Bytes parsed at once; more where an object is longer."""
MOST_THREADS = 4
_LARGEST_BLOCK_BYTES = 1024 * 1024 * 1024
_ROW = re.compile(r"in row (\d+)")
Choose = Callable[[Sequence[str]], list[str]]


def read_jsonl(
    reopen: Callable[[], Any],
    types: Mapping[str, str],
    reject: Reject | None = None,
    *,
    choose: Choose = list,
    filters: Sequence[Predicate] = (),
) -> pa.RecordBatchReader:
    """Read the stream that `reopen()` gives anew each time it is called: of the columns that there are, those that `choose`
    names, without rows that no one needs. With `reject`, lines that are no objects are left out and told to it. Raises
    `DataError`, `pyarrow.ArrowInvalid`; everything that is wrong, before there is a reader."""
    import pyarrow as pa

    reading = _Reading(reopen, named_types(types, None), reject)
    try:
        reading.read()
        return reading.reader(choose, filters)
    except TooLong:
        raise DataError(
            f"file: a line is longer than {_LARGEST_BLOCK_BYTES >> 20} MiB: are its line ends missing?"
        ) from None
    except (pa.ArrowInvalid, Conflict) as error:
        said = str(error)
        if "Empty JSON" in said:
            raise DataError("file: the file is empty: it has no line with an object") from None
        if "changed from" in said or "Failed to convert" in said:
            raise DataError(
                f"file: a column has values of several types ({said.partition(': ')[2] or said}): make them one type, "
                "or say in `types` what to read them as"
            ) from None
        raise


class _Reading:
    """One file."""

    def __init__(self, reopen: Callable[[], Any], types: Mapping[str, pa.DataType], reject: Reject | None) -> None:
        self._reopen, self._types = reopen, types
        self._bad = None if reject is None else BadRows(reject)
        self._spool, self._again = Spool(), Spool()
        self._schemas: list[pa.Schema] = []
        self._redone: dict[int, int] = {}
        self._rows = 0
        self._checked = False

    def read(self) -> None:
        """All of it, into the spool; bad lines are told at the end. Raises `pyarrow.ArrowInvalid`, `DataError`."""
        try:
            self._read()
        except ManyBrackets:
            check_depth(self._reopen())
            self._checked = True
            self._read()
        if self._bad is not None:
            self._bad.tell()

    def _read(self) -> None:
        import pyarrow as pa

        self._spool, self._schemas, self._rows = Spool(), [], 0
        explicit = pa.schema(list(self._types.items())) if self._types else None
        for batch in self._parsed(lambda _: explicit, range(_LARGEST_BLOCK_BYTES)):
            self._rows += batch.num_rows
            self._spool.add(batch)
            self._schemas.append(batch.schema)
        if not any(schema.names for schema in self._schemas):
            raise pa.ArrowInvalid("Empty JSON file")

    def reader(self, choose: Choose, filters: Sequence[Predicate]) -> pa.RecordBatchReader:
        """The batches, as they are now known to be. Raises `Conflict`, `DataError`."""
        import pyarrow as pa

        whole = joined_schema(self._schemas)
        chosen = pa.schema([whole.field(name) for name in choose(whole.names)])
        wrong = [number for number, schema in enumerate(self._schemas) if not _holds(schema, chosen)]
        for number, batch in zip(wrong, self._parsed(lambda _: whole, wrong), strict=True):
            self._again.add(batch)
            self._redone[number] = len(self._again) - 1
        return pa.RecordBatchReader.from_batches(chosen, self._batches(chosen, filters))

    def _batches(self, schema: pa.Schema, filters: Sequence[Predicate]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        try:
            for number in range(len(self._schemas)):
                again = self._redone.get(number)
                batch = self._spool.get(number) if again is None else self._again.get(again)
                columns = [batch.column(name) for name in schema.names]
                yield filtered(pa.RecordBatch.from_arrays(columns, schema=schema), filters)
        finally:
            self._spool.close()
            self._again.close()

    def _stream(self) -> Any:
        if self._bad is not None:
            self._bad.begin()
            stream: Any = GoodObjects(self._reopen(), self._bad.add)
        else:
            stream = self._reopen()
        return stream if self._checked else BracketLimit(stream)

    def _parsed(self, explicit: Callable[[int], pa.Schema | None], numbers: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """The pieces of these numbers in order, parsed by several threads; pieces without objects are not counted."""
        source = Pieces(self._stream(), BLOCK_BYTES, _LARGEST_BLOCK_BYTES)
        waiting: deque[tuple[memoryview, Future[pa.RecordBatch]]] = deque()
        threads = min(MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool:
            try:
                for number, text in enumerate(source):
                    if number in numbers:
                        waiting.append((text, pool.submit(_parse, text, explicit(number))))
                    if len(waiting) > threads + 1:
                        yield self._next(waiting, source)
                while waiting:
                    yield self._next(waiting, source)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _next(self, waiting: deque[tuple[memoryview, Future[pa.RecordBatch]]], source: Pieces) -> pa.RecordBatch:
        import pyarrow as pa

        text, future = waiting.popleft()
        try:
            batch = future.result()
        except pa.ArrowInvalid as error:
            said = _ROW.sub(lambda found: f"in row {int(found[1]) + self._rows}", str(error))
            raise pa.ArrowInvalid(said) from None
        del future
        source.give_back(text)
        return batch


def _parse(text: memoryview, explicit: pa.Schema | None) -> pa.RecordBatch:
    """Any thread. A piece of blank lines has neither columns nor rows."""
    import pyarrow as pa
    from pyarrow import json

    try:
        table = json.read_json(
            pa.BufferReader(text),
            read_options=json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=json.ParseOptions(explicit_schema=explicit, unexpected_field_behavior="infer"),
        )
    except pa.ArrowInvalid as error:
        if "Empty JSON" not in str(error):
            raise
        return pa.RecordBatch.from_arrays([], schema=pa.schema([]))
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _holds(schema: pa.Schema, wanted: pa.Schema) -> bool:
    """Whether a piece has these columns with these types."""
    return all(one.name in schema.names and schema.field(one.name).type.equals(one.type) for one in wanted)
