"""What was fetched from a bucket is compared with its hash before it is used; on both servers, packed and plain."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest

from plugmesh.contracts.data import DataRef, referenced_keys
from plugmesh.data.table import read_table, write_table
from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.port import Compression
from plugmesh.objects.s3.address import parse_address
from plugmesh.objects.s3.store import S3Store
from plugmesh.runtime import SystemRuntime

pytestmark = pytest.mark.servers

ROWS = 200_000
TABLE = pa.table({"number": pa.array(range(ROWS)), "word": ["abc", "de"] * (ROWS // 2)})


@pytest.fixture(params=["minio_url", "versitygw_url"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


def store(url: str, cache: Path | None = None, compression: Compression | None = None) -> S3Store:
    return S3Store(replace(parse_address(url), cache=cache, compression=compression), SystemRuntime())


def overwrite(url: str, key: str, data: bytes) -> None:
    """As somebody else does who can write to the bucket."""
    there = store(url)
    there._bucket.requests.client().put_object(there._address.bucket, key, BytesIO(data), len(data))


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("is_cached", [False, True])
def test_tables_come_back_packed_or_plain(
    url: str, tmp_path: Path, compression: Compression | None, is_cached: bool
) -> None:
    there = store(url, tmp_path / "cache" if is_cached else None, compression)
    ref = write_table(there, "data/t", TABLE)
    assert read_table(there, ref) == TABLE
    assert read_table(store(url), ref, ["word"]) == TABLE.select(["word"])
    assert (compression is None) == (there.size("data/t") > TABLE.nbytes)


def test_a_changed_object_is_an_error_that_names_bucket_and_key(url: str, tmp_path: Path) -> None:
    ref = write_table(store(url), "data/t", TABLE)
    data = bytes(store(url).read("data/t"))
    span = ref.fragments[0].groups[0].columns[0]
    overwrite(url, "data/t", damaged(data, span.offset + span.length // 2))
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(ObjectCorrupt, match=f"data/t in s3://{parse_address(url).bucket} at .*'number'"):
            read_table(store(url, cache), ref)
        assert read_table(store(url, cache), ref, ["word"]) == TABLE.select(["word"])


def test_a_truncated_object_is_an_error_that_names_bucket_and_key(url: str, tmp_path: Path) -> None:
    ref = write_table(store(url), "data/t", TABLE)
    data = bytes(store(url).read("data/t"))
    overwrite(url, "data/t", data[: len(data) // 2])
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(ObjectCorrupt, match=f"data/t in s3://{parse_address(url).bucket} at "):
            read_table(store(url, cache), ref)


def test_a_damaged_entry_of_the_cache_is_fetched_anew(url: str, tmp_path: Path) -> None:
    here = store(url, tmp_path / "cache")
    ref = write_table(here, "data/t", TABLE)
    for entry in (path for path in (tmp_path / "cache" / "entries").rglob("*") if path.is_file()):
        with entry.open("r+b") as file:
            file.seek(1000)
            file.write(b"wrong")
    assert read_table(here, ref) == TABLE
    assert read_table(store(url, tmp_path / "cache"), ref) == TABLE


def test_a_table_of_one_row_costs_no_request(url: str, tmp_path: Path) -> None:
    there = store(url)
    ref = write_table(there, "data/one", TABLE.slice(0, 1))
    again = DataRef.model_validate_json(ref.model_dump_json())
    assert read_table(there, again) == TABLE.slice(0, 1)
    assert there._bucket.requests.counts.requests == 0
    assert referenced_keys(again) == set()
