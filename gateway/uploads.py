"""Files on their way in: streamed to the object store in large pieces, visible only when whole."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from collections.abc import AsyncIterable

import xxhash

from gateway.errors import BadRequest
from plugmesh.contracts.base import NAME_PATTERN
from plugmesh.errors import LimitExceeded
from plugmesh.objects.port import ObjectStore, Writer, store_call
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.records import StoredFile
from plugmesh.state.store import State

PIECE_BYTES = 1024 * 1024
UNKNOWN_TYPE = "application/octet-stream"
_NAMESPACE = re.compile(NAME_PATTERN)
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"})
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols that are shown as nothing."""
_MEDIA_TYPE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,99}/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,98}")


def check_name(name: str) -> str:
    """Return a file's `name` in Unicode normal form C. Raises `BadRequest`."""
    normal = unicodedata.normalize("NFC", name)
    if not 1 <= len(normal) <= 255 or len(normal.encode("utf-8", "replace")) > 1000:
        raise BadRequest(f"a file's name has 1 to 255 characters, not {len(normal)}")
    if normal != normal.strip():
        raise BadRequest(f"a file's name begins and ends with something that can be seen: {normal[:60]!r}")
    if "\N{REPLACEMENT CHARACTER}" in normal:
        raise BadRequest(f"a file's name is UTF-8 text, percent-encoded: {normal[:60]!r}")
    if "/" in normal or "\\" in normal or ".." in normal or normal == ".":
        raise BadRequest(f"a file's name holds no /, \\ or ..: {normal[:60]!r}")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in normal):
        raise BadRequest(f"a file's name holds no control characters: {normal[:60]!r}")
    if not any(_can_be_seen(character) for character in normal):
        codes = " ".join(f"U+{ord(character):04X}" for character in normal[:8])
        raise BadRequest(f"a file's name has at least one character that can be seen; this one is {codes}")
    return normal


def _can_be_seen(character: str) -> bool:
    """By itself: not a space, a mark on another character, or one that only directs how others are shown."""
    return unicodedata.category(character) not in _UNSEEN and character not in _BLANKS


def check_namespace(namespace: str) -> str:
    """Return `namespace`. Raises `BadRequest`."""
    if not _NAMESPACE.fullmatch(namespace):
        raise BadRequest(f"{namespace[:60]!r} is no namespace: letters, digits, _ and -, at most 100")
    return namespace


def object_key(namespace: str, version: str) -> str:
    """Where the bytes of a version are. A name of the outside world is never a part of it."""
    return f"files/{namespace}/{version}"


def media_type_of(name: str, declared: str) -> str:
    """The media type to store: what the client says, or what the name's ending says."""
    told = declared.partition(";")[0].strip().lower()
    if told and told != UNKNOWN_TYPE and _MEDIA_TYPE.fullmatch(told):
        return told
    return mimetypes.guess_type(name)[0] or UNKNOWN_TYPE


class Uploads:
    """Writes new versions of files."""

    def __init__(self, runtime: Runtime, state: State, objects: ObjectStore, settings: Settings) -> None:
        self._runtime = runtime
        self._state = state
        self._objects = objects
        self._settings = settings
        self.active = self.stored = self.bytes = 0
        """Uploads that come in now, those that were stored, and their bytes; for metrics."""

    async def put(
        self, namespace: str, name: str, body: AsyncIterable[bytes], media_type: str, actor: str
    ) -> StoredFile:
        """Store `body` as the newest version of `name`.

        Raises `BadRequest` (the name), `LimitExceeded`, `StoreFull`; nothing is visible then.
        """
        check_namespace(namespace)
        name = check_name(name)
        key = object_key(namespace, self._runtime.new_id("file"))
        writer = await store_call(self._objects, self._runtime, self._objects.create, key)
        self.active += 1
        try:
            size, digest = await self._receive(writer, body)
            self._runtime.point("gateway.upload.before_commit")
            await store_call(self._objects, self._runtime, writer.commit)
        finally:
            self.active -= 1
            await store_call(self._objects, self._runtime, writer.abort)
        now = self._runtime.wall()
        stored = StoredFile(namespace, name, key, size, digest, media_type_of(name, media_type), actor, now)
        self._runtime.point("gateway.upload.after_commit")
        await self._state.put_file(stored)
        self.stored += 1
        self.bytes += size
        return stored

    async def _receive(self, writer: Writer, body: AsyncIterable[bytes]) -> tuple[int, str]:
        hasher = xxhash.xxh3_128()
        size, limit_bytes = 0, self._settings.file_limit_bytes
        piece = bytearray()
        async for chunk in body:
            size += len(chunk)
            if size > limit_bytes:
                raise LimitExceeded(
                    f"the file has more than {limit_bytes:,} bytes: split it, "
                    "or raise file_limit_bytes in the gateway's settings"
                )
            piece += chunk
            if len(piece) >= PIECE_BYTES:
                await store_call(self._objects, self._runtime, _write, writer, hasher, bytes(piece))
                piece.clear()
        if piece:
            await store_call(self._objects, self._runtime, _write, writer, hasher, bytes(piece))
        return size, f"xxh3:{hasher.hexdigest()}"


def _write(writer: Writer, hasher: xxhash.xxh3_128, piece: bytes) -> None:
    hasher.update(piece)
    writer.write(piece)
