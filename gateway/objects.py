"""Objects for modules that cannot reach the store themselves: what they may touch, and how bytes come in and go out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

from pydantic_core import to_json

from gateway.access import Actor, Scope
from gateway.errors import BadRequest
from gateway.uploads import PIECE_BYTES
from plugmesh.contracts.run import StepState
from plugmesh.errors import ConfigurationError, LimitExceeded, Unauthorized
from plugmesh.objects.keys import check_key, check_prefix
from plugmesh.objects.port import ObjectStore, Stored, Writer, remote_of, size_of, store_call
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.reads import Reader
from plugmesh.state.store import State

DATA, CONTRACTS = "data", "contracts"
"""The first words of the keys that anybody may write by this way: everything else in the store is the server's."""
READ_BYTES = 4 * 1024 * 1024
"""Objects are read in pieces of this size."""
LISTED = 1000
"""A listing is sent in pieces of so many objects, and no more of it is held."""
KNOWN_S = 3.0
"""That an attempt is at work is asked again after this time, and before anything is deleted."""
_DEPTH = 5
"""Words of `data/namespace/run/step/epoch`."""
_REMEMBERED = 1024
_AT_WORK = frozenset({StepState.ASSIGNED, StepState.RUNNING})
T = TypeVar("T")


class RemoteObjects:
    """The store, as far as one who is elsewhere may use it. Keys and prefixes that are none raise `BadRequest`."""

    def __init__(self, runtime: Runtime, state: State, objects: ObjectStore, settings: Settings) -> None:
        self._runtime = runtime
        self._state = state
        self._objects = objects
        self._settings = settings
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()
        """Attempts of instances that are at work, and until when that counts."""

    async def size(self, key: str) -> int:
        """Length of an object in bytes. Raises `ObjectMissing`."""
        return await self._call(size_of, self._objects, checked(key))

    async def piece(self, key: str, start: int, end: int, *, again: bool = False) -> bytes:
        """Bytes of an object; `again`: not from a cache, where the store has one. Raises `ObjectMissing`."""
        return await self._call(self._read_again if again else self._read, key, start, end - start)

    async def pieces(self, key: str, start: int, end: int, *, again: bool = False) -> AsyncIterator[bytes]:
        """The same, piece by piece."""
        while start < end:
            until = min(end, start + READ_BYTES)
            yield await self.piece(key, start, until, again=again)
            start = until

    async def put(self, actor: Actor, key: str, body: AsyncIterable[bytes], declared: int | None) -> Stored:
        """Store `body` whole, or not at all; `declared` is its length as far as it was told.

        Raises `Unauthorized` (not this actor's to write), `LimitExceeded`, `StoreFull`, `Conflict` if the key exists.
        """
        await self._check_writable(actor, checked(key))
        self._check_size(declared or 0)
        writer = await self._call(self._objects.create, key, declared)
        try:
            size = await self._receive(writer, body)
            if declared is not None and size != declared:
                raise BadRequest(
                    f"the body of {key} has {size:,} bytes, and was said to have {declared:,}: send it again"
                )
            self._runtime.point("gateway.object.before_commit")
            return await self._call(writer.commit)
        finally:
            await self._call(writer.abort)

    async def delete(self, actor: Actor, key: str) -> bool:
        """Remove an object; False if it was not there. Raises `Unauthorized`."""
        await self._check_deletable(actor, checked(key))
        return await self._call(self._objects.delete, key)

    async def below(self, prefix: str) -> AsyncIterator[bytes]:
        """Every object below a prefix, a line of JSON each, in pieces of `LISTED`."""
        try:
            check_prefix(prefix)
        except ConfigurationError as error:
            raise BadRequest(str(error)) from error
        found = await self._call(self._objects.list, prefix)
        while piece := await self._call(_lines, found):
            yield piece

    async def _call(self, function: Callable[..., T], *args: Any) -> T:
        return await store_call(self._objects, self._runtime, function, *args)

    async def _receive(self, writer: Writer, body: AsyncIterable[bytes]) -> int:
        size = 0
        piece = bytearray()
        async for chunk in body:
            size += len(chunk)
            self._check_size(size)
            piece += chunk
            if len(piece) >= PIECE_BYTES:
                await self._call(writer.write, bytes(piece))
                piece.clear()
        if piece:
            await self._call(writer.write, bytes(piece))
        return size

    def _read(self, key: str, start: int, size: int) -> bytes:
        return bytes(self._objects.read(key, start, size))  # copied here: a page fault must not stop the loop

    def _read_again(self, key: str, start: int, size: int) -> bytes:
        remote = remote_of(self._objects)
        return self._read(key, start, size) if remote is None else bytes(remote.read_again(key, start, size))

    def _check_size(self, size: int) -> None:
        limit = self._settings.file_limit_bytes
        if size > limit:
            raise LimitExceeded(
                f"the object has at least {size:,} bytes, {limit:,} are possible: write the table in parts, "
                "or raise file_limit_bytes in the gateway's settings"
            )

    async def _check_writable(self, actor: Actor, key: str) -> None:
        """Raises `Unauthorized` unless this is a place for results and contracts and, for an executor, that of an attempt that
        its instance has at work."""
        words = _place(actor, key)
        if actor.scope is Scope.TICKET and not await self._is_known(actor.name, words):
            raise _not_at_work(actor, key)

    async def _check_deletable(self, actor: Actor, key: str) -> None:
        """Raises `Unauthorized` unless it may be written and, for who joins, too, is of an attempt that is at work: what one
        that is over has written may have been accepted, and is the sweeper's to delete."""
        words = _place(actor, key)
        instance = actor.name if actor.scope is Scope.TICKET else None
        limited = actor.scope in {Scope.TICKET, Scope.JOIN}
        if limited and not await self._state.read(_is_at_work, words, instance):
            raise _not_at_work(actor, key)

    async def _is_known(self, instance: str, words: list[str]) -> bool:
        """Whether SQL says, or said a moment ago, that `instance` has the attempt that a key is of at work."""
        attempt, now = (instance, "/".join(words[:_DEPTH])), self._runtime.now()
        if len(words) > _DEPTH and now < self._known.get(attempt, 0.0):
            return True
        if not await self._state.read(_is_at_work, words, instance):
            return False
        self._known[attempt] = now + KNOWN_S
        self._known.move_to_end(attempt)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True


def checked(key: str) -> str:
    """Return `key`. Raises `BadRequest`."""
    try:
        return check_key(key)
    except ConfigurationError as error:
        raise BadRequest(str(error)) from error


def _place(actor: Actor, key: str) -> list[str]:
    """The words of a key. Raises `Unauthorized` unless it is one for results or contracts."""
    words = key.split("/")
    if len(words) < 2 or words[0] not in {DATA, CONTRACTS}:
        raise Unauthorized(
            f"{actor.name} may not write {key}: only {DATA}/ and {CONTRACTS}/ are written from elsewhere"
        )
    return words


def _not_at_work(actor: Actor, key: str) -> Unauthorized:
    whose = " of this instance" if actor.scope is Scope.TICKET else ""
    return Unauthorized(f"{actor.name} may not change {key}: it is not below an attempt{whose} that is at work")


def _is_at_work(reader: Reader, words: list[str], instance: str | None) -> bool:
    """Whether a key is of an attempt that `instance` (`None`: any) was given and that is not over."""
    if words[0] != DATA or len(words) <= _DEPTH or not words[4].isdecimal():
        return False
    _, namespace, run, step, epoch = words[:_DEPTH]
    found = reader.run(run)
    if found is None or found.namespace != namespace:
        return False
    row = reader.step(found, step)
    if row is None or row.epoch != int(epoch) or row.state not in _AT_WORK:
        return False
    return instance is None or row.instance == instance


def _lines(found: Iterator[Stored]) -> bytes:
    return b"".join(to_json(document(one)) + b"\n" for one in islice(found, LISTED))


def document(stored: Stored) -> dict[str, str | int | float]:
    """An object as answers show it."""
    return {"key": stored.key, "bytes": stored.bytes, "modified": stored.modified}
