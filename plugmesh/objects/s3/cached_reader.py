"""Reading through the cache: what is there is mapped, what is not is fetched once, by one of those who want it."""

from __future__ import annotations

from plugmesh.objects.s3.bucket import Bucket
from plugmesh.objects.s3.cache import Cache
from plugmesh.objects.s3.cache_file import CacheFile
from plugmesh.objects.s3.download import Download
from plugmesh.objects.s3.spans import Span, gaps, reach

AHEAD_BYTES = 256 * 1024
"""So much is fetched for less: columns lie side by side, and a request takes longer than such an amount of bytes."""


class CachedReader:
    """Reads a bucket through a cache."""

    def __init__(self, bucket: Bucket, cache: Cache) -> None:
        self._bucket, self._cache = bucket, cache
        self._counts = bucket.requests.counts

    def read(self, key: str, start: int, end: int | None) -> memoryview:
        """As the store does, of at least one byte."""
        found = self._found(key, start, end)
        if found is not None:
            return self._counts.hit(found)
        with self._cache.fetching(key, start, None if end is None else max(end, start + AHEAD_BYTES)):
            found = self._found(key, start, end)
            if found is not None:
                return self._counts.hit(found)
            self._counts.misses += 1
            return self._fetched(key, start, end)

    def descriptor(self, key: str) -> int | None:
        """The object as a file, which is fetched where it is not there; `None` if the cache has no room for it."""
        found = self._whole(key)
        if found is None:
            self.read(key, 0, None)
            found = self._whole(key)
        return found

    def _whole(self, key: str) -> int | None:
        for span in self._cache.spans(key):
            if (span.start, span.end) == (0, span.total):
                return self._cache.descriptor(key, span)
        return None

    def _found(self, key: str, start: int, end: int | None) -> memoryview | None:
        for span in self._cache.spans(key):
            last = span.total if end is None else end
            if last > span.total or start > last:
                raise self._bucket.too_short(key, start, end, span.total)
            if span.holds(start, last):
                view = self._cache.view(key, span)
                if view is not None:
                    return view[start - span.start : last - span.start]
        return None

    def _fetched(self, key: str, start: int, end: int | None) -> memoryview:
        have = self._held(key)
        if end is None and have:
            end = next(iter(have)).total
        if end is not None and have:
            return self._completed(key, start, end, have)
        download = self._bucket.open(key, start, None if end is None else max(end, start + AHEAD_BYTES))
        last = download.total if end is None else end
        if last > download.total:
            download.close()
            raise self._bucket.too_short(key, start, end, download.total)
        span = Span(start, download.end, download.total)
        return self._kept(key, span, download)[: last - start]

    def _held(self, key: str) -> dict[Span, memoryview]:
        """Entries of an object, with their bytes: as long as those are held, they do not go."""
        have: dict[Span, memoryview] = {}
        for span in self._cache.spans(key):
            view = self._cache.view(key, span)
            if view is not None:
                have[span] = view
        return have

    def _kept(self, key: str, span: Span, download: Download) -> memoryview:
        """The bytes that come, kept where there is room."""
        file = self._cache.begin(key, span.end - span.start)
        if file is None:
            return download.read()
        if self._is_copied(file, download, 0):
            view = self._cache.publish(key, file, span)
            if view is not None:
                return view
        return self._bucket.open(key, span.start, span.end).read()

    def _completed(self, key: str, start: int, end: int, have: dict[Span, memoryview]) -> memoryview:
        """Bytes of which some are here: the others are fetched."""
        total = next(iter(have)).total
        last = min(total, reach(start, end, start + AHEAD_BYTES, [(span.start, span.end) for span in have]))
        span = Span(start, last, total)
        missing = gaps(start, last, [(one.start, one.end) for one in have])
        file = self._cache.begin(key, last - start)
        if file is None:
            return self._bucket.open(key, start, end).read()
        try:
            for one, view in have.items():
                first, past = max(start, one.start), min(last, one.end)
                if first < past:
                    file.put(first - start, view[first - one.start : past - one.start])
        except OSError:
            file.drop()
        for first, past in missing:
            if not self._is_copied(file, self._bucket.open(key, first, past), first - start):
                break
        found = self._cache.publish(key, file, span)
        if found is None:
            found = self._bucket.open(key, start, end).read()
        return found[: end - start]

    def _is_copied(self, file: CacheFile, download: Download, at: int) -> bool:
        """Whether the bytes that come are in the file, from `at` on; otherwise it is given up."""
        try:
            download.copy_to(lambda place, piece: file.put(at + place, piece))
        except OSError:
            file.drop()
            return False
        except BaseException:
            file.drop()
            raise
        return True
