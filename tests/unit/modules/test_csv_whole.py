"""A CSV file that is read in pieces is what Arrow makes of the whole of it."""

from __future__ import annotations

import io
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from module_sdk import Predicate, TransientError
from modules import csv_reader
from modules.csv_pieces import Pieces, Rows
from modules.csv_reader import CsvOptions, read_csv
from modules.csv_spool import Spool

WORDS = [
    "", "NA", "1", "-7", "0x1F", "007", "99999999999", "1.5", "1e3", "nan", "true", "False", "2026-01-02", "9999-01-02",
    "10:11:12", "2026-01-02 10:11:12", "2026-01-02 10:11:12.123", "2026-01-02T10:11:12Z", "x", "ä", '"NA"', '""', '"5"',
    '"a,b"', '"a\nb"', '"say ""x"""', ' 1 ', 'in"ch',
]  # fmt: skip
columns = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).flatmap(
    lambda kinds: st.lists(st.sampled_from(kinds), min_size=12, max_size=40)
)


def whole(text: str) -> pa.Table:
    return pyarrow.csv.read_csv(
        io.BytesIO(text.encode()),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=["", "NA"],
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def in_pieces(text: str, columns: Any = (), *, block: int = 64, **options: Any) -> pa.Table:
    with patch.object(csv_reader, "BLOCK_BYTES", block), patch.object(csv_reader, "Spool", lambda: Spool(100)):
        reader = read_csv(lambda: io.BytesIO(text.encode()), CsvOptions(), columns, {}, **options)
        return reader.read_all()


@settings(max_examples=100, deadline=None)
@given(columns, columns, st.sampled_from([1, 16, 64, 200]))
@pytest.mark.full
def test_pieces_of_any_size_give_the_same_types_and_values(one: list[str], two: list[str], block: int) -> None:
    rows = [f"{left},{right},{number}" for number, (left, right) in enumerate(zip(one, two, strict=False))]
    text = "a,b,n\n" + "\n".join(rows) + "\n"
    expected, found = whole(text), in_pieces(text, block=block)
    assert found.schema == expected.schema
    assert str(found.to_pydict()) == str(expected.to_pydict())  # as text: NaN is not equal to itself


@given(st.text(alphabet='ab"\n,', max_size=200), st.integers(1, 40))
def test_pieces_are_the_whole_text_and_end_with_lines(text: str, size: int) -> None:
    found = [bytes(piece) for piece in Pieces(io.BytesIO(text.encode()), size, 10_000)]
    assert b"".join(found) == text.encode()
    assert all(piece.endswith(b"\n") for piece in found[:-1])


def test_the_memory_of_pieces_is_used_again() -> None:
    source = Pieces(io.BytesIO(b"1\n" * 1000), 16, 1000)
    for piece in source:
        source.give_back(piece)
    assert len(source._free) <= 2


def row_end(text: bytes) -> int:
    return Rows(",").last_end(text, len(text))


def test_a_line_end_within_quotes_ends_no_row() -> None:
    assert row_end(b'a,b\n1,"x\ny') == 4
    assert row_end(b'a,b\n1,"x\ny"\n2') == 12
    assert row_end(b'a,b\n1,"x ""\ny"\n"2\n') == 15
    assert row_end(b"a,b") == 0
    assert row_end(b"a\rb") == 2


def test_a_quote_within_a_value_opens_nothing() -> None:
    assert row_end(b'a,5" pipe\n2,"x\ny"\n') == 18
    assert row_end(b'"a"b"c\n') == 7


@settings(max_examples=100)
@given(st.text(alphabet='ab"\n,\r', max_size=60).map(lambda text: text + "\n"))
def test_the_quick_look_at_the_end_of_a_piece_says_what_the_close_one_does(text: str) -> None:
    """Of texts that Arrow reads as one column: it has as many rows as it says."""
    data = text.encode()
    try:
        rows = pyarrow.csv.read_csv(
            io.BytesIO(data),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=1000, column_names=["a", "b"]),
        ).num_rows
    except pa.ArrowInvalid:
        return
    if "\r" not in text:
        assert Rows(",").ends_row(memoryview(data), rows) == (row_end(data) == len(data))


@pytest.mark.parametrize(
    ("later", "kind"),
    [("1.5", "double"), ("x", "string"), ("0x1F", "int64"), ("NA", "int64"), ("true", "string")],
)
def test_only_a_column_that_does_not_fit_is_read_again(later: str, kind: str) -> None:
    text = "a,b\n" + "1,2\n" * 50 + f"{later},3\n"
    table = in_pieces(text)
    assert [str(one.type) for one in table.schema] == [kind, "int64"]
    assert table.num_rows == 51


def test_hexadecimal_numbers_are_no_floats_so_such_a_column_is_text() -> None:
    table = in_pieces("a,b\n" + "0x1F,2\n" * 30 + "1.5,3\n")
    assert str(table.schema.field("a").type) == "string"
    assert table.column("a")[0].as_py() == "0x1F"


def test_only_wanted_columns_are_read_whatever_their_case() -> None:
    text = "Id,b,c\n1,x,2\n"
    assert in_pieces(text, wants=lambda name: name.casefold() in {"id", "c", "z"}).column_names == ["Id", "c"]
    assert in_pieces(text, ["c", "b"], wants=lambda name: name == "b").column_names == ["b"]


def test_rows_can_be_counted_when_no_column_is_wanted() -> None:
    table = in_pieces("a,b\n1,x\n2,y\n", wants=lambda _: False)
    assert (table.num_rows, table.column_names) == (2, ["a"])


def test_rows_that_nobody_needs_are_left_out_when_their_types_are_known() -> None:
    text = "a,b\n" + "".join(f"{n},{'x' if n % 2 else 'y'}\n" for n in range(100))
    some = [Predicate(column="A", op=">=", value=90), Predicate(column="b", op="=", value="x")]
    assert in_pieces(text, filters=some).column("a").to_pylist() == [91, 93, 95, 97, 99]
    assert in_pieces(text, filters=[Predicate(column="a", op="=", value="91")]).num_rows == 100
    assert in_pieces(text, filters=[Predicate(column="nothing", op="=", value=1)]).num_rows == 100


def test_a_row_with_too_many_values_is_an_error_though_its_columns_are_not_wanted() -> None:
    text = "a,b\n" + "1,2\n" * 50 + "1,2,3\n"
    with pytest.raises(pa.ArrowInvalid, match="Row #52: Expected 2 columns, got 3"):
        in_pieces(text, wants=lambda name: name == "a")


def test_dates_and_moments_are_compared_with_texts_as_sql_writes_them() -> None:
    text = "d,t\n" + "".join(f"2026-01-{day:02},2026-01-{day:02} 10:00:00\n" for day in range(1, 31))

    def left(column: str, op: str, value: Any) -> int:
        kept = Predicate.model_validate({"column": column, "op": op, "value": value})
        return int(in_pieces(text, filters=[kept]).num_rows)

    assert left("d", ">=", "2026-01-29") == 2
    assert left("d", "in", ["2026-01-29", "2026-01-01"]) == 2
    assert left("t", ">", "2026-01-29") == 2
    assert left("t", "<", "2026-01-01 10:00:01") == 1
    assert left("d", "=", "2026-01-29 00:00:00") == 30
    assert left("d", "=", "yesterday") == 30


def test_a_full_folder_for_temporary_files_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Spool, batch: pa.RecordBatch) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "_write", full)
    with pytest.raises(TransientError, match=r"has no room: .*No space left"):
        in_pieces("a,b\n" + "1,2\n" * 100)
