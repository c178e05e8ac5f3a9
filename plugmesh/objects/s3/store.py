"""`s3://bucket`: objects in a bucket of any S3 server; with a `cache` folder, no byte is fetched twice on a host.

That a key is never written twice is asked of the server (`If-None-Match`) and looked at before; correctness does not rest on
it, for every attempt writes under keys of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from plugmesh.contracts.messages import StoreUse
from plugmesh.errors import ConfigurationError, ObjectCorrupt, ObjectMissing
from plugmesh.figures import Figure
from plugmesh.objects.keys import check_key, check_prefix
from plugmesh.objects.port import Compression, Stored
from plugmesh.objects.s3.address import S3Address, parse_address
from plugmesh.objects.s3.bucket import Bucket
from plugmesh.objects.s3.cache import Cache
from plugmesh.objects.s3.cached_reader import CachedReader
from plugmesh.objects.s3.errors import OutOfRange
from plugmesh.objects.s3.requests import Requests
from plugmesh.objects.s3.upload import remove_idle
from plugmesh.objects.s3.writer import S3Writer
from plugmesh.runtime import Runtime

IDLE_UPLOAD_S = 24 * 3600.0
"""An upload to which nothing was added for so long has no writer any more."""

THREADS = 32
"""So many calls of one process wait for the server at once; each may for as long as `patience_s` says."""

_EMPTY = memoryview(b"")
_TRIAL = "plugmesh-check/trial"


def open_s3(url: str, runtime: Runtime) -> S3Store:
    """The store at an `s3://` URL. Asks the server nothing yet. Raises `ConfigurationError`."""
    return S3Store(parse_address(url), runtime)


class S3Store:
    """`SweptStore` in a bucket, and `FileStore` of what is in the cache."""

    def __init__(self, address: S3Address, runtime: Runtime) -> None:
        """Raises `ConfigurationError` if the cache's folder cannot be made."""
        self._address, self._runtime = address, runtime
        self._bucket = Bucket(Requests(address, runtime))
        self._cache = _cache(address, runtime)
        self._cached = None if self._cache is None else CachedReader(self._bucket, self._cache)
        self.threads = runtime.threads("objects", THREADS)

    @property
    def remote(self) -> S3Store:
        """Its bytes come from another machine."""
        return self

    @property
    def name(self) -> str:
        return self._address.name

    @property
    def compression(self) -> Compression | None:
        return self._address.compression

    @property
    def is_mapped(self) -> bool:
        return self._cache is not None and self._address.compression is None

    def check(self) -> None:
        """List, write and delete, so that a wrong setting is found when a process starts; nobody is waited for. Raises
        `ConfigurationError`, `NotReachable`."""
        bucket = Bucket(Requests(replace(self._address, patience_s=0.0), self._runtime))
        next(bucket.below(_TRIAL.rpartition("/")[0] + "/"), None)
        bucket.requests.send("PUT", _TRIAL, body=b"")
        bucket.remove(_TRIAL)

    def use(self) -> StoreUse:
        """What this process has asked of the server since its start."""
        return self._bucket.requests.counts.use()

    def figures(self) -> Iterator[Figure]:
        """For `/metrics`."""
        yield from self._bucket.requests.counts.figures(cached=self._cache is not None)
        if self._cache is not None:
            yield from self._cache.figures()

    def create(self, key: str, bytes: int | None = None) -> S3Writer:
        check_key(key)
        cached = None if self._cache is None else self._cache.begin(key, bytes or 0)
        return S3Writer(self._bucket, key, cached)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        check_key(key)
        if offset < 0 or (length is not None and length < 0):
            raise ObjectCorrupt(f"object {key}: {length} bytes from {offset} on were asked for")
        end = None if length is None else offset + length
        try:
            if self._cached is not None and end != offset:
                return self._cached.read(key, offset, end)
            return self._read(key, offset, end)
        except OutOfRange:
            self._check_range(key, offset, end)
            return _EMPTY

    def read_again(self, key: str, offset: int, length: int) -> memoryview:
        if self._cache is not None:
            self._cache.forget(check_key(key))
        try:
            return self._read(key, offset, offset + length)
        except OutOfRange:
            self._check_range(key, offset, offset + length)
            return _EMPTY

    def size(self, key: str) -> int:
        """Bytes of an object. Raises `ObjectMissing`."""
        return self._found(check_key(key)).bytes

    def descriptor(self, key: str) -> int | None:
        return None if self._cached is None else self._cached.descriptor(check_key(key))

    def delete(self, key: str) -> bool:
        if self._bucket.stat(check_key(key)) is None:
            return False
        self._bucket.remove(key)
        if self._cache is not None:
            self._cache.forget(key)
        return True

    def list(self, prefix: str) -> Iterator[Stored]:
        check_prefix(prefix)
        return (self._bucket.stored(found) for found in self._bucket.below(prefix))

    def folders(self, prefix: str) -> Sequence[str]:
        check_prefix(prefix)
        found = self._bucket.below(prefix, folders=True)
        return sorted({self._bucket.key_of(one)[len(prefix) :].strip("/") for one in found if one.is_dir})

    def remove_abandoned(self) -> int:
        return remove_idle(self._bucket, self._runtime.wall() - IDLE_UPLOAD_S)

    def free_bytes(self) -> int:
        return 0

    def close(self) -> None:
        """Take no more calls on its threads."""
        self.threads.close()

    def _read(self, key: str, offset: int, end: int | None) -> memoryview:
        if end == offset:
            self._check_range(key, offset, end)
            return _EMPTY
        download = self._bucket.open(key, offset, end)
        if end is not None and download.end < end:
            download.close()
            raise self._bucket.too_short(key, offset, end, download.total)
        return download.read()

    def _check_range(self, key: str, offset: int, end: int | None) -> None:
        """Raises `ObjectMissing`, and `ObjectCorrupt` if the object ends before `offset` or `end`."""
        total = self._found(key).bytes
        if not offset <= (offset if end is None else end) <= total:
            raise self._bucket.too_short(key, offset, end, total)

    def _found(self, key: str) -> Stored:
        found = self._bucket.stat(key)
        if found is None:
            raise ObjectMissing(f"object {key} is not in the store {self._address.name}: it was removed or never there")
        return found.stored


def _cache(address: S3Address, runtime: Runtime) -> Cache | None:
    if address.cache is None or not address.cache_bytes:
        return None
    try:
        return Cache(
            address.cache, address.cache_bytes, f"{address.endpoint}/{address.bucket}/{address.prefix}", runtime
        )
    except OSError as error:
        raise ConfigurationError(
            f"the setting objects: cache={address.cache}: {error.strerror}: use a folder that can be written"
        ) from error
