"""CSV to Arrow, in pieces of whole rows that are parsed side by side.

Types are those that fit the whole file: each piece is read with the types that were found so far. Where a later one does not
fit, the column becomes wider, and what was read of it too narrowly is read again. Until the types are known, the pieces are
kept in a file, so memory is bounded.
"""

from __future__ import annotations

import codecs
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from module_sdk import DataError, Predicate
from modules.arrow_types import named_types
from modules.bad_rows import BadRows, Reject
from modules.csv_lines import LONGEST_LINE_BYTES, BadLine, GoodLines, NulFound, has_lines
from modules.csv_parser import NoText, Parsed, Parser, head_names
from modules.csv_pieces import Pieces, Rows, TooLong
from modules.csv_problems import check_encoding, no_text, open_quote, too_long
from modules.csv_spool import Spool
from modules.csv_types import joined, needs_text, recast
from modules.names import check_file_columns
from modules.row_filters import filtered

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 4 * 1024 * 1024
"""Bytes parsed at once; more where a row is longer."""
MOST_THREADS = 4
_HEAD_BYTES = 64 * 1024
_SAMPLE_CHARS = 2000
_ROW = re.compile(r"Row #(\d+)")
Wants = Callable[[str], bool]
_What = tuple[Sequence[str], "Mapping[str, pa.DataType]"]


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a CSV file is written. `header` may be the names themselves, for a file without a header line."""

    delimiter: str = ","
    header: bool | list[str] = True
    nulls: tuple[str, ...] = ("", "NA")
    encoding: str = "utf-8"


def read_csv(
    reopen: Callable[[], Any],
    options: CsvOptions,
    columns: Sequence[str],
    types: Mapping[str, str],
    reject: Reject | None = None,
    *,
    wants: Wants | None = None,
    filters: Sequence[Predicate] = (),
) -> pa.RecordBatchReader:
    """Read the stream that `reopen()` gives anew each time it is called: `columns` (all, if there are none) as far as
    somebody `wants` them, without rows that no one needs. With `reject`, rows that cannot be read are left out and told
    to it. Raises `DataError`, `pyarrow.ArrowInvalid`; everything that is wrong, before there is a reader."""
    check_encoding(reopen, options.encoding)
    reading = _Reading(reopen, options, reject)
    try:
        reading.begin(columns, types, wants)
        reading.read()
        reading.settle()
    except TooLong as error:
        raise too_long(reopen, options.encoding, LONGEST_LINE_BYTES, reading.rows + 1, error.begin) from None
    except (NulFound, UnicodeDecodeError, NoText) as error:
        raise no_text(error, reopen, options.encoding) from None
    return reading.reader(filters)


def csv_columns(
    reopen: Callable[[], Any], options: CsvOptions, columns: Sequence[str], types: Mapping[str, str], *, rejects: bool
) -> tuple[pa.Schema, frozenset[str]]:
    """The columns that `read_csv` would give, as the beginning of the file lets them look; also those whose type the rest of
    it may change. Raises what `read_csv` does."""
    check_encoding(reopen, options.encoding)
    reading = _Reading(reopen, options, (lambda line, rows: None) if rejects else None)
    try:
        reading.begin(columns, types, None)
        return reading.look()
    except (NulFound, UnicodeDecodeError, NoText) as error:
        raise no_text(error, reopen, options.encoding) from None


class _WrongCut(Exception):
    """A piece ends within quotes: rows go on behind line ends, and pieces have to be cut with a closer look."""


class _Reading:
    """One file."""

    def __init__(self, reopen: Callable[[], Any], options: CsvOptions, reject: Reject | None) -> None:
        if reject is not None and not has_lines(options.encoding):
            raise DataError(f"bad_rows: rows of a file in {options.encoding} cannot be rejected: convert it to utf-8")
        self._reopen, self._options = reopen, options
        self._bad = None if reject is None else BadRows(reject)
        self._lines: GoodLines | None = None
        self._row_ends, self._exactly = Rows(options.delimiter), False
        self._again = Spool()
        self._redone: dict[tuple[int, str], int] = {}
        self._begin_again()

    def begin(self, columns: Sequence[str], types: Mapping[str, str], wants: Wants | None) -> None:
        """Look at the header."""
        header = self._options.header
        names = header if isinstance(header, list) else self._names()
        check_file_columns(names, columns)
        fixed = named_types(types, names)
        chosen = [name for name in (columns or names) if wants is None or wants(name)]
        self._columns = chosen or list(columns or names)[:1]  # somebody may count the rows
        self._parser = Parser(
            self._options.delimiter,
            self._options.nulls,
            tuple(names),
            header is True,
            {name: kind for name, kind in fixed.items() if name in self._columns},
            self._bad is not None,
        )

    def look(self) -> tuple[pa.Schema, frozenset[str]]:
        """Columns after a look at the first piece, and those that are not sure."""
        import pyarrow as pa

        self._exactly = True
        found = iter(self._pieces(BLOCK_BYTES))
        first = next(found, None)
        if first is None:
            kinds = {name: self._parser.fixed.get(name, pa.null()) for name in self._columns}
            return pa.schema(list(kinds.items())), frozenset()
        schema = self._parser.parse(first, True, self._columns, {}).batch.schema
        if next(found, None) is None:
            return schema, frozenset()
        # Text stays text, whatever follows.
        sure = {one.name for one in schema if one.type.equals(_text())} | set(self._parser.fixed)
        return schema, frozenset(name for name in self._columns if name not in sure)

    def read(self) -> None:
        """All of it, into the spool; which rows are bad is told at the end, in the order of their lines."""
        try:
            self._read()
        except _WrongCut:
            self._exactly = True
            self._begin_again()
            self._read()
        self._check_last_quote(self._last)
        if self._bad is not None:
            self._bad.tell()

    def _begin_again(self) -> None:
        self._spool = Spool()
        self._kinds: list[dict[str, pa.DataType]] = []
        self._known: dict[str, pa.DataType] = {}
        self._rows = self._made = 0
        self._last = b""

    def _read(self) -> None:
        for parsed in self._parsed(lambda _: (self._columns, self._known)):
            self._tell_ragged(parsed)
            self._rows += parsed.rows
            self._made += parsed.batch.num_rows
            self._spool.add(parsed.batch)
            found = {one.name: one.type for one in parsed.batch.schema}
            self._kinds.append(found)
            self._known = {name: joined(self._known.get(name, kind), kind) for name, kind in found.items()}

    def settle(self) -> None:
        """Read again what is too narrow for the whole column, until every type fits everywhere."""
        while wrong := self._too_narrow():
            for number, parsed in self._read_again(wrong):
                self._again.add(parsed.batch)
                for one in parsed.batch.schema:
                    self._redone[number, one.name] = len(self._again) - 1
                    self._kinds[number][one.name] = one.type
                    if not one.type.equals(self._known[one.name]):  # not all of its text fits: nothing but text does
                        self._known[one.name] = _text()

    def reader(self, filters: Sequence[Predicate]) -> pa.RecordBatchReader:
        """The batches, as they are now known to be."""
        import pyarrow as pa

        schema = pa.schema([pa.field(name, self._known.get(name, pa.null())) for name in self._columns])
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema, filters))

    @property
    def rows(self) -> int:
        """Rows that were read."""
        return self._made

    # -- pieces --------------------------------------------------------------------------------------------------

    def _pieces(self, size: int) -> Pieces:
        no_nul = self._bad is None and has_lines(self._options.encoding)
        last_end = self._row_ends.last_end if self._exactly else None
        return Pieces(self._stream(), size, LONGEST_LINE_BYTES, no_nul=no_nul, last_end=last_end)

    def _stream(self) -> Any:
        """Text in UTF-8, from the first byte."""
        encoding = self._options.encoding
        if self._bad is not None:
            self._bad.begin()
            header = self._options.header is True
            self._lines = GoodLines(self._reopen(), encoding, self._bad.add, header=header)
            stream: Any = self._lines
        else:
            stream = self._reopen()
        if codecs.lookup(encoding).name == "utf-8":
            return stream
        import pyarrow as pa

        return pa.transcoding_input_stream(pa.PythonFile(stream, mode="r"), encoding, "utf-8")

    def _names(self) -> Sequence[str]:
        import pyarrow as pa

        self._exactly = True
        head = bytes(next(iter(self._pieces(_HEAD_BYTES)), b""))
        self._exactly = False
        try:
            return head_names(head, self._options.delimiter, self._options.header is False)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                raise DataError("file: the file is empty: there is not even a header line") from None
            raise

    def _parsed(self, what: Callable[[int], _What | None]) -> Iterator[Parsed]:
        """Pieces in order, parsed by several threads. `what` gives columns of a piece and their known types."""
        source = self._pieces(BLOCK_BYTES)
        waiting: deque[tuple[memoryview, Future[Parsed]]] = deque()
        threads = min(MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool:
            try:
                for number, text in enumerate(source):
                    asked = what(number)
                    if asked is not None:
                        cut = not (source.ended or self._exactly)
                        waiting.append((text, pool.submit(self._parse, text, number == 0, cut, *asked)))
                    if len(waiting) > threads + 1:
                        yield self._next(waiting, source)
            except TooLong:
                while waiting:
                    yield self._next(waiting, source)
                raise
            else:
                while waiting:
                    if len(waiting) == 1:
                        self._last = bytes(waiting[0][0])
                    yield self._next(waiting, source)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _parse(
        self, text: memoryview, first: bool, cut: bool, columns: Sequence[str], known: Mapping[str, pa.DataType]
    ) -> Parsed:
        """Any thread. `cut`: it is to be seen whether the text ends with a row. Raises `_WrongCut` if not."""
        import pyarrow as pa

        try:
            parsed = self._parser.parse(text, first, columns, known)
        except pa.ArrowInvalid:
            if cut and not self._row_ends.ends_row(text, -1):
                raise _WrongCut from None
            raise
        if cut and not self._row_ends.ends_row(text, parsed.rows):
            raise _WrongCut
        return parsed

    def _next(self, waiting: deque[tuple[memoryview, Future[Parsed]]], source: Pieces) -> Parsed:
        import pyarrow as pa

        text, future = waiting.popleft()
        try:
            parsed = future.result()
        except pa.ArrowInvalid as error:
            said = str(error)
            if "invalid UTF8" in said:
                raise NoText("a column") from None
            raise pa.ArrowInvalid(_ROW.sub(lambda found: f"Row #{int(found[1]) + self._rows}", said)) from None
        del future
        source.give_back(text)
        return parsed

    # -- what is wrong with rows ---------------------------------------------------------------------------------

    def _tell_ragged(self, parsed: Parsed) -> None:
        """Arrow found rows with another number of values."""
        for row in parsed.ragged:
            assert self._lines is not None
            assert self._bad is not None
            reason = f"it has {row.actual} values instead of {row.expected}"
            line = self._lines.line_of(self._rows + row.number)
            self._bad.add(BadLine(line, reason, row.text[:_SAMPLE_CHARS]))

    def _check_last_quote(self, last: bytes) -> None:
        if b'"' not in last or last.rstrip(b"\r\n ").endswith(b'"'):
            return
        name = self._parser.names[-1]
        parsed = self._parser.parse(last, len(self._spool) == 1, [name], {name: _text()})
        value = parsed.batch.column(0)[-1].as_py() if parsed.batch.num_rows else None
        if isinstance(value, str) and "\n" in value.replace("\r", "\n"):
            raise open_quote(self.rows, value)

    # -- types ---------------------------------------------------------------------------------------------------

    def _too_narrow(self) -> dict[int, list[str]]:
        """Columns by piece whose text has to be looked at again."""
        wrong = {
            number: [name for name, kind in kinds.items() if needs_text(kind, self._known[name])]
            for number, kinds in enumerate(self._kinds)
        }
        return {number: names for number, names in wrong.items() if names}

    def _read_again(self, wrong: Mapping[int, Sequence[str]]) -> Iterator[tuple[int, Parsed]]:
        numbers = sorted(wrong)

        def what(number: int) -> _What | None:
            return (wrong[number], self._known) if number in wrong else None

        yield from zip(numbers, self._parsed(what), strict=True)

    def _batches(self, schema: pa.Schema, filters: Sequence[Predicate]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        try:
            for number in range(len(self._kinds)):
                batch = self._spool.get(number)
                columns = [self._column(number, batch, one) for one in schema]
                yield filtered(pa.RecordBatch.from_arrays(columns, schema=schema), filters)
        finally:
            self._spool.close()
            self._again.close()

    def _column(self, number: int, batch: pa.RecordBatch, one: pa.Field) -> pa.Array:
        again = self._redone.get((number, one.name))
        return recast((batch if again is None else self._again.get(again)).column(one.name), one.type)


def _text() -> pa.DataType:
    import pyarrow as pa

    return pa.string()
