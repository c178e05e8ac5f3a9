"""Dead letters that a person has corrected: every type there and back, and mistakes with their place."""

import base64
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic_core import from_json, to_json

from gateway.reader.corrected import correct, feed
from gateway.reader.json_values import json_rows
from plugmesh.contracts.data import DataRef
from plugmesh.data.table import read_table, write_table
from plugmesh.objects.local import LocalStore

UTC = dt.UTC
TYPES: dict[str, pa.Array] = {
    "flag": pa.array([True, None]),
    "small": pa.array([-5, None], pa.int8()),
    "huge": pa.array([2**64 - 1, None], pa.uint64()),
    "float": pa.array([1.5, float("nan")]),
    "text": pa.array(['a,\n"b"', ""]),
    "view": pa.array(["a", None], pa.string_view()),
    "money": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
    "day": pa.array([dt.date(2026, 2, 3), None]),
    "at": pa.array([dt.datetime(2026, 2, 3, 4, 5, 6, 7, UTC), None], pa.timestamp("us", "Europe/Berlin")),
    "local": pa.array([dt.datetime.fromisoformat("2026-02-03T04:05:06"), None], pa.timestamp("ns")),
    "clock": pa.array([dt.time(4, 5, 6), None], pa.time64("us")),
    "took": pa.array([5, None], pa.duration("ms")),
    "raw": pa.array([b"\x00\xff", None]),
    "code": pa.array(["x", None]).dictionary_encode(),
    "list": pa.array([[1, None], []]),
    "deep": pa.array([{"a": 1, "b": ["x"]}, None]),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    "id": pa.array([bytes(16), None], pa.uuid()),
}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, keep_free_bytes=0)


def letter(store: LocalStore, table: pa.Table) -> DataRef:
    return write_table(store, f"data/in/{len(list(store.list('data/')))}", table)


def corrected(store: LocalStore, reference: DataRef, body: str | bytes, kind: str = "jsonl") -> Any:
    data = body if isinstance(body, bytes) else body.encode()
    request = {"key": "data/out/1", "format": kind, "body": base64.b64encode(data).decode()}
    return from_json(correct(store, reference, request))


@pytest.mark.parametrize("name", TYPES)
def test_what_is_shown_can_be_sent_back_unchanged(store: LocalStore, name: str) -> None:
    table = pa.table({name: TYPES[name], "_reason": ["odd", "odd"]})
    lines = b"\n".join(to_json(row) for row in json_rows(table.to_batches()[0]))
    found = corrected(store, letter(store, table), lines)
    again = read_table(store, DataRef.model_validate(found["reference"]))
    assert again.schema == table.schema
    shown = [row for batch in again.to_batches() for row in json_rows(batch)]
    assert shown == list(json_rows(table.to_batches()[0]))


def test_csv_has_text_for_everything_and_nothing_for_null(store: LocalStore) -> None:
    table = pa.table({name: TYPES[name] for name in ("flag", "small", "float", "text", "money", "day", "list")})
    body = (
        'flag,small,float,text,money,day,list\r\nTrue,-5,1.5,"a,\n""b""",1.50,2026-02-03,"[1,null]"\r\n,,NaN,,,,[]\r\n'
    )
    found = corrected(store, letter(store, table), body, "csv")
    again = read_table(store, DataRef.model_validate(found["reference"])).to_pylist()
    assert again[0] == table.to_pylist()[0]
    assert (again[1]["small"], again[1]["text"], again[1]["list"]) == (None, None, [])


def test_rows_may_be_fewer_and_leave_columns_out(store: LocalStore) -> None:
    reference = letter(store, pa.table({"a": [1, 2], "b": ["x", "y"], "_reason": ["r", "r"]}))
    found = corrected(store, reference, '\n{"a": 7}\n\n')
    assert found["rows"] == 1
    again = read_table(store, DataRef.model_validate(found["reference"]))
    assert again.to_pylist() == [{"a": 7, "b": None, "_reason": None}]


@pytest.mark.parametrize(
    ("body", "where", "said"),
    [
        ('{"a": 1}\n{"a": "x"}', "2:a", '"x" is not a whole number: the column is int64'),
        ('{"a": 1.5}', "1:a", "not a whole number"),
        ('{"a": true}', "1:a", "not a whole number"),
        ('{"a": 9223372036854775808}', "1:a", "not a value that fits"),
        ('{"b": 3}', "1:b", "3 is not a text"),
        ('{"aa": 1}', "1:aa", "has no column 'aa' (did you mean 'a'?)"),
        ('{"a": 1', "1:8", "this is no JSON"),
        ("[1]", "1", "one JSON object"),
        ("", "1", "no rows: to give the letter up, discard it"),
        (b'{"a": 1}\n{"b": "\xff"}', "2", "no UTF-8"),
        ("[" * 100_000, "1", "nested too deep"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_line_and_column(store: LocalStore, body: str | bytes, where: str, said: str) -> None:
    reference = letter(store, pa.table({"a": [1], "b": ["x"]}))
    (problem,) = corrected(store, reference, body)["problems"]
    assert problem["where"] == where
    assert said in problem["message"]
    assert not list(store.list("data/out/"))


@pytest.mark.parametrize(
    ("body", "where", "said"),
    [
        ("a,b\n1,x\ny,x\n", "3:a", '"y" is not a number'),
        ('a,b\n"1\n",x\n1\n', "4", "1 values, the header 2"),
        ("a,a\n1,2\n", "1:a", "twice"),
        ('a,b\n1,"x', "2", "no CSV"),
        ("a,c\n1,2\n", "2:c", "no column 'c'"),
    ],
)
def test_so_are_those_in_csv(store: LocalStore, body: str, where: str, said: str) -> None:
    reference = letter(store, pa.table({"a": [1], "b": ["x"]}))
    (problem, *_) = corrected(store, reference, body, "csv")["problems"]
    assert problem["where"] == where
    assert said in problem["message"]


def test_all_mistakes_are_told_up_to_a_number_of_them(store: LocalStore) -> None:
    reference = letter(store, pa.table({"a": [1], "b": ["x"]}))
    body = "\n".join(json.dumps({"a": "x", "b": 1}) for _ in range(200))
    problems = corrected(store, reference, body)["problems"]
    assert len(problems) == 100
    assert [problem["where"] for problem in problems[:3]] == ["1:a", "1:b", "2:a"]


def test_a_step_is_handed_the_rows_without_their_reasons(store: LocalStore) -> None:
    reference = letter(store, pa.table({"a": [1], "_reason": ["odd"]}))
    found = DataRef.model_validate(from_json(feed(store, reference, {"key": "data/out/feed"})))
    assert read_table(store, found).to_pydict() == {"a": [1]}
    only = letter(store, pa.table({"_reason": ["odd"]}))
    assert DataRef.model_validate(from_json(feed(store, only, {"key": "data/out/feed"}))) == only


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (pa.int64(), '{"x": ' + "1" * 5000 + "}", "too many digits"),
        (pa.string(), r'{"x": "\ud800"}', "whole characters"),
        (pa.int64(), r'{"x": "\ud800"}', "not a whole number"),
        (pa.int64(), r'{"\ud800": 1}', "no column"),
        (pa.time32("s"), '{"x": 99999999999}', "that fits"),
        (pa.timestamp("us"), '{"x": 99999999999999999999999}', "that fits"),
        (pa.timestamp("us"), '{"x": "--55555"}', "ISO 8601"),
        (pa.timestamp("us"), '{"x": "' + "9" * 5000 + '"}', "ISO 8601"),
        (pa.time64("us"), '{"x": "10:00:00.-1"}', "ISO 8601"),
        (pa.duration("us"), '{"x": 99999999999999999999999}', "that fits"),
        (pa.month_day_nano_interval(), '{"x": [99999999999999, 1, 1]}', "that fits"),
        (pa.float32(), '{"x": 1e300}', "that fits"),
        (pa.map_(pa.string(), pa.int64()), '{"x": [{"key": null, "value": 1}]}', "null among its keys"),
        (pa.dictionary(pa.int8(), pa.string()), "\n".join(f'{{"x": "{n}"}}' for n in range(200)), "do not fit"),
    ],
)
def test_what_no_column_can_hold_is_a_mistake_like_any_other(
    store: LocalStore, kind: pa.DataType, body: str, said: str
) -> None:
    reference = letter(store, pa.table({"x": pa.nulls(1, kind), "_reason": ["odd"]}))
    assert said in corrected(store, reference, body)["problems"][0]["message"]


def test_python_s_own_ways_to_write_numbers_are_none(store: LocalStore) -> None:
    reference = letter(store, pa.table({"x": [1], "_reason": ["odd"]}))
    assert corrected(store, reference, "x\n1_000\n", "csv")["problems"][0]["where"] == "2:x"
