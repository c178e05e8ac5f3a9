import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from module_sdk import DataError
from module_sdk.testing import run
from modules.io_read import read
from modules.io_write import write

PLAIN = pa.table(
    {
        "s": ["x", None, "", "NA", 'a "q", b\nc'],
        "i": [1, None, 3, 4, 5],
        "f": [0.1, None, 1e300, -2.5, 1 / 3],
        "b": [True, False, None, True, True],
        "d": pa.array([dt.date(2026, 1, 2)] * 5),
    }
)


def written(table: pa.Table, tmp_path: Path, **params: Any) -> Path:
    file = run(write, table, **params)
    path = tmp_path / str(file.name)
    path.write_bytes(file.read())
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.jsonl", "t.jsonl.zst", "t.arrow", "t.arrow.bz2"])
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    back = run(read, file=str(written(PLAIN, tmp_path, name=name)))
    if ".jsonl" in name:  # JSON has no dates: Arrow reads the text as a moment
        back = back.set_column(4, "d", back.column("d").cast(pa.date32()))
    assert back.equals(PLAIN)


def test_csv_quotes_text_and_leaves_a_null_empty(tmp_path: Path) -> None:
    text = written(PLAIN.select(["s", "i"]), tmp_path).read_text()
    assert text == '"s","i"\n"x",1\n,\n"",3\n"NA",4\n"a ""q"", b\nc",5\n'


def test_csv_options(tmp_path: Path) -> None:
    table = pa.table({"a": [1], "b": [2]})
    assert written(table, tmp_path, delimiter=";", header=False).read_text() == "1;2\n"


def test_json_lines_have_what_json_can_say(tmp_path: Path) -> None:
    table = pa.table(
        {
            "f": [float("nan"), float("inf")],
            "nested": [{"x": [1.5, float("nan")]}, None],
            "d": [Decimal("1.10"), None],
            "at": pa.array([1, None], pa.timestamp("ns")),
            "raw": [b"\xff", None],
            "s": ["ä", "b"],
        }
    )
    lines = [json.loads(line) for line in written(table, tmp_path, name="t.jsonl").read_text().splitlines()]
    assert lines == [
        {
            "f": None,
            "nested": {"x": [1.5, None]},
            "d": "1.10",
            "at": "1970-01-01 00:00:00.000000001",
            "raw": "/w==",
            "s": "ä",
        },
        {"f": None, "nested": None, "d": None, "at": None, "raw": None, "s": "b"},
    ]


def test_the_file_has_a_name_and_a_media_type() -> None:
    file = run(write, PLAIN, name="report.parquet")
    assert (file.name, file.media_type) == ("report.parquet", "application/vnd.apache.parquet")
    assert run(write, PLAIN, name="data", format="jsonl").media_type == "application/x-ndjson"


def test_a_table_without_rows_is_a_file_with_its_columns(tmp_path: Path) -> None:
    assert written(PLAIN.slice(0, 0), tmp_path).read_text() == '"s","i","f","b","d"\n'
    assert written(PLAIN.slice(0, 0), tmp_path, name="t.jsonl").read_text() == ""


def test_dictionaries_and_views_are_text_in_csv(tmp_path: Path) -> None:
    table = pa.table({"d": pa.array(["x", None]).dictionary_encode(), "v": pa.array(["y", "z"], pa.string_view())})
    assert written(table, tmp_path).read_text() == '"d","v"\n"x","y"\n,"z"\n'


@pytest.mark.parametrize(
    ("column", "params", "message"),
    [
        (pa.array([[1]]), {}, r"the column 'x' \(list<item: int64>\) does not fit csv"),
        (pa.array([b"\xff"]), {}, r"the column 'x' \(binary\) does not fit csv"),
        (pa.array([1]), {"name": "../x.csv"}, "is no plain name of a file"),
        (pa.array([1]), {"name": "a\n.csv"}, "is no plain name of a file"),
        (pa.array([1]), {"name": "x.doc"}, "does not say what is in the file"),
        (pa.array([1]), {"name": "x.csv.zip"}, r"a \.zip file cannot be written"),
    ],
)
def test_what_cannot_be_written_says_why(column: pa.Array, params: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(write, pa.table({"x": column}), **params)
