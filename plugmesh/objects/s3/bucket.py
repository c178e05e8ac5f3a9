"""What a store does with its bucket: one method an operation, all of them safe to try again.

Every object carries the id of its writer. So a writer whose answer was lost finds out whether the object that is there is
its own, and one whose answer was wrong that it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from minio import Minio

from plugmesh.errors import Conflict, NotReachable, ObjectCorrupt, ObjectMissing
from plugmesh.objects.port import Stored
from plugmesh.objects.s3.body import Body
from plugmesh.objects.s3.download import Download
from plugmesh.objects.s3.errors import Exists, NotKnown
from plugmesh.objects.s3.requests import Requests

WRITER_HEADER = "x-amz-meta-plugmesh-writer"

NEW_ONLY = {"If-None-Match": "*"}
"""What asks the server to refuse a key that is there. Some do not know it."""

_SMALL_BYTES = 64 * 1024
_TRIES = 8  # writes that are answered well and lost
_PAGE = 1000  # what servers give at once


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is there, and who wrote it (empty: not said)."""

    stored: Stored
    writer: str


class Bucket:
    """The objects of one store. Keys are the store's; the prefix is put before them here."""

    def __init__(self, requests: Requests) -> None:
        self.requests, self._address = requests, requests.address
        self._knows_conditions = True
        self._refuses_itself: bool | None = None
        """Whether the server refuses a key that is there; `None`: not known yet."""

    def stat(self, key: str) -> Found | None:
        """What is there under a key."""
        try:
            found = self.requests.patiently(
                f"HEAD {key}", lambda client: client.stat_object(self._address.bucket, self._address.prefix + key)
            )
        except ObjectMissing:
            return None
        return Found(_stored(key, found), (found.metadata or {}).get(WRITER_HEADER, ""))

    def open(self, key: str, start: int, end: int | None) -> Download:
        """The bytes from `start` to `end`, or to where the object ends earlier. Raises `ObjectMissing`, `OutOfRange`
        (there is not one such byte)."""
        return Download(self.requests, key, start, end)

    def put(self, key: str, body: Body, writer: str) -> Stored:
        """Write an object whole, and see that it is there. Raises `Conflict`, `StoreFull`."""
        if not self._refuses_itself:
            self.refuse_existing(key)
        for _ in range(_TRIES):
            with suppress(Exists):  # perhaps by the request before, of which the answer was lost
                self._put(key, body, writer)
            stored = self.own(key, writer, len(body))
            if stored is not None:
                if self._refuses_itself is None:
                    self._learn(key, body, writer)
                return stored
        raise lost(key, self._address.name)

    def _put(self, key: str, body: Body, writer: str) -> None:
        headers = {"Content-Type": "application/octet-stream", WRITER_HEADER: writer}
        if self._knows_conditions:
            try:
                self.requests.send("PUT", key, body=body, headers={**headers, **NEW_ONLY})
            except NotKnown:
                self._knows_conditions = self._refuses_itself = False
            else:
                return
        self.requests.send("PUT", key, body=body, headers=headers)

    def _learn(self, key: str, body: Body, writer: str) -> None:
        """Find out, once and with something small, whether the server refuses what is there: then nobody has to look before."""
        if len(body) > _SMALL_BYTES:
            return
        headers = {"Content-Type": "application/octet-stream", WRITER_HEADER: writer, **NEW_ONLY}
        try:
            self.requests.send("PUT", key, body=body, headers=headers)
        except Exists:
            self._refuses_itself = True
        else:
            self._refuses_itself = False

    def refuse_existing(self, key: str) -> None:
        """Raises `Conflict` if there is such an object: not every server knows `If-None-Match`."""
        if self.stat(key) is not None:
            raise _conflict(key)

    def own(self, key: str, writer: str, size: int) -> Stored | None:
        """The object if it is there as its writer has written it; one of ours of another size is removed. Raises
        `Conflict`."""
        found = self.stat(key)
        if found is None:
            return None
        if found.writer != writer:
            raise _conflict(key)
        if found.stored.bytes != size:
            self.remove(key)
            return None
        return found.stored

    def too_short(self, key: str, offset: int, end: int | None, total: int) -> ObjectCorrupt:
        """What to raise for bytes that an object does not have."""
        to = "its end" if end is None else end
        return ObjectCorrupt(
            f"object {key} in {self._address.name}: bytes {offset} to {to} were asked for, but it has {total}"
        )

    def remove(self, key: str) -> None:
        """Delete an object, which may not be there."""
        bucket, name = self._address.bucket, self._address.prefix + key
        try:
            self.requests.patiently(f"DELETE {key}", lambda client: client.remove_object(bucket, name))
        except ObjectMissing:
            return

    def below(self, prefix: str, *, folders: bool = False) -> Iterator[Any]:
        """What lies below `prefix`: objects, or with `folders` one `is_dir`, perhaps twice, for all that share their next
        word."""
        after: str | None = None
        while True:
            page = self._page(prefix, after, folders=folders)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].object_name

    def _page(self, prefix: str, after: str | None, *, folders: bool) -> list[Any]:
        bucket, name = self._address.bucket, self._address.prefix + prefix

        def listed(client: Minio) -> list[Any]:
            found = client.list_objects(bucket, prefix=name, recursive=not folders, start_after=after)
            return list(islice(found, _PAGE))

        return self.requests.patiently(f"LIST {prefix}", listed)

    def key_of(self, found: Any) -> str:
        """The key of something listed."""
        return str(found.object_name).removeprefix(self._address.prefix)

    def stored(self, found: Any) -> Stored:
        """Of an object listed."""
        return _stored(self.key_of(found), found)


def lost(key: str, name: str) -> NotReachable:
    """What to raise when the server has confirmed an object that it does not have."""
    return NotReachable(
        f"object store {name}: {key} was confirmed by the server and is not there: the step is to be tried again; if this "
        "happens often, the server or what is between loses data"
    )


def _conflict(key: str) -> Conflict:
    return Conflict(f"object {key} exists: a key is never written twice")


def _stored(key: str, found: Any) -> Stored:
    modified: datetime | None = found.last_modified
    return Stored(key, found.size or 0, modified.timestamp() if modified is not None else 0.0)
