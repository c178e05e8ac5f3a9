"""A file of JSON lines that is read in pieces is what Arrow makes of the whole of it."""

from __future__ import annotations

import io
import json
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.json
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from module_sdk import DataError, Predicate
from modules import jsonl_reader
from modules.csv_spool import Spool
from modules.jsonl_reader import read_jsonl

plain = st.sampled_from([None, 1, 2**60, -3, 1.5, 1e300, True, "x", "ä\n", "2026-01-02", "2026-01-02 10:11:12", ""])
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("pq"), inner, max_size=2),
    max_leaves=4,
)
objects = st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), min_size=1, max_size=12)
few = st.lists(
    st.fixed_dictionaries(
        {"n": st.sampled_from([1, 2.5, None, 2**60])}, optional={"t": st.sampled_from(["x", "2026-01-02"])}
    ),
    min_size=5,
    max_size=30,
)


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def in_pieces(text: bytes, block: int, **options: Any) -> pa.Table:
    with patch.object(jsonl_reader, "BLOCK_BYTES", block), patch.object(jsonl_reader, "Spool", lambda: Spool(100)):
        return read_jsonl(lambda: io.BytesIO(text), {}, **options).read_all()


@settings(max_examples=80, deadline=None)
@given(objects | few, st.sampled_from([1, 20, 60]))
def test_pieces_of_any_size_give_the_same_table_or_both_refuse(rows: list[Any], block: int) -> None:
    text = lines(rows)
    try:
        expected = pyarrow.json.read_json(io.BytesIO(text))
        expected.validate(full=True)  # of `[null, null]` Arrow makes something that it refuses itself
    except pa.ArrowInvalid:
        with pytest.raises((DataError, pa.ArrowInvalid)):
            in_pieces(text, block)
        return
    if not expected.num_columns:
        return
    found = in_pieces(text, block)
    assert found.schema == expected.schema
    assert found.to_pylist() == expected.to_pylist()


def test_only_chosen_columns_and_needed_rows_come_out() -> None:
    text = lines([{"a": number, "b": "x", "c": [number]} for number in range(50)])
    some = [Predicate(column="a", op=">=", value=48)]
    table = in_pieces(text, 100, choose=lambda names: [name for name in names if name != "b"], filters=some)
    assert table.to_pylist() == [{"a": 48, "c": [48]}, {"a": 49, "c": [49]}]


def test_values_that_do_not_mix_are_an_error_also_far_apart() -> None:
    text = lines([{"a": 1}] * 100 + [{"a": "x"}])
    with pytest.raises(DataError, match="a column has values of several types"):
        in_pieces(text, 100)


def test_blank_lines_between_pieces_are_no_rows() -> None:
    assert in_pieces(b'{"a": 1}\n' + b"\n" * 50 + b'{"a": 2}\n', 10).column("a").to_pylist() == [1, 2]
    with pytest.raises(DataError, match="the file is empty"):
        in_pieces(b"\n" * 50, 10)


def test_a_mistake_is_said_with_its_row_in_the_file() -> None:
    with pytest.raises(pa.ArrowInvalid, match="in row 100"):
        in_pieces(b'{"a": 1}\n' * 100 + b"{bad}\n", 90)
