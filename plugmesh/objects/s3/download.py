"""Bytes of an object as they come from the server; where a connection breaks, another one goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from minio import Minio

from plugmesh.errors import ConfigurationError, ObjectCorrupt
from plugmesh.objects.s3.errors import FAILURES, CutOff, Unavailable
from plugmesh.objects.s3.requests import Requests

_PIECE_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Download:
    """The bytes from `start` to `end` of an object of `total` bytes: the server has answered, they have not come yet."""

    def __init__(self, requests: Requests, key: str, start: int, end: int | None) -> None:
        self._requests, self._key, self.start = requests, key, start
        self._response: Any = None
        last, self.total = self._begin(start, end)
        self.end = last
        if end is not None and last != min(end, self.total):
            self.close()
            raise ObjectCorrupt(
                f"object {key}: bytes {start} to {end} of {self.total} were asked for, {last} came last"
            )

    def copy_to(self, put: Callable[[int, bytes], None]) -> None:
        """Hand over all bytes, each piece with its place behind `start`. Raises what `put` raises, `NotReachable`,
        `ObjectCorrupt` (the object is another one now)."""
        at = self.start
        try:
            while at < self.end:
                piece = self._piece(self.end - at) or self._resumed(at)
                put(at - self.start, piece)
                at += len(piece)
            self._release()
        finally:
            self.close()

    def read(self) -> memoryview:
        """All bytes, in memory: at once, which needs no copy, or piece by piece where the connection breaks."""
        whole = self._piece(None)
        if len(whole) == self.end - self.start:
            self._release()
            return memoryview(whole)
        self.close()
        buffer = bytearray(self.end - self.start)

        def put(at: int, piece: bytes) -> None:
            buffer[at : at + len(piece)] = piece

        self.copy_to(put)
        return memoryview(buffer).toreadonly()

    def close(self) -> None:
        """Drop what has not come yet."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _release(self) -> None:
        """Let others use the connection."""
        if self._response is not None:
            self._response.release_conn()
            self._response = None

    def _begin(self, start: int, end: int | None) -> tuple[int, int]:
        """Ask for the bytes; where what comes ends, and how long the object is."""
        address = self._requests.address
        name, length = address.prefix + self._key, 0 if end is None else end - start
        what = f"GET {self._key}"

        def get(client: Minio) -> tuple[int, int]:
            self._response = client.get_object(address.bucket, name, start, length)
            return _extent(self._response, start)

        return self._requests.patiently(what, get)

    def _resumed(self, at: int) -> bytes:
        """The next bytes, over another connection: a server that answers and sends nothing is tried again as well."""
        self.close()
        address = self._requests.address

        def first(client: Minio) -> bytes:
            self._response = client.get_object(address.bucket, address.prefix + self._key, at, self.end - at)
            _, total = _extent(self._response, at)
            if total != self.total:
                raise ObjectCorrupt(f"object {self._key} had {self.total} bytes, now it has {total}")
            piece = self._piece(self.end - at)
            if not piece:
                raise CutOff(f"bytes {at} to {self.end} of {total} were promised and did not come")
            return piece

        return self._requests.patiently(f"GET {self._key}", first)

    def _piece(self, most: int | None) -> bytes:
        """The next bytes, or (`None`) all of them; none if there is no connection, or it broke."""
        if self._response is None:
            return b""
        try:
            piece: bytes = self._response.read(None if most is None else min(most, _PIECE_BYTES))
        except FAILURES:
            return b""
        size = len(piece)
        self._requests.counts.fetched_bytes += size
        return piece


def _extent(response: Any, start: int) -> tuple[int, int]:
    """Where the bytes that come end, and how long the object is."""
    if response.status == 206:
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or int(found[1]) != start:
            raise Unavailable("the answer is of other bytes than were asked for")
        return int(found[2]) + 1, int(found[3])
    length = response.headers.get("content-length", "")
    if start or not length.isdecimal():
        raise ConfigurationError(
            "the server of the setting objects does not give parts of an object: use one that does, as S3 servers do"
        )
    return int(length), int(length)
