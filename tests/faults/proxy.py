"""One proxy for every server: it stands between clients and a server, and does to what passes what a test asks for.

What it does can be said from any thread; it works on one of its own. Everything random comes from its seed, which it prints.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Literal, Self, TypeVar

from tests.faults.wires import Connection, Cut, Wire

Way = Literal["forth", "back"]
T = TypeVar("T")


class FaultProxy:
    """Listens on `host` before the server at `target`, always at the same port, until `close`. A context.

    `wire` says what is done to single requests (`wires.py`, `http.py`), which draw on `shares`; all else is done to
    connections.
    """

    def __init__(
        self,
        target: tuple[str, int],
        wire: Callable[[FaultProxy], Wire] = Wire,
        *,
        seed: int = 0,
        host: str = "127.0.0.1",
        shares: dict[str, float] | None = None,
    ) -> None:
        self.target, self.host, self.seed = target, host, seed
        self.random = random.Random(seed)
        self.shares = dict(shares or {})
        """Of each kind of fault of a request, how often it happens."""
        self.next: list[str] = []
        """Faults that the next requests meet for which they are possible, before any of the shares."""
        self.met: Counter[str] = Counter()
        """Faults that happened."""
        self.delay_s = 0.0
        """So long each piece is held back."""
        self.connections = 0
        """Made since the start."""
        self.swallowed: set[Way] = set()
        """The ways on which nothing arrives any more; nobody is told."""
        self._wire = wire
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"fault proxy {target[1]}", daemon=True)
        self._thread.start()
        self.listen()
        print(f"fault proxy at {self.address} before {target[0]}:{target[1]}, seed {seed}")

    @property
    def address(self) -> str:
        """Where clients find it, as `host:port`."""
        return f"{self.host}:{self.port}"

    # -- what is done to connections -----------------------------------------------------------------------------------

    def cut(self) -> int:
        """Reset every connection; how many there were."""
        return self._do(self._cut())

    def refuse(self) -> int:
        """Reset every connection, and accept none until `listen`, as a server that is down."""
        return self._do(self._refuse())

    def listen(self) -> None:
        """Accept connections."""
        self._do(self._listen())

    def freeze(self) -> None:
        """Connections stay, new ones are accepted, and nothing passes until `thaw`."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def thaw(self) -> None:
        """What was held back passes."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def swallow(self, *ways: Way) -> None:
        """Half-open: what is sent on these ways is lost, of connections that are there and of new ones."""
        self.swallowed = set(ways)

    def heal(self) -> None:
        """Nothing is wrong any more. Connections of which something was lost are reset: they would never go on."""
        lossy = bool(self.swallowed)
        self.shares, self.next, self.delay_s, self.swallowed = {}, [], 0.0, set()
        self.thaw()
        if self._server is None:
            self.listen()
        elif lossy:
            self.cut()

    def close(self) -> None:
        """End it."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def draw(self, *possible: str) -> str:
        """The fault that a request meets: one of `shares`, if it is possible for it; mostly none."""
        if self.next:
            return self.note(self.next.pop(0)) if self.next[0] in possible else ""
        drawn = self.random.random()
        for fault, share in self.shares.items():
            if drawn < share:
                return self.note(fault) if fault in possible else ""
            drawn -= share
        return ""

    def note(self, fault: str) -> str:
        """Count a fault."""
        self.met[fault] += 1
        return fault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- on its own thread ---------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> int:
        ends = tuple(self._ends)
        for end in ends:
            end.transport.abort()
        return len(ends) // 2

    async def _refuse(self) -> int:
        server, self._server = self._server, None
        if server is not None:
            for listening in server.sockets:
                self._loop.remove_reader(listening.fileno())
            # asyncio forgets to close what it has accepted when the server is closed in that moment.
            await asyncio.sleep(0)
            server.close()
        return await self._cut()

    async def _close(self) -> None:
        await self._refuse()
        # One that was just accepted is a task of asyncio's first, and then one of ours.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(others)
        await self._cut()  # those whose task had not begun
        await asyncio.sleep(0)  # transports close their sockets in the next round of the loop

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._ends.add(writer)
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(partial(_ended, self._tasks))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        try:
            with suppress(OSError, EOFError, Cut):
                there_reader, there = await asyncio.open_connection(*self.target)
                ends.add(there)
                self._ends.add(there)
                connection = Connection(reader, writer, there_reader, there, self._passes)
                await self._wire(self).serve(connection)
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()

    async def _passes(self, way: Way) -> bool:
        """Wait until the next piece may pass that way; False if it never arrives."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if not self._flowing.is_set():
            self.note("frozen")
            await self._flowing.wait()
        if way in self.swallowed:
            self.note("swallowed")
            return False
        return True


def _ended(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        print(f"a connection of a fault proxy failed: {error!r}")
