"""A process's link to the hub: connects, says hello, and connects again for ever when the connection is lost.

The drivers that share the link are its *parts*. Each handles some verbs, and says again what the hub must know when
the link is back: subscriptions and registrations first, then what was published and never acknowledged.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from pydantic import ValidationError

from plugmesh.errors import (
    Conflict,
    InvalidMessage,
    LinkLost,
    NotReachable,
    PlugmeshError,
    ProtocolMismatch,
    Unauthorized,
)
from plugmesh.hub.outbox import Outbox
from plugmesh.hub.transport import Transport
from plugmesh.hub.wire import Hello, Problem, Welcome, line
from plugmesh.runtime import Runtime

FIRST_DELAY_S = 0.05
MAX_DELAY_S = 1.0
WELCOME_S = 10.0
QUEUE_LIMIT_BYTES = 16 * 1024 * 1024
_log = logging.getLogger(__name__)


class LinkPart(Protocol):
    """A driver on a link."""

    def verbs(self) -> dict[bytes, Callable[[bytes], None]]:
        """What it handles; each handler gets the rest of the line."""
        ...

    def frame_ended(self) -> None:
        """All lines of a frame were handled."""
        ...

    def resume(self, welcome: Welcome, new_boot: bool) -> None:
        """The link is up (again): send what the hub must know."""
        ...

    def closed(self, error: PlugmeshError) -> None:
        """The link will not come back: let nobody wait any more."""
        ...


class HubLink:
    """One link. `dial` makes one connection and raises `NotReachable`."""

    def __init__(self, dial: Callable[[], Awaitable[Transport]], runtime: Runtime) -> None:
        self._dial = dial
        self._runtime = runtime
        self._hello = Hello(link=runtime.new_id("link"))
        self._numbers = itertools.count(1)
        self._parts: list[LinkPart] = []
        self._verbs: dict[bytes, Callable[[bytes], None]] = {b"ok": self._ok, b"no": self._no}
        self._asked: dict[bytes, Callable[[str | PlugmeshError], None]] = {}
        self._listeners: list[Callable[[bool], None]] = []
        self._outbox: Outbox | None = None
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.welcome: Welcome | None = None
        self.failure: PlugmeshError | None = None
        self.last_error: PlugmeshError | None = None

    # -- for who opens it ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._task = self._runtime.spawn(self._run(), f"hub link {self._hello.link}")

    def listen(self, listener: Callable[[bool], None]) -> None:
        """Call `listener(True)` each time the link is up, `listener(False)` when it is lost, and again when the hub
        refuses it for good (`failure` says why)."""
        self._listeners.append(listener)

    async def up(self) -> Welcome:
        """Wait until the link is up. Raises what ended it for good: `ProtocolMismatch`, `Unauthorized`,
        `Conflict` (another mesh is there), `NotReachable` after `close`."""
        await self._up.wait()
        if self.failure is not None:
            raise self.failure
        assert self.welcome is not None
        return self.welcome

    async def close(self) -> None:
        """End the link for good."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._fail(NotReachable("the link to the hub was closed by this process"))

    # -- for its parts -------------------------------------------------------------------------------------------

    def attach(self, part: LinkPart) -> None:
        """Add a driver; if the link is up it is told so at once."""
        self._parts.append(part)
        self._verbs.update(part.verbs())
        if self.is_up and self.welcome is not None:
            part.resume(self.welcome, new_boot=True)

    def number(self) -> int:
        """A number that this link has not used yet: for requests, subscriptions and messages."""
        return next(self._numbers)

    @property
    def is_up(self) -> bool:
        """Lines can be sent."""
        return self._outbox is not None

    @property
    def crowded(self) -> bool:
        """The hub reads too slowly: what may be lost should not be sent."""
        return self._outbox is None or self._outbox.waiting_bytes > QUEUE_LIMIT_BYTES

    def send(self, text: bytes) -> bool:
        """Queue a line; False if the link is down."""
        if self._outbox is None:
            return False
        self._outbox.put(text)
        return True

    async def ask(self, verb: str, *arguments: object) -> str:
        """Send a request and wait for its answer. Raises `LinkLost`, or what the hub's `no` says."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.request(partial(_resolve, answer), verb, self.number(), *arguments)
        return await answer

    def request(self, answered: Callable[[str | PlugmeshError], None], verb: str, number: int, *rest: object) -> None:
        """Send a request; `answered` is called once with the answer, with `LinkLost`, or with what `no` says."""
        if self.send(line(verb, number, *rest)):
            self._asked[str(number).encode()] = answered
        else:
            answered(self.failure or LinkLost("the link to the hub is down"))

    # -- the life of a connection ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                transport = await self._dial()
                await self._connected(transport)
                failures = 0
            except (ProtocolMismatch, Unauthorized, Conflict) as error:
                self._fail(error)  # whoever holds the link says it
                return self._tell(False)
            except PlugmeshError as error:
                failures += 1
                self.last_error = error
            except Exception:  # noqa: BLE001  a link that gave up would leave its process alone for ever
                failures += 1
                _log.exception("the link to the hub failed in an unforeseen way; connecting again")
            longest = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(failures, 10))
            await self._runtime.sleep(self._runtime.random().uniform(0, longest))

    async def _connected(self, transport: Transport) -> None:
        """Serve one connection to its end; raises only if it ended before the welcome."""
        try:
            async with asyncio.timeout(WELCOME_S):
                await transport.send(line("hello", self._hello))
                welcome, rest = _read_welcome(await transport.receive())
                self._check_same_mesh(welcome)
        except TimeoutError as error:
            await transport.close()
            raise NotReachable(f"the hub did not answer the hello within {WELCOME_S:g} s") from error
        except BaseException:
            await transport.close()
            raise
        outbox = Outbox(transport, QUEUE_LIMIT_BYTES, _nothing)
        writer = self._runtime.spawn(_write(outbox, transport), "hub link writer")
        try:
            self._resume(outbox, welcome)
            self._handle(rest)
            await transport.receive_each(self._take)
        except LinkLost as error:
            self.last_error = error
            _log.info("the link to the hub was lost (%s); connecting again", error)
        finally:
            self._lost()
            writer.cancel()
            await transport.close()

    def _check_same_mesh(self, welcome: Welcome) -> None:
        """Another mesh at the same address knows nothing of what this process holds, and keeps its objects elsewhere."""
        known = self.welcome
        if known is not None and (known.mesh, known.objects) != (welcome.mesh, welcome.objects):
            raise Conflict(
                f"another mesh answers at this address now ({welcome.mesh} with objects in {welcome.objects}, "
                f"it was {known.mesh} with {known.objects}): start this process again to join it"
            )

    def _resume(self, outbox: Outbox, welcome: Welcome) -> None:
        new_boot = self.welcome is None or self.welcome.boot != welcome.boot
        self.welcome = welcome
        self._outbox = outbox
        for part in self._parts:
            part.resume(welcome, new_boot)
        self._up.set()
        self._tell(True)

    def _lost(self) -> None:
        self._outbox = None
        self._up.clear()
        asked, self._asked = self._asked, {}
        for answered in asked.values():
            answered(LinkLost("the link to the hub was lost before the answer came"))
        self._tell(False)

    def _fail(self, error: PlugmeshError) -> None:
        if self.failure is None:
            self.failure = error
            self._up.set()
            for part in self._parts:
                part.closed(error)

    def _tell(self, is_up: bool) -> None:
        for listener in tuple(self._listeners):
            listener(is_up)

    # -- what arrives ----------------------------------------------------------------------------------------------

    def _take(self, frame: bytes | str) -> bool:
        self._handle(_bytes(frame))
        return True

    def _handle(self, frame: bytes) -> None:
        verbs = self._verbs
        for text in frame.split(b"\n"):
            verb, _, rest = text.partition(b" ")
            handler = verbs.get(verb)
            if handler is None:
                continue  # the end of the frame, or a verb of a newer minor version
            try:
                handler(rest)
            except (ValueError, PlugmeshError) as error:
                _log.warning("a %r line from the hub was dropped: %s", verb, error)
        for part in self._parts:
            part.frame_ended()

    def _ok(self, rest: bytes) -> None:
        key, _, value = rest.partition(b" ")
        answered = self._asked.pop(key, None)
        if answered is not None:
            answered(value.decode())

    def _no(self, rest: bytes) -> None:
        key, _, document = rest.partition(b" ")
        error = Problem.model_validate_json(document).error()
        answered = self._asked.pop(key, None)
        if answered is not None:
            answered(error)


def _resolve(answer: asyncio.Future[str], outcome: str | PlugmeshError) -> None:
    if answer.done():
        return
    if isinstance(outcome, str):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)


async def _write(outbox: Outbox, transport: Transport) -> None:
    with suppress(LinkLost):
        await outbox.run()
    await transport.close()  # so that the reader learns of it


def _read_welcome(frame: bytes | str) -> tuple[Welcome, bytes]:
    first, _, rest = _bytes(frame).partition(b"\n")
    verb, _, document = first.partition(b" ")
    try:
        if verb == b"refuse":
            raise Problem.model_validate_json(document).error()
        if verb != b"welcome":
            raise NotReachable("what answers there is no Plugmesh hub: it did not say welcome")
        return Welcome.model_validate_json(document), rest
    except ValidationError as error:
        raise InvalidMessage(f"the hub's answer cannot be read: {error.errors()[0]['msg']}") from error


def _bytes(frame: bytes | str) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode()


def _nothing() -> None:
    """What the process holds itself is bounded by who publishes: only the hub drops slow readers."""
