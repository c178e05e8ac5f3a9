"""The embedded hub: topics and phone book of a mesh whose server is one process.

The gateway calls `serve` once for each WebSocket that asks for it; components of the same process use `HubBus` and
`Hub.directory`, which are direct calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from functools import partial

from pydantic import ValidationError

from plugmesh.errors import InvalidMessage, LinkLost, PlugmeshError
from plugmesh.hub.directory import Directory
from plugmesh.hub.ends import LinkOrigin
from plugmesh.hub.outbox import Outbox
from plugmesh.hub.session import Session
from plugmesh.hub.topics import KEPT_LIMIT_BYTES, Topics
from plugmesh.hub.transport import Transport
from plugmesh.hub.wire import Hello, Problem, Welcome, line
from plugmesh.runtime import Runtime

__all__ = ["Hub", "Transport"]

HELLO_S = 10.0
"""A link that has not said hello by then is closed."""
SLOW_LIMIT_BYTES = 16 * 1024 * 1024
"""A link for which more than this waits is dropped: it reconnects, and leases heal what it missed."""
REMEMBERED_LINKS = 1024
"""So many absent links are remembered, to recognise what they send again."""
_log = logging.getLogger(__name__)


class Hub:
    """One boot of the hub. `objects` is the URL of the object store that joining processes are told, and `objects_marker`
    the key of its marker (`plugmesh/objects/reach.py`)."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        mesh: str,
        objects: str,
        objects_marker: str = "",
        kept_limit_bytes: int = KEPT_LIMIT_BYTES,
        slow_limit_bytes: int = SLOW_LIMIT_BYTES,
    ) -> None:
        self._runtime = runtime
        self._slow_limit_bytes = slow_limit_bytes
        self.boot = runtime.new_id("hub")
        self.topics = Topics(self.boot, runtime.now, kept_limit_bytes)
        self.directory = Directory(runtime)
        self._welcome = Welcome(boot=self.boot, mesh=mesh, objects=objects, objects_marker=objects_marker)
        self._origins: OrderedDict[str, LinkOrigin] = OrderedDict()
        self._links: dict[str, _Link] = {}
        self._closed = False

    @property
    def links(self) -> int:
        """Live links."""
        return len(self._links)

    def waiting_bytes(self) -> dict[str, int]:
        """Bytes that wait to be sent, by link."""
        return {name: link.outbox.waiting_bytes for name, link in self._links.items()}

    async def serve(self, transport: Transport) -> None:
        """Serve one link until it ends. Never raises for what the other side does."""
        try:
            async with asyncio.timeout(HELLO_S):
                hello, rest = _read_hello(await transport.receive())
        except (LinkLost, TimeoutError) as error:
            _log.info("a link ended before it said hello: %s", error)
        except PlugmeshError as error:
            await _refuse(transport, error)
        else:
            await self._serve(transport, hello.link, rest)
        await transport.close()

    async def close(self) -> None:
        """End every link. Processes reconnect to the next boot and send again what was not acknowledged."""
        self._closed = True
        for link in tuple(self._links.values()):
            link.drop("the hub is closing")

    async def _serve(self, transport: Transport, name: str, rest: bytes) -> None:
        if self._closed:
            return
        if name in self._links:
            self._links[name].drop("its process opened another one")
        link = _Link(self._runtime, self.topics, self._origin(name), transport, self._slow_limit_bytes)
        self._links[name] = link
        link.outbox.put(line("welcome", self._welcome))
        try:
            await link.run(Session(self.topics, self.directory, link.origin, link.outbox), rest)
        finally:
            if self._links.get(name) is link:
                del self._links[name]

    def _origin(self, name: str) -> LinkOrigin:
        origin = self._origins.setdefault(name, LinkOrigin(name))
        self._origins.move_to_end(name)
        if len(self._origins) > REMEMBERED_LINKS:
            for absent in [key for key, old in self._origins.items() if old.outbox is None and not old.pending]:
                if absent != name:
                    del self._origins[absent]
        return origin


class _Link:
    """A live link: one task reads, one writes, and either end of it ends both."""

    def __init__(
        self, runtime: Runtime, topics: Topics, origin: LinkOrigin, transport: Transport, limit_bytes: int
    ) -> None:
        self._runtime = runtime
        self._topics = topics
        self._transport = transport
        self._session: Session | None = None
        self._closing: asyncio.Task[None] | None = None
        self.origin = origin
        self.outbox = Outbox(transport, limit_bytes, lambda: self.drop("it reads too slowly"))

    async def run(self, session: Session, first: bytes) -> None:
        self._session = session
        writer = self._runtime.spawn(self._write(), f"hub writer {self.origin.name}")
        try:
            session.feed(first)
            while not session.ended:
                await self._transport.receive_each(partial(_feed, session))
                while session.must_wait and not session.ended:
                    await self._topics.room()
        except LinkLost as error:
            _log.debug("link %s ended: %s", self.origin.name, error)
        finally:
            self._end()
            writer.cancel()

    def drop(self, reason: str) -> None:
        """End the link from this side, without waiting."""
        if self._closing is None:
            _log.info("link %s is dropped: %s", self.origin.name, reason)
            self._end()
            self._closing = self._runtime.spawn(self._transport.close(), f"hub close {self.origin.name}")

    async def _write(self) -> None:
        try:
            await self.outbox.run()
        except LinkLost as error:
            self.drop(str(error))

    def _end(self) -> None:
        self.outbox.shut()
        if self._session is not None:
            self._session.end()
        self._topics.nudge()  # this link may be waiting for room


def _feed(session: Session, frame: bytes | str) -> bool:
    """Whether the next frame can be taken at once."""
    session.feed(_bytes(frame))
    return not session.must_wait and not session.ended


def _read_hello(frame: bytes | str) -> tuple[Hello, bytes]:
    first, _, rest = _bytes(frame).partition(b"\n")
    verb, _, document = first.partition(b" ")
    if verb != b"hello":
        raise InvalidMessage("a link starts with a hello line; is this a Plugmesh process?")
    try:
        return Hello.model_validate_json(document), rest
    except ValidationError as error:
        raise InvalidMessage(f"the hello line cannot be read: {error.errors()[0]['msg']}") from error


async def _refuse(transport: Transport, error: PlugmeshError) -> None:
    _log.warning("a link was refused: %s", error)
    with suppress(LinkLost):
        await transport.send(line("refuse", Problem.of(error)))


def _bytes(frame: bytes | str) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode()
