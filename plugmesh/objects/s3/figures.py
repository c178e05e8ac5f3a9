"""What one process's access to an S3 server tells about itself: requests, bytes, outages, and what the cache was good for."""

from __future__ import annotations

from collections.abc import Iterator

from plugmesh.answering import Answering
from plugmesh.contracts.messages import StoreUse
from plugmesh.figures import Figure, count
from plugmesh.runtime import Runtime


class S3Counts:
    """Counted by whoever does it, from any thread."""

    __slots__ = ("answering", "fetched_bytes", "hit_bytes", "hits", "misses", "requests", "retries", "sent_bytes")

    def __init__(self, runtime: Runtime) -> None:
        self.answering = Answering("objects", "the server of the object store", runtime)
        self.requests = self.retries = self.fetched_bytes = self.sent_bytes = 0
        self.hits = self.misses = self.hit_bytes = 0

    def hit(self, found: memoryview) -> memoryview:
        """These bytes were in the cache; gives them back."""
        size = found.nbytes
        self.hits += 1
        self.hit_bytes += size
        return found

    def use(self) -> StoreUse:
        """The counts of now."""
        return StoreUse(
            requests=self.requests,
            retries=self.retries,
            fetched_bytes=self.fetched_bytes,
            cache_hits=self.hits,
            cache_hit_bytes=self.hit_bytes,
        )

    def figures(self, *, cached: bool) -> Iterator[Figure]:
        """The counts since the start; those of the cache if there is one."""
        yield count("plugmesh_objects_requests", "Requests to the server of the object store", self.requests)
        text = "Requests that were made again because the server had not done them"
        yield count("plugmesh_objects_retries", text, self.retries)
        yield count(
            "plugmesh_objects_fetched_bytes", "Bytes that came from the object store's server", self.fetched_bytes
        )
        yield count("plugmesh_objects_sent_bytes", "Bytes that were sent to the object store's server", self.sent_bytes)
        yield from self.answering.figures()
        if cached:
            yield count("plugmesh_objects_cache_hits", "Reads of which all bytes were in the host's cache", self.hits)
            yield count("plugmesh_objects_cache_misses", "Reads for which bytes had to be fetched", self.misses)
            yield count(
                "plugmesh_objects_cache_hit_bytes", "Bytes of objects read from the host's cache", self.hit_bytes
            )
