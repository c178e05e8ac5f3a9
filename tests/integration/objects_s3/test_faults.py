"""The S3 store behind an endpoint that fails: what was committed is there, and what was read is right."""

import logging
import random
from dataclasses import replace
from pathlib import Path

import pytest

from plugmesh.errors import Conflict, NotReachable, ObjectCorrupt, ObjectMissing
from plugmesh.objects.s3.address import S3Address, parse_address
from plugmesh.objects.s3.store import S3Store
from plugmesh.runtime import SystemRuntime
from tests.faults.http import faulty

SEEDS = (1, 2)
PART = 5 * 1024 * 1024


def address(url: str, endpoint: str, *, patience_s: float = 60.0, cache: Path | None = None) -> S3Address:
    return replace(parse_address(url), endpoint=endpoint, patience_s=patience_s, cache=cache, part_bytes=PART)


def store(url: str, endpoint: str, *, patience_s: float = 60.0, cache: Path | None = None) -> S3Store:
    return S3Store(address(url, endpoint, patience_s=patience_s, cache=cache), SystemRuntime(seed=1))


def put(into: S3Store, key: str, data: bytes) -> None:
    writer = into.create(key, len(data))
    for start in range(0, len(data), 1_000_000):
        writer.write(data[start : start + 1_000_000])
    assert writer.commit().bytes == len(data)


def upstream(url: str) -> str:
    return parse_address(url).endpoint


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_cached", [False, True])
def test_a_third_of_all_requests_answered_with_503_costs_time_only(
    minio_url: str, tmp_path: Path, seed: int, is_cached: bool
) -> None:
    with faulty(upstream(minio_url), seed, http503=0.33) as (endpoint, url):
        there = store(minio_url, url, cache=tmp_path / "cache" if is_cached else None)
        for number in range(5):
            put(there, f"a/{number}", bytes([number]) * 70_000)
        assert [len(there.read(f"a/{number}", 5, 60_000)) for number in range(5)] == [60_000] * 5
        assert [one.key for one in there.list("a/")] == [f"a/{number}" for number in range(5)]
        assert all(there.delete(f"a/{number}") for number in range(5))
    assert endpoint.met["503"] > 5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_cached", [False, True])
def test_everything_at_once_loses_and_damages_nothing(
    minio_url: str, tmp_path: Path, seed: int, is_cached: bool
) -> None:
    cut = random.Random(seed)
    data = cut.randbytes(2 * PART + 1234)
    shares = {"http503": 0.1, "truncate": 0.15, "close": 0.1, "lost": 0.1}
    with faulty(upstream(minio_url), seed, **shares) as (endpoint, url):
        there = store(minio_url, url)
        reader = store(minio_url, url, cache=tmp_path / "cache") if is_cached else there
        for number, size in enumerate([0, 10, 300_000, PART, len(data)]):
            put(there, f"b/{number}", data[:size])
            assert reader.read(f"b/{number}") == data[:size]
            for _ in range(4):
                start = cut.randrange(size + 1)
                length = cut.randrange(size - start + 1)
                assert reader.read(f"b/{number}", start, length) == data[start : start + length]
    assert min(endpoint.met[fault] for fault in ("503", "truncate", "close")) > 0


def test_a_write_that_was_confirmed_and_lost_is_written_again(minio_url: str) -> None:
    with faulty(upstream(minio_url), 3, lost=0.5) as (endpoint, url):
        there = store(minio_url, url)
        for number in range(8):
            put(there, f"c/{number}", b"x" * 1000)
        put(there, "c/parts", bytes(PART * 2))
        assert endpoint.met["lost"] > 0
    sound = store(minio_url, upstream(minio_url))
    assert [one.bytes for one in sound.list("c/")] == [1000] * 8 + [PART * 2]


def test_a_write_that_is_always_lost_is_no_success(minio_url: str) -> None:
    with faulty(upstream(minio_url), 3, lost=1.0) as (_, url), pytest.raises(NotReachable, match="is not there"):
        put(store(minio_url, url), "d", b"1")


def test_a_commit_whose_answer_was_lost_is_no_conflict(minio_url: str) -> None:
    with faulty(upstream(minio_url), 5, close=0.4) as (endpoint, url):
        there = store(minio_url, url)
        for number in range(10):
            put(there, f"e/{number}", b"mine")
        assert endpoint.met["close"] > 5
        with pytest.raises(Conflict):
            put(there, "e/1", b"other")
        assert bytes(there.read("e/1")) == b"mine"


def test_a_small_write_takes_two_requests_once_the_server_is_known(minio_url: str, versitygw_url: str) -> None:
    for server in (minio_url, versitygw_url):
        with faulty(upstream(server), 1) as (endpoint, url):
            there = store(server, url)
            put(there, "first", b"1")
            before = len(endpoint.requests)
            put(there, "second", b"2")
            assert [request.split()[0] for request in endpoint.requests[before:]] == ["PUT", "HEAD"]
            with pytest.raises(Conflict):
                put(there, "second", b"3")


def test_bytes_that_never_come_whole_are_corrupt(minio_url: str) -> None:
    put(store(minio_url, upstream(minio_url)), "f", b"1")
    with faulty(upstream(minio_url), 5, truncate=1.0) as (_, url), pytest.raises(ObjectCorrupt, match="did not come"):
        store(minio_url, url, patience_s=0.3).read("f")


def test_a_server_that_stays_away_is_not_reachable_and_said_so(
    minio_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with faulty(upstream(minio_url), 1) as (endpoint, url):
        there = store(minio_url, url, patience_s=2.6)
        put(there, "g", b"1")
        endpoint.shares = {"503": 1.0}
        with caplog.at_level(logging.WARNING), pytest.raises(NotReachable, match="setting objects"):
            there.read("g")
        assert "it is tried again" in caplog.text
        endpoint.shares = {}
        assert bytes(there.read("g")) == b"1"
        with pytest.raises(ObjectMissing):
            there.read("nothing")


def test_what_a_writer_sent_before_it_gave_up_is_gone(versitygw_url: str) -> None:
    there = store(versitygw_url, upstream(versitygw_url))
    writer = there.create("h")
    writer.write(bytes(PART + 1))
    assert uploads(there) == 1
    writer.abort()
    assert uploads(there) == 0


def test_uploads_of_dead_writers_go_when_they_are_old(versitygw_url: str) -> None:
    there = store(versitygw_url, upstream(versitygw_url))
    dead, living = there.create("i/dead"), there.create("i/living")
    for writer in (dead, living):
        writer.write(bytes(PART + 1))
    assert there.remove_abandoned() == 0
    assert later(versitygw_url).remove_abandoned() == 2
    assert uploads(there) == 0


def uploads(there: S3Store) -> int:
    client = there._bucket.requests.client()
    return len(client._list_multipart_uploads(there._address.bucket).uploads)


def later(url: str) -> S3Store:
    class Tomorrow(SystemRuntime):
        def wall(self) -> float:
            return super().wall() + 25 * 3600

    return S3Store(address(url, upstream(url)), Tomorrow())
