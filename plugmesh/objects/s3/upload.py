"""A multipart upload: an object that is sent in parts while it is made, and is there with the last request."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from minio.datatypes import ListMultipartUploadsResult, ListPartsResult

from plugmesh.errors import NotReachable, PlugmeshError
from plugmesh.objects.port import Stored
from plugmesh.objects.s3.body import Body
from plugmesh.objects.s3.bucket import WRITER_HEADER, Bucket, lost
from plugmesh.objects.s3.errors import Exists, NoUpload

_TRIES = 8  # parts that are confirmed and lost
_AT_ONCE = 3  # parts under way, each of which is in memory


class _Part(NamedTuple):
    """A part that the server has."""

    etag: str
    checksum: str


class Upload:
    """One of them; some parts are under way at a time. Not to be used by two threads at once."""

    def __init__(self, bucket: Bucket, key: str, writer: str) -> None:
        """Raises as every request does."""
        self._bucket, self._send, self._key, self._writer = bucket, bucket.requests.send, key, writer
        headers = {
            "Content-Type": "application/octet-stream",
            "x-amz-checksum-algorithm": "CRC32",
            WRITER_HEADER: writer,
        }
        answer = self._send("POST", key, headers=headers, query={"uploads": ""})
        self._id = _text(answer, "UploadId")
        self._threads = ThreadPoolExecutor(_AT_ONCE, "upload")
        self._under_way: deque[Future[_Part]] = deque()
        self._sent: list[_Part] = []
        self._bytes = 0

    @property
    def parts(self) -> int:
        """How many were sent, or are under way."""
        return len(self._sent) + len(self._under_way)

    def send(self, body: Body) -> None:
        """One more part, of which we hear later what became of it. Raises as `complete`, of parts before it."""
        self._bytes += len(body)
        self._under_way.append(self._threads.submit(self._one, self.parts + 1, body))
        while len(self._under_way) > _AT_ONCE:
            self._sent.append(self._under_way.popleft().result())

    def complete(self) -> Stored:
        """Make it an object. Raises `Conflict`, `StoreFull`, `NotReachable` (the server has lost it)."""
        while self._under_way:
            self._sent.append(self._under_way.popleft().result())
        self._threads.shutdown()
        self._bucket.refuse_existing(self._key)
        parts = "".join(
            f"<Part><ChecksumCRC32>{part.checksum}</ChecksumCRC32><PartNumber>{number}</PartNumber>"
            f'<ETag>"{part.etag}"</ETag></Part>'
            for number, part in enumerate(self._sent, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        headers = {"Content-Type": "application/xml"}  # not every server knows a condition here
        for _ in range(_TRIES):
            gone = False
            try:
                self._send("POST", self._key, body=body, headers=headers, query={"uploadId": self._id})
            except NoUpload:
                gone = True  # perhaps this is what the answer before, which was lost, has done
            except Exists:
                pass
            stored = self._bucket.own(self._key, self._writer, self._bytes)
            if stored is not None:
                return stored
            if gone:
                break
        raise self._lost()

    def abort(self) -> None:
        """Give up what was sent. What cannot be given up now is swept later."""
        self._threads.shutdown(cancel_futures=True)  # a part that comes after the end would stay
        try:
            abort(self._bucket, self._key, self._id)
        except PlugmeshError:
            return

    def _one(self, number: int, body: Body) -> _Part:
        """A part, which the server shows that it has. Raises `StoreFull`, `NotReachable`."""
        query = {"partNumber": str(number), "uploadId": self._id}
        for _ in range(_TRIES):
            answer = self._send("PUT", self._key, body=body, query=query)
            etag = str(answer.headers.get("etag", "")).strip('"')
            if self._has(number, etag, len(body)):
                return _Part(etag, body.crc32())
        raise self._lost()

    def _has(self, number: int, etag: str, size: int) -> bool:
        parts = _parts(self._bucket, self._key, self._id, after=number - 1, most=1)
        return any(part.part_number == number and part.etag == etag and part.size == size for part in parts)

    def _lost(self) -> NotReachable:
        return lost(self._key, self._bucket.requests.address.name)


def abort(bucket: Bucket, key: str, upload: str) -> None:
    """Give up an upload, which may be gone."""
    try:
        bucket.requests.send("DELETE", key, query={"uploadId": upload})
    except NoUpload:
        return


def remove_idle(bucket: Bucket, before: float) -> int:
    """Give up all uploads to which nothing was added since `before` (Unix time); returns how many. Some servers show none
    of them and remove them themselves, as MinIO does after a day."""
    removed = 0
    for key, upload, begun in list(_uploads(bucket)):
        if begun < before and _last(bucket, key, upload, begun) < before:
            abort(bucket, key, upload)
            removed += 1
    return removed


def _uploads(bucket: Bucket) -> list[tuple[str, str, float]]:
    """Key, id and begin of all uploads of the store."""
    requests, prefix = bucket.requests, bucket.requests.address.prefix
    marks: dict[str, str] = {}
    found: list[tuple[str, str, float]] = []
    while True:
        query = {"uploads": "", "max-uploads": "1000", "prefix": prefix, "encoding-type": "url", **marks}
        page = ListMultipartUploadsResult(requests.send("GET", None, query=query))
        found += [
            (str(one.object_name).removeprefix(prefix), str(one.upload_id), _seconds(one.initiated_time))
            for one in page.uploads
        ]
        if not page.is_truncated or not page.uploads:
            return found
        last = page.uploads[-1]
        marks = {"key-marker": str(last.object_name), "upload-id-marker": str(last.upload_id)}


def _last(bucket: Bucket, key: str, upload: str, begun: float) -> float:
    """When something was added last."""
    last, after = begun, 0
    while True:
        parts = _parts(bucket, key, upload, after=after, most=1000)
        last = max([last, *(_seconds(part.last_modified) for part in parts)])
        if len(parts) < 1000:
            return last
        after = parts[-1].part_number


def _parts(bucket: Bucket, key: str, upload: str, *, after: int, most: int) -> list[Any]:
    query = {"uploadId": upload, "max-parts": str(most), "part-number-marker": str(after)}
    try:
        return list(ListPartsResult(bucket.requests.send("GET", key, query=query)).parts)
    except NoUpload:
        return []


def _seconds(time: datetime | None) -> float:
    return 0.0 if time is None else time.timestamp()


def _text(answer: Any, name: str) -> str:
    """The text of an element of an answer."""
    for element in ET.fromstring(answer.data.decode()).iter():  # noqa: S314  of the server that all data is trusted to
        if element.tag.rpartition("}")[2] == name and element.text:
            return element.text
    raise NotReachable(f"the server's answer has no {name}: try again")
