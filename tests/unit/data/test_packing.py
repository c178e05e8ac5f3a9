"""Columns that are compressed on their way to another machine, where that makes them smaller."""

import itertools
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from module_sdk.executor.untouched import is_read_only
from plugmesh.data import columns, packing
from plugmesh.data.packing import options_for
from plugmesh.data.reference import concat
from plugmesh.data.table import read_batches, read_table, write_table
from plugmesh.objects.local import LocalStore
from plugmesh.objects.port import Compression
from tests.unit.data.arrow_strategies import same, tables
from tests.unit.data.remote import RemoteStore

LARGE = pa.table({"number": pa.array(range(40_000)), "word": ["abc"] * 40_000})
keys = (f"data/k{number}" for number in itertools.count())


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_any_table_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: Compression) -> None:
    monkeypatch.setattr(columns, "_SMALL_BYTES", 0)
    monkeypatch.setattr(columns, "inline_limit", lambda store: 0)
    monkeypatch.setattr(packing, "LEAST_BYTES", 1)
    monkeypatch.setattr(packing, "_PAYS", 1000)  # so that whatever there is is packed
    store = RemoteStore(tmp_path, compression)

    @settings(max_examples=15)
    @given(table=tables(), rows=st.integers(1, 6))
    def comes_back(table: pa.Table, rows: int) -> None:
        ref = write_table(store, next(keys), table, max_rows_per_fragment=rows)
        assert same(read_table(store, ref), table)
        assert same(read_batches(store, ref).read_all(), table)

    comes_back()


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_columns_are_packed_where_that_makes_them_smaller(tmp_path: Path, compression: Compression) -> None:
    table = LARGE.append_column("noise", pa.array(memoryview(random.Random(1).randbytes(320_000)).cast("q").tolist()))
    store = RemoteStore(tmp_path, compression)
    ref = write_table(store, "data/packed", table)
    plain = write_table(LocalStore(tmp_path / "plain"), "data/plain", table)
    packed, sizes = ({span.name: span.length for span in one.fragments[0].groups[0].columns} for one in (ref, plain))
    assert abs(packed["noise"] - sizes["noise"]) < 100
    assert all(3 * packed[name] < 2 * sizes[name] for name in ("number", "word"))
    assert same(read_table(store, ref), table)


@pytest.mark.parametrize("kind", ["number", "word", "dictionary", "nested"])
def test_packed_columns_cannot_be_written_to(tmp_path: Path, kind: str) -> None:
    column = {
        "number": LARGE["number"],
        "word": LARGE["word"],
        "dictionary": pa.array([f"{number:05} {'x' * 50}" for number in range(20_000)]).dictionary_encode(),
        "nested": pa.array([{"a": ["abc", None], "b": number} for number in range(20_000)]),
    }[kind]
    store = RemoteStore(tmp_path, "zstd")
    read = read_table(store, write_table(store, "data/k", pa.table({"x": column})))
    assert all(is_read_only(chunk) for chunk in read["x"].chunks)


def test_a_store_may_hold_packed_and_plain_columns(tmp_path: Path) -> None:
    packed = write_table(RemoteStore(tmp_path, "zstd"), "data/packed", LARGE)
    plain = write_table(RemoteStore(tmp_path), "data/plain", LARGE)
    here = LocalStore(tmp_path)
    assert same(read_table(here, concat([packed, plain])), pa.concat_tables([LARGE, LARGE]))


def test_small_columns_are_not_packed() -> None:
    assert options_for("zstd", pa.chunked_array([[0] * 100])) is None
    assert options_for(None, LARGE["word"]) is None
