"""The ObjectStore suite over real S3 servers, without and with a cache on this host."""

from pathlib import Path

import pytest

from plugmesh.conformance.objects import ObjectStoreConformance
from plugmesh.objects.open import open_store
from plugmesh.objects.port import ObjectStore, SweptStore
from plugmesh.objects.s3.store import S3Store
from plugmesh.runtime import SystemRuntime


class TestMinio(ObjectStoreConformance):
    @pytest.fixture
    def store(self, minio_url: str) -> SweptStore:
        return open_store(minio_url, SystemRuntime())


class TestMinioWithPartsAndPrefix(ObjectStoreConformance):
    @pytest.fixture
    def store(self, minio_url: str) -> SweptStore:
        bucket, _, options = minio_url.partition("?")
        return open_store(f"{bucket}/mesh/one?{options}&part_bytes=5242880", SystemRuntime())

    def test_large_object_comes_back_whole(self, store: ObjectStore) -> None:
        super().test_large_object_comes_back_whole(store)
        assert _parts(store, "large") == 2


class TestMinioWithCache(ObjectStoreConformance):
    @pytest.fixture
    def store(self, minio_url: str, tmp_path: Path) -> SweptStore:
        return open_store(f"{minio_url}&cache={tmp_path}/cache", SystemRuntime())


class TestVersitygw(ObjectStoreConformance):
    @pytest.fixture
    def store(self, versitygw_url: str) -> SweptStore:
        return open_store(versitygw_url, SystemRuntime())


class TestVersitygwWithCache(ObjectStoreConformance):
    @pytest.fixture
    def store(self, versitygw_url: str, tmp_path: Path) -> SweptStore:
        return open_store(f"{versitygw_url}&cache={tmp_path}/cache", SystemRuntime())


def _parts(store: ObjectStore, key: str) -> int:
    """In how many parts the server got an object: the tag of one that came in parts ends in their number."""
    assert isinstance(store, S3Store)
    address = store._address
    found = store._bucket.requests.client().stat_object(address.bucket, address.prefix + key)
    return int(str(found.etag).partition("-")[2] or 1)
