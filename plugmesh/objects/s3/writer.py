"""Writing into a bucket: one request for a small object, parts while it is made for a large one."""

from __future__ import annotations

import os

from plugmesh.errors import Conflict
from plugmesh.objects.port import Stored
from plugmesh.objects.s3.body import Body
from plugmesh.objects.s3.bucket import Bucket
from plugmesh.objects.s3.cache_file import CacheFile
from plugmesh.objects.s3.upload import Upload

_PARTS_OF_A_SIZE = 2000
"""After so many parts they become twice as large: no more than 10,000 are allowed."""


class S3Writer:
    """`Writer`. What it sends goes into the cache as well, if there is one: who reads it on this host has it there."""

    def __init__(self, bucket: Bucket, key: str, cached: CacheFile | None) -> None:
        self._bucket, self._key, self._cached = bucket, key, cached
        self._runtime = bucket.requests.runtime
        self._id = self._runtime.new_id("writer")
        self._pid = os.getpid()
        self._pending = Body()
        self._upload: Upload | None = None
        self._written = 0
        self._is_open = True

    def write(self, data: bytes | memoryview) -> int:
        self._check_open()
        view = memoryview(data).cast("B") if isinstance(data, memoryview) else memoryview(data)
        try:
            self._take(view)
        except BaseException:
            self.abort()
            raise
        if self._cached is not None:
            self._cached.append(view)
        self._written += len(view)
        return len(view)

    def commit(self) -> Stored:
        self._check_open()
        self._runtime.point("objects.commit.before_rename")
        try:
            stored = self._committed()
        except BaseException:
            self.abort()
            raise
        self._is_open = False
        if self._cached is not None:
            self._cached.publish(0, self._written, self._written)
        self._runtime.point("objects.commit.after_rename")
        return stored

    def abort(self) -> None:
        if not self._is_open or self._pid != os.getpid():  # a forked child: the upload is its parent's
            return
        self._is_open = False
        self._pending = Body()
        if self._cached is not None:
            self._cached.drop()
        if self._upload is not None:
            self._upload.abort()

    def _take(self, view: memoryview) -> None:
        """Send what is more than a part: of the last one nobody knows yet whether it is the only one."""
        size = self._part_bytes()
        while len(self._pending) + len(view) > size:
            room = size - len(self._pending)
            self._pending.append(view[:room])
            view = view[room:]
            self._send_pending()
            size = self._part_bytes()
        self._pending.append(view)

    def _committed(self) -> Stored:
        if self._upload is None:
            return self._bucket.put(self._key, self._pending, self._id)
        if len(self._pending):
            self._send_pending()
        return self._upload.complete()

    def _send_pending(self) -> None:
        part, self._pending = self._pending, Body()
        if self._upload is None:
            self._upload = Upload(self._bucket, self._key, self._id)
        self._upload.send(part)

    def _part_bytes(self) -> int:
        sent = 0 if self._upload is None else self._upload.parts
        return self._bucket.requests.address.part_bytes << (sent // _PARTS_OF_A_SIZE)

    def _check_open(self) -> None:
        if not self._is_open:
            raise Conflict(f"object {self._key} was committed or aborted already: create it again under another key")
