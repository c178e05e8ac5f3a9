"""What an S3 store tells about itself: requests, those made again, bytes, outages, and what its cache was good for."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from plugmesh.errors import NotReachable
from plugmesh.figures import Figure
from plugmesh.objects.s3.store import S3Store, open_s3
from plugmesh.runtime import SystemRuntime
from tests.faults.http import faulty

DATA = bytes(300_000)


def opened(url: str, endpoint: str, options: str = "") -> S3Store:
    return open_s3(f"{url.partition('?')[0]}?endpoint={endpoint}{options}", SystemRuntime())


def upstream(url: str) -> str:
    return parse_qs(urlsplit(url).query)["endpoint"][0]


def values(store: S3Store) -> dict[str, float]:
    figures: list[Figure] = list(store.figures())
    return {figure.name.removeprefix("plugmesh_objects_"): figure.values[()] for figure in figures}


def put(store: S3Store, key: str) -> None:
    writer = store.create(key, len(DATA))
    writer.write(DATA)
    writer.commit()


def test_the_second_read_comes_from_the_cache(minio_url: str, tmp_path: Path) -> None:
    plain = opened(minio_url, upstream(minio_url))
    put(plain, "a/b")
    cached = opened(minio_url, upstream(minio_url), f"&cache={tmp_path}&cache_bytes=1000000")
    for _ in range(3):
        assert cached.read("a/b") == DATA
    found = values(cached)
    assert (found["cache_misses"], found["cache_hits"]) == (1, 2)
    assert found["cache_hit_bytes"] == 2 * len(DATA)
    assert found["fetched_bytes"] == len(DATA)
    assert found["cache_bytes"] >= len(DATA)
    assert found["cache_limit_bytes"] == 1_000_000
    assert values(plain)["sent_bytes"] >= len(DATA)
    assert "cache_hits" not in values(plain)


def test_requests_that_are_made_again_are_counted(minio_url: str) -> None:
    with faulty(upstream(minio_url), 7, http503=0.5) as (_, endpoint):
        store = opened(minio_url, endpoint)
        for number in range(10):
            put(store, f"a/{number}")
        found = values(store)
        assert found["retries"] >= 5
        assert found["failures"] >= found["retries"]
        assert found["requests"] >= 20 + found["retries"]
        assert found["outage_seconds"] == 0


def test_a_server_that_is_away_is_an_outage() -> None:
    store = opened("s3://a:b@bucket", "http://127.0.0.1:1", "&patience_s=1")
    with pytest.raises(NotReachable):
        store.read("a/b")
    found = values(store)
    assert found["outage_seconds"] > 0
    assert found["failures"] >= 2
