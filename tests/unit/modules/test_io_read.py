import bz2
import gzip
import io
import logging
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk import Context, DataError
from module_sdk.errors import TooManyRejected
from module_sdk.testing import Reported, run
from modules import csv_lines, csv_reader, jsonl_reader
from modules.io_read import read

Put = Callable[[str, bytes | str], str]
FLIGHTS = """year,month,dep_time,arr_delay,carrier,tailnum,time_hour
2013,1,517,11,UA,N14228,2013-01-01T10:00:00Z
2013,1,NA,NA,UA,NA,2013-01-01T10:00:00Z
2013,1,542,33,AA,N619AA,2013-01-01T10:00:00Z
"""


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, content: bytes | str) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def test_flights_have_the_right_types_and_na_is_null(put: Put) -> None:
    table = run(read, file=put("flights.csv", FLIGHTS))
    assert types(table) == {
        "year": "int64",
        "month": "int64",
        "dep_time": "int64",
        "arr_delay": "int64",
        "carrier": "string",
        "tailnum": "string",
        "time_hour": "timestamp[s, tz=UTC]",
    }
    assert table.column("dep_time").to_pylist() == [517, None, 542]
    assert table.column("tailnum").to_pylist() == ["N14228", None, "N619AA"]


@pytest.mark.parametrize(
    ("last", "kind", "value"),
    [
        ("1.5", "double", 1.5),
        ("x", "string", "x"),
        ("NA", "int64", None),
        ("2026-01-01", "string", "2026-01-01"),
        ("true", "string", "true"),
    ],
)
def test_a_column_that_changes_in_the_last_line_of_many_blocks_is_widened(
    put: Put, monkeypatch: pytest.MonkeyPatch, last: str, kind: str, value: Any
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1000)
    table = run(read, file=put("t.csv", "a,b\n" + "1,2\n" * 2000 + f"{last},3\n"))
    assert types(table) == {"a": kind, "b": "int64"}
    assert table.num_rows == 2001
    assert table.column("a")[-1].as_py() == value
    assert table.column("a")[0].as_py() == ("1" if kind == "string" else 1)


def test_a_line_longer_than_a_block_is_read(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1000)
    table = run(read, file=put("t.csv", "a,b\n1," + "y" * 100_000 + "\n2,z\n"))
    assert table.column("a").to_pylist() == [1, 2]


def test_quoted_text_keeps_commas_line_ends_and_words_that_mean_null(put: Put) -> None:
    table = run(read, file=put("t.csv", 'a,b\n"x, ""y""\nz",1\n"NA",2\n"",3\nNA,4\n'))
    assert table.column("a").to_pylist() == ['x, "y"\nz', "NA", "", None]


def test_other_delimiters_nulls_headers_and_encodings(put: Put) -> None:
    table = run(
        read, file=put("t.csv", "ä;-\n".encode("latin-1")), delimiter=";", nulls=["-"], encoding="latin-1", header=False
    )
    assert table.to_pylist() == [{"f0": "ä", "f1": None}]
    assert run(read, file=put("t.tsv", "a\tb\n1\t2\n")).column_names == ["a", "b"]
    assert run(read, file=put("u.csv", "1,2\n"), header=["x", "y"]).to_pylist() == [{"x": 1, "y": 2}]


def test_columns_are_chosen_and_types_given(put: Put) -> None:
    file = put("t.csv", "zip,price,when,n\n01234,1.10,2026-01-01T00:00:00Z,1\n")
    given = {"zip": "string", "price": "decimal128(10, 2)", "when": "timestamp[us, tz=UTC]"}
    table = run(read, file=file, columns=["price", "zip", "when"], types=given)
    assert types(table) == {"price": "decimal128(10, 2)", "zip": "string", "when": "timestamp[us, tz=UTC]"}
    assert table.column("zip").to_pylist() == ["01234"]


def test_a_header_alone_is_an_empty_table(put: Put) -> None:
    table = run(read, file=put("t.csv", "a,b\n"))
    assert (table.num_rows, table.column_names) == (0, ["a", "b"])


@pytest.mark.parametrize("packed", ["gz", "bz2", "zst", "zip"])
def test_packed_files_are_unpacked(put: Put, packed: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as inside:
        inside.writestr("folder/flights.csv", FLIGHTS)
    zstd = pa.compress(FLIGHTS.encode(), "zstd", asbytes=True)
    plain = FLIGHTS.encode()
    content = {"gz": gzip.compress(plain), "bz2": bz2.compress(plain), "zst": zstd, "zip": archive.getvalue()}
    assert run(read, file=put(f"flights.csv.{packed}", content[packed])).num_rows == 3


def test_parquet_and_arrow_keep_their_types(put: Put) -> None:
    table = pa.table({"s": pa.array(["x", None]).dictionary_encode(), "l": pa.array([[1], None], pa.list_(pa.int8()))})
    parquet, stream, file = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    for name, buffer in {"t.parquet": parquet, "t.arrow": file, "u.arrows": stream}.items():
        assert run(read, file=put(name, buffer.getvalue())).equals(table)
        assert run(read, file=put(name + ".gz", gzip.compress(buffer.getvalue()))).equals(table)
        assert run(read, file=put(name, buffer.getvalue()), columns=["l"]).column_names == ["l"]


def test_json_lines_widen_numbers_and_have_nested_values(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_reader, "BLOCK_BYTES", 1000)
    lines = '{"a": 1}\n' * 1000 + '{"a": 1.5, "b": {"c": [1, null]}}\n' + '{"b": null, "d": "' + "x" * 5000 + '"}\n'
    table = run(read, file=put("t.jsonl", lines))
    assert types(table) == {"a": "double", "b": "struct<c: list<item: int64>>", "d": "string"}
    assert table.num_rows == 1002
    assert table.column("b")[1000].as_py() == {"c": [1, None]}


def test_the_format_can_be_said(put: Put) -> None:
    assert run(read, file=put("data", "a\n1\n"), format="csv").num_rows == 1


@pytest.mark.parametrize(
    ("name", "content", "params", "message"),
    [
        (
            "t.csv",
            "a,b\n" + "1,2\n" * 5000 + "1,2,3\n",
            {},
            r"'t\.csv' cannot be .*Row #5002: Expected 2 columns, got 3",
        ),
        ("t.csv", "", {}, "the file is empty"),
        ("t.csv", "a,a\n1,2\n", {}, "two columns are called 'a'"),
        (
            "t.csv",
            b"a,b\n\xff,1\n",
            {},
            r"encoding: 't\.csv': the column 'a' is not utf-8 text \(line 2: its byte 1 \(0xff\)",
        ),
        (
            "t.csv",
            b"a,b\n\xff,1\n",
            {"encoding": "ascii"},
            r"encoding: 't\.csv': the file is not ascii text \(line 2: its byte 1",
        ),
        ("t.csv", "a\n1\n", {"encoding": "nosuch"}, "there is no encoding 'nosuch'"),
        ("t.csv", "a\n1\n", {"columns": ["b"]}, "the input 'file' has no column 'b'"),
        ("t.csv", "a\n1\n", {"types": {"b": "string"}}, "types: the input 'file' has no column 'b'"),
        ("t.csv", "a\n1\n", {"types": {"a": "text"}}, "'text', for the column 'a', is no type"),
        ("t.csv", "a\nx\n", {"types": {"a": "int8"}}, "conversion error to int8: invalid value 'x'"),
        ("t.csv.gz", b"no gzip", {}, r"'t\.csv\.gz' cannot be read as csv"),
        ("t.csv.zip", b"no zip", {}, "cannot be opened"),
        ("t.xyz", "a\n", {}, "does not say what is in the file"),
        ("t.jsonl", '{"a": 1}\n{bad}\n', {}, "in row 1"),
        ("t.jsonl", '{"a": 1}\n{"a": "x"}\n', {}, "values of several types"),
        ("t.jsonl", "", {}, "the file is empty"),
        ("t.parquet", b"PAR1 no parquet PAR1", {}, "cannot be read as parquet"),
        ("t.parquet", b"", {"types": {"a": "int8"}}, "says itself which types"),
        ("t.arrow", b"ARROW1 no arrow", {}, "cannot be read as arrow"),
        ("t.arrow", b"no arrow at all", {}, "cannot be read as arrow"),
    ],
)
def test_what_cannot_be_read_says_why(
    put: Put, name: str, content: bytes | str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as failed:
        run(read, file=put(name, content), **params)
    assert "\n" not in str(failed.value)


def test_an_arrow_file_with_offsets_that_point_elsewhere_is_refused(put: Put) -> None:
    table = pa.table({"s": ["first", "second"]})
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    offsets = (0).to_bytes(4, "little") + (5).to_bytes(4, "little") + (11).to_bytes(4, "little")
    wrong = (0).to_bytes(4, "little") + (5).to_bytes(4, "little") + (2_000_000_000).to_bytes(4, "little")
    assert offsets in buffer.getvalue()
    with pytest.raises(DataError, match=r"cannot be read: .* offset for slot 2 out of bounds"):
        run(read, file=put("t.arrow", buffer.getvalue().replace(offsets, wrong)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_json_nested_so_deep_that_arrow_would_crash_is_refused_with_its_line(
    put: Put, pack: Callable[[bytes], bytes]
) -> None:
    name = "deep.jsonl" if pack is bytes else "deep.jsonl.gz"
    deep = b'{"a":[]}\n{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    with pytest.raises(DataError, match=r"line 2 is nested more than 1,000 levels deep"):
        run(read, file=put(name, pack(deep)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_many_brackets_side_by_side_or_in_text_are_not_deep(put: Put, pack: Callable[[bytes], bytes]) -> None:
    name = "wide.jsonl" if pack is bytes else "wide.jsonl.gz"
    row = b'{"a":[' + b",".join([b"[1,2]"] * 50_000) + b'],"b":"' + b'[{\\"' * 10_000 + b'"}'
    assert run(read, file=put(name, pack(row + b"\n" + row + b"\n"))).num_rows == 2


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_quote_that_is_never_closed_does_not_swallow_the_rest_of_the_file(
    put: Put, pack: Callable[[bytes], bytes]
) -> None:
    name = "open.csv" if pack is bytes else "open.csv.gz"
    with pytest.raises(DataError, match=r"a quote is opened in row 2 and never closed.*begins with 'tea"):
        run(read, file=put(name, pack(b'a,b\n1,x\n2,"tea\n3,cup\n4,pot\n')))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [('a,b\n1,"x\ny"\n', "utf-8"), ('a,b\n1,"x\ny"', "utf-8"), ('a,b\r\n1,"x\r\ny"\r\n', "utf-16-be")],
)
def test_a_last_value_of_several_lines_is_fine(put: Put, text: str, encoding: str) -> None:
    table = run(read, file=put("t.csv", text.encode(encoding)), encoding=encoding)
    assert table.num_rows == 1
    assert table.column("b")[0].as_py().splitlines() == ["x", "y"]


def test_a_chosen_column_may_end_in_a_value_of_several_lines(put: Put) -> None:
    assert run(read, file=put("t.csv", 'a,b\n"x\ny",1\n'), columns=["a"]).to_pylist() == [{"a": "x\ny"}]


def test_utf_16_is_named(put: Put) -> None:
    with pytest.raises(DataError, match="set encoding to utf-16"):
        run(read, file=put("t.csv", "a,b\n1,2\n".encode("utf-16")))


# -- bad rows of CSV files ---------------------------------------------------------------------------------------------

NUL, LATIN, RAGGED, FINE = b"1,x\0y\n", b"1,caf\xe9\n", b"1,2,3\n", b"1,x\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"a,b\n" + FINE + RAGGED,
            "file: 't.csv' cannot be read as csv: CSV parse error: Row #3: Expected 2 columns, got 3",
        ),
        (b"a,b\n" + FINE + NUL, "file: 't.csv': there is a NUL in the text"),
        (b"a,b\n" + FINE + NUL, "(line 3: its byte 4 is NUL; it begins with '1,x\\x00y'): bad_rows: reject leaves"),
        (b"a,b\n" + FINE + LATIN, "(line 3: its byte 6 (0xe9) is no utf-8 text; it begins with '1,caf\\\\xe9')"),
        (b"a,b\n" + FINE + LATIN, "encoding: 't.csv': the column 'b' is not utf-8 text"),
        (b"a,b\xff\n" + FINE, "is no utf-8 text"),
        (b"\0" * 1000, "file: 't.csv': there is a NUL in the text"),
    ],
)
def test_bad_rows_name_file_line_and_place(put: Put, content: bytes, message: str) -> None:
    with pytest.raises(DataError) as failed:
        run(read, file=put("t.csv", content))
    assert message in str(failed.value)


def test_a_line_that_does_not_end_is_an_error_before_it_fills_the_memory(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(csv_reader, "LONGEST_LINE_BYTES", 2 << 20)
    monkeypatch.setattr(csv_lines, "LONGEST_LINE_BYTES", 2 << 20)
    with pytest.raises(DataError) as failed:
        run(read, file=put("t.csv", b"a,b\n1,2\n1," + b"x" * (9 << 20) + b"\n1,2\n"))
    assert "file: 't.csv': line 3 cannot be read: it is longer than 2 MiB, the most that a row may have" in str(
        failed.value
    )
    with pytest.raises(DataError, match="a quote is opened in row 1 and never closed"):
        run(read, file=put("t.csv", b'a,b\n1,"2\n' + b"1,2\n" * 1_000_000))


def rejected(put: Put, content: bytes, **params: Any) -> tuple[pa.Table, int, list[str]]:
    """What was read, how many rows were not, and what the log says of them."""
    said, lines = Reported(), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("step")
    log.addHandler(handler)
    try:
        table = run(read, None, said, file=put("t.csv", content), bad_rows="reject", **params)
    finally:
        log.removeHandler(handler)
    return table, said.rows_failed, lines


def test_bad_rows_are_left_out_counted_and_logged_with_line_and_reason(put: Put) -> None:
    content = b"a,b\n" + FINE + NUL + FINE + RAGGED + LATIN + b"1\n" + b"7,z\n"
    table, failed, log = rejected(put, content)
    assert table.to_pylist() == [{"a": 1, "b": "x"}, {"a": 1, "b": "x"}, {"a": 7, "b": "z"}]
    assert failed == 4
    assert [line.partition(": ")[2] for line in log] == [
        "its byte 4 is NUL: line 3: '1,x\\x00y'",
        "it has 3 values instead of 2: line 5: 1,2,3",
        "its byte 6 (0xe9) is no utf-8 text: line 6: '1,caf\\\\xe9'",
        "it has 1 values instead of 2: line 7: 1",
    ]


def test_bad_rows_are_kept_with_their_lines(put: Put) -> None:
    said = Reported()
    run(read, None, said, file=put("t.csv", b"a,b\n" + FINE + RAGGED + NUL), bad_rows="reject")
    assert said.rejected.to_pylist() == [
        {"line": 3, "text": "1,2,3", "_reason": "it has 3 values instead of 2"},
        {"line": 4, "text": "'1,x\\x00y'", "_reason": "its byte 4 is NUL"},
    ]


@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_lines_that_are_no_objects_are_left_out_of_jsonl(put: Put, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(csv_lines, "PIECE_BYTES", piece)
    said = Reported()
    content = b'{"a": 1}\n\n[1]\n{"a": 2\n\xff\n{"a": 3}\n' + b"[" * 100_000 + b'\n{"a": 4}'
    table = run(read, None, said, file=put("t.jsonl", content), bad_rows="reject")
    assert table.to_pydict() == {"a": [1, 3, 4]}
    found = [(row["line"], row["_reason"]) for row in said.rejected.to_pylist()]
    assert found == [
        (3, "it is JSON, but no object"),
        (4, "it is no JSON: Expecting ',' delimiter"),
        (5, "its byte 1 (0xff) is no utf-8 text"),
        (7, "it is nested too deep"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (rb'{"a": "\ud800"}', "it has half of a character (a surrogate without the other one)"),
        (rb'{"b": {"c": 1, "c": 2}}', "it has 'c' twice"),
    ],
)
def test_an_object_that_arrow_would_not_take_is_rejected(put: Put, line: bytes, reason: str) -> None:
    said = Reported()
    content = rb'{"a": "\ud83d\ude00"}' + b"\n" + line + b"\n"
    table = run(read, None, said, file=put("t.jsonl", content), bad_rows="reject")
    assert table["a"].to_pylist() == ["😀"]
    assert [(row["line"], row["_reason"]) for row in said.rejected.to_pylist()] == [(2, reason)]


def test_types_are_those_of_the_rows_that_stay(put: Put) -> None:
    table, failed, _ = rejected(put, b"n\n1\n2\0\n\xff\n3\n", columns=["n"])
    assert (table.to_pydict(), failed) == ({"n": [1, 3]}, 2)


def test_a_file_of_bad_rows_alone_is_an_empty_table(put: Put) -> None:
    table, failed, log = rejected(put, b"a,b\n" + RAGGED * 2000)
    assert (table.num_rows, failed) == (0, 2000)
    assert log[-1] == "2,000 rows were rejected in all; the first 50 reasons are above"


def test_a_line_that_does_not_end_is_left_out(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "LONGEST_LINE_BYTES", 1 << 20)
    monkeypatch.setattr(csv_lines, "PIECE_BYTES", 1 << 16)
    table, failed, log = rejected(put, b"a,b\n1,2\n1," + b"x" * (3 << 20) + b"\n3,4\n5\n")
    assert (table.to_pydict(), failed) == ({"a": [1, 3], "b": [2, 4]}, 2)
    assert "it is longer than 1 MiB: line 3" in log[0]
    assert "it has 1 values instead of 2: line 5" in log[1]


def test_a_header_that_cannot_be_read_is_an_error_all_the_same(put: Put) -> None:
    with pytest.raises(DataError, match="the header line cannot be read: its byte 3 is NUL"):
        rejected(put, b"a,\0\n" + FINE)


@pytest.mark.parametrize(("name", "content"), [("t.csv", b"a,b\n" + FINE + RAGGED), ("t.jsonl", b'{"a": 1}\nno\n')])
def test_more_than_the_flow_allows_is_told_as_that(
    put: Put, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    def reject(*_: Any) -> None:
        raise TooManyRejected("1 row was rejected, and the flow allows 0")

    monkeypatch.setattr(Context, "reject", reject)
    with pytest.raises(TooManyRejected, match="the flow allows 0"):
        run(read, None, file=put(name, content), bad_rows="reject")


def test_rows_of_other_formats_are_not_rejected(put: Put) -> None:
    with pytest.raises(
        DataError, match=r"rows can only be rejected of csv and jsonl files, and 't\.parquet' is parquet"
    ):
        run(read, file=put("t.parquet", "{}"), bad_rows="reject")
    with pytest.raises(DataError, match="a file in utf-16 cannot be rejected"):
        rejected(put, "a\n1\n".encode("utf-16"), encoding="utf-16")


@given(
    lines=st.lists(st.sampled_from([FINE, NUL, LATIN]), min_size=1, max_size=30),
    size=st.integers(1, 40),
    piece=st.integers(1, 40),
)
def test_good_lines_come_whole_however_they_are_cut(lines: list[bytes], size: int, piece: int) -> None:
    bad: list[csv_lines.BadLine] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_lines, "PIECE_BYTES", piece)
        stream = csv_lines.GoodLines(io.BytesIO(b"".join(lines)), "utf-8", bad.append, header=False)
        assert b"".join(iter(lambda: stream.read(size), b"")) == FINE * lines.count(FINE)
    numbers = [number for number, line in enumerate(lines, 1) if line != FINE]
    assert [line.number for line in bad] == numbers
    there = [number for number, line in enumerate(lines, 1) if line == FINE]
    assert [stream.line_of(row) for row in range(1, len(there) + 1)] == there


@pytest.mark.full
def test_forty_thousand_columns_are_read(put: Put) -> None:
    names = [f"c{number}" for number in range(40_000)]
    text = f"{','.join(names)}\n{','.join('1' * 40_000)}\n"
    table = run(read, file=put("wide.csv", text), columns=["c0", "c39999"])
    assert table.to_pylist() == [{"c0": 1, "c39999": 1}]
    with pytest.raises(DataError, match="Expected 40000 columns, got 1"):
        run(read, file=put("wide.csv", f"{text}1\n"))


@pytest.mark.full
@pytest.mark.parametrize("byte", [b"x", b"\0"])
def test_a_line_of_a_gigabyte_is_named_without_being_held(tmp_path: Path, byte: bytes) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n1,2\n1,")
        if byte == b"\0":
            file.truncate(1 << 30)  # a hole
        else:
            for _ in range(64):
                file.write(byte * (16 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        DataError, match="line 3: it is longer than 64 MiB" if byte == b"\0" else "line 3 cannot be read: it is longer"
    ):
        run(read, file=str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # KiB
