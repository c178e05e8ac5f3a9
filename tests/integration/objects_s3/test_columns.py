"""Who reads some columns of a table fetches those and no others; counted by a proxy before the server."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from plugmesh.contracts.data import ColumnSpan, DataRef
from plugmesh.data.table import read_table, write_table
from plugmesh.objects.s3.address import parse_address
from plugmesh.objects.s3.store import S3Store
from plugmesh.runtime import SystemRuntime
from tests.faults.http import HttpProxy, faulty

pytestmark = pytest.mark.servers

ROWS = 300_000
NUMBERS = np.random.default_rng(1)
TABLE = pa.table({name: NUMBERS.integers(0, 2**62, ROWS) for name in ("first", "second")})
MORE_BYTES = 256 * 1024
"""A reader may fetch so much more than it was asked for, so that the next column is there already."""


@pytest.fixture(params=["minio_url", "versitygw_url"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


def store(url: str, endpoint: str | None = None, cache: Path | None = None) -> S3Store:
    address = parse_address(url)
    return S3Store(replace(address, endpoint=endpoint or address.endpoint, cache=cache), SystemRuntime())


def span_of(ref: DataRef, column: str) -> ColumnSpan:
    return next(span for span in ref.fragments[0].groups[0].columns if span.name == column)


def reads(proxy: HttpProxy) -> list[str]:
    """Which bytes were asked for, a text for each request that reads; empty: the whole object."""
    return [request.partition("bytes=")[2] for request in proxy.requests if request.startswith("GET ")]


@pytest.mark.parametrize("column", TABLE.column_names)
@pytest.mark.parametrize("is_cached", [False, True])
def test_one_of_two_large_columns_is_fetched_without_the_other(
    url: str, tmp_path: Path, column: str, is_cached: bool
) -> None:
    ref = write_table(store(url), "data/t", TABLE)
    wanted = span_of(ref, column).length
    assert store(url).size("data/t") > wanted + 2 * MORE_BYTES
    with faulty(parse_address(url).endpoint, 1) as (proxy, endpoint):
        there = store(url, endpoint, tmp_path / "cache" if is_cached else None)
        assert read_table(there, ref, [column]) == TABLE.select([column])
        assert reads(proxy), "nothing was read through the proxy"
        assert all(reads(proxy)), f"a whole object was asked for: {proxy.requests}"
        assert wanted <= proxy.bytes_sent < wanted + MORE_BYTES
        assert there.use().fetched_bytes == proxy.bytes_sent
