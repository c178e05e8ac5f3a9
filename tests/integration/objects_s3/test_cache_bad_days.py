"""A cache that has no room, that two meshes share, whose writer was killed; and an upload that was cut off in its middle."""

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plugmesh.errors import NotReachable
from plugmesh.objects.s3.address import parse_address
from plugmesh.objects.s3.store import S3Store
from plugmesh.runtime import SystemRuntime
from tests.e2e.tmpfs import small_disk
from tests.faults.http import faulty

ROOT = Path(__file__).resolve().parents[3]
MIB = 1024 * 1024

WRITER = """
import sys
from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime
writer = open_store(sys.argv[1], SystemRuntime()).create("killed", 3_000_000)
writer.write(bytes(2_000_000))
print("written", flush=True)
sys.stdin.read()
"""


def store(url: str, **changes: Any) -> S3Store:
    return S3Store(replace(parse_address(url), **changes), SystemRuntime(seed=1))


def put(into: S3Store, key: str, data: bytes) -> None:
    writer = into.create(key, len(data))
    for start in range(0, len(data), MIB):
        writer.write(data[start : start + MIB])
    writer.commit()


def files(cache: Path) -> list[Path]:
    return [path for folder in ("entries", "unfinished") for path in (cache / folder).rglob("*") if path.is_file()]


def test_a_full_disk_under_the_cache_costs_requests_and_no_bytes(minio_url: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        cache = disk.path / "cache"
        here = store(minio_url, cache=cache)
        written = {f"k{number}": random.Random(number).randbytes(3 * MIB) for number in range(4)}
        for key, data in written.items():
            put(here, key, data)
        disk.fill()
        for reader in (here, store(minio_url, cache=cache)):
            assert all(reader.read(key) == data for key, data in written.items())
            assert all(reader.read(key, 5, 300_000) == data[5:300_005] for key, data in written.items())
        put(here, "full", written["k0"])
        assert store(minio_url).read("full") == written["k0"]
        disk.make_room()
        assert here.read("k3") == written["k3"]


def test_two_meshes_share_a_folder_and_its_bound_and_no_object(minio_url: str, tmp_path: Path) -> None:
    cache, bound = tmp_path / "cache", 5 * MIB
    one, two = (store(minio_url, prefix=f"mesh/{name}/", cache=cache, cache_bytes=bound) for name in ("one", "two"))
    for number in range(4):
        put(one, f"k{number}", b"1" * MIB)
        put(two, f"k{number}", b"2" * MIB)
        assert sum(path.stat().st_size for path in files(cache)) <= bound
    for number in range(4):
        assert bytes(one.read(f"k{number}")) == b"1" * MIB
        assert bytes(two.read(f"k{number}", 10, 20)) == b"2" * 20
    one.delete("k0")
    assert bytes(two.read("k0", 0, 5)) == b"22222"


def test_a_writer_that_is_killed_leaves_nothing_that_is_read_or_counted(minio_url: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    url = f"{minio_url}&cache={cache}&cache_bytes={4 * MIB}"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    assert [path.parent.name for path in files(cache)] == ["unfinished"]
    process.kill()
    process.communicate()
    here = store(minio_url, cache=cache, cache_bytes=4 * MIB)
    assert list(here.list("")) == []
    put(here, "killed", b"x" * (3 * MIB))  # has room only where the other's is given back
    assert [path.stat().st_size for path in files(cache)] == [3 * MIB]
    assert here.read("killed", MIB, 10) == b"x" * 10


@pytest.mark.parametrize(
    ("fault", "left"), [("503", ["lost"]), ("close", [])]
)  # nobody could be told, or nobody has heard it
def test_an_upload_that_was_cut_off_is_cleared_away(versitygw_url: str, fault: str, left: list[str]) -> None:
    part = 5 * MIB
    with faulty(parse_address(versitygw_url).endpoint, 1) as (endpoint, through):
        there = store(versitygw_url, endpoint=through, part_bytes=part, patience_s=1.0)
        lost, given_up = there.create("lost", 3 * part), there.create("given-up", 3 * part)
        for writer in (lost, given_up):
            writer.write(bytes(part + 1))
        endpoint.shares = {fault: 1.0}
        with pytest.raises(NotReachable):
            lost.commit()
        endpoint.shares = {}
        given_up.abort()
    assert [one.key for one in store(versitygw_url).list("")] == []
    assert uploads(versitygw_url) == left
    assert later(versitygw_url).remove_abandoned() == len(left)
    assert uploads(versitygw_url) == []


def uploads(url: str) -> list[str]:
    there = store(url)
    found = there._bucket.requests.client()._list_multipart_uploads(there._address.bucket).uploads
    return [str(upload.object_name) for upload in found]


def later(url: str) -> S3Store:
    class Tomorrow(SystemRuntime):
        def wall(self) -> float:
            return super().wall() + 25 * 3600

    return S3Store(parse_address(url), Tomorrow())
