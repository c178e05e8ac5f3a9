"""What every discovery driver must do.

Subclass `DiscoveryConformance` in a test file and give it a fixture `mesh` that yields a `DiscoveryMesh`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from plugmesh.conformance.waiting import wait_until
from plugmesh.contracts.instance import Beat, Offer, Registration
from plugmesh.discovery.port import Discovery, Entry


class DiscoveryMesh(Protocol):
    """What the suite needs from a driver's author. `connections`: the driver notices a process that went away."""

    connections: bool

    async def open(self) -> Discovery:
        """The access of one more process."""
        ...

    async def vanish(self, discovery: Discovery) -> None:
        """End the process behind an access from `open` without a word."""
        ...

    async def interrupt(self) -> None:
        """Break every connection; the drivers come back by themselves. Nothing to do for a driver without any."""
        ...

    async def restart(self) -> None:
        """End the server and start it again, empty, at the same address. Nothing to do for one that remembers."""
        ...


class Book:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.told: list[tuple[str, Entry | None]] = []

    def __call__(self, instance: str, entry: Entry | None) -> None:
        self.told.append((instance, entry))
        if entry is None:
            self.entries.pop(instance, None)
        else:
            self.entries[instance] = entry


def registration(instance: str = "i-1", slots: int = 1) -> Registration:
    """An instance that serves one module."""
    offer = Offer(name="demo.echo", version="1.0.0", digest="sha256:" + "0" * 64)
    return Registration(instance=instance, host="host", slots=slots, partition=0, offers=(offer,))


class DiscoveryConformance:
    """The suite. `asyncio_mode = "auto"` (pytest-asyncio) runs it."""

    async def test_a_registered_instance_is_visible_to_a_watcher(self, mesh: DiscoveryMesh) -> None:
        book = Book()
        (await mesh.open()).watch(book)
        await (await mesh.open()).register(registration())
        await wait_until(lambda: "i-1" in book.entries)
        assert book.entries["i-1"].registration == registration()

    async def test_a_new_watcher_is_told_the_known_entries_first(self, mesh: DiscoveryMesh) -> None:
        process, book = await mesh.open(), Book()
        await process.register(registration("i-1"))
        await process.register(registration("i-2"))
        (await mesh.open()).watch(book)
        await wait_until(lambda: set(book.entries) == {"i-1", "i-2"})
        await process.register(registration("i-3"))
        await wait_until(lambda: "i-3" in book.entries)
        assert {instance for instance, _ in book.told[:2]} == {"i-1", "i-2"}

    async def test_a_beat_brings_the_entry_up_to_date(self, mesh: DiscoveryMesh) -> None:
        process, book = await mesh.open(), Book()
        (await mesh.open()).watch(book)
        await process.register(registration())
        await wait_until(lambda: "i-1" in book.entries)
        before = book.entries["i-1"].beat_at
        await process.beat(Beat(instance="i-1", running=2, draining=True, held=("run/a/1",)))
        await wait_until(lambda: book.entries["i-1"].draining)
        entry = book.entries["i-1"]
        assert (entry.running, entry.held, entry.beat_at >= before) == (2, ("run/a/1",), True)

    async def test_registering_again_replaces_the_entry(self, mesh: DiscoveryMesh) -> None:
        process, book = await mesh.open(), Book()
        (await mesh.open()).watch(book)
        await process.register(registration(slots=1))
        await process.register(registration(slots=4))
        await wait_until(lambda: "i-1" in book.entries and book.entries["i-1"].registration.slots == 4)
        assert len(book.entries) == 1

    async def test_an_instance_that_deregisters_is_gone(self, mesh: DiscoveryMesh) -> None:
        process, book = await mesh.open(), Book()
        (await mesh.open()).watch(book)
        await process.register(registration())
        await wait_until(lambda: "i-1" in book.entries)
        await process.deregister("i-1")
        await wait_until(lambda: "i-1" not in book.entries)
        assert book.told[-1] == ("i-1", None)

    async def test_deregistering_an_unknown_instance_and_beating_for_it_is_harmless(self, mesh: DiscoveryMesh) -> None:
        process, book = await mesh.open(), Book()
        (await mesh.open()).watch(book)
        await process.deregister("nobody")
        await process.beat(Beat(instance="nobody"))
        await process.register(registration())
        await wait_until(lambda: "i-1" in book.entries)
        assert set(book.entries) == {"i-1"}

    async def test_a_closed_watch_is_told_nothing_more(self, mesh: DiscoveryMesh) -> None:
        process, watcher, closed, open_book = await mesh.open(), await mesh.open(), Book(), Book()
        watch = watcher.watch(closed)
        watcher.watch(open_book)
        await process.register(registration("i-1"))
        await wait_until(lambda: "i-1" in closed.entries and "i-1" in open_book.entries)
        watch.close()
        await process.register(registration("i-2"))
        await wait_until(lambda: "i-2" in open_book.entries)
        assert "i-2" not in closed.entries

    async def test_a_process_that_vanishes_is_marked_until_it_is_back(self, mesh: DiscoveryMesh) -> None:
        process, book = await mesh.open(), Book()
        (await mesh.open()).watch(book)
        await process.register(registration())
        await wait_until(lambda: "i-1" in book.entries)
        if not mesh.connections:  # only missing beats will tell
            assert book.entries["i-1"].connected is None
            return
        await mesh.vanish(process)
        await wait_until(lambda: book.entries["i-1"].connected is False)
        assert book.entries["i-1"].gone_at is not None
        await (await mesh.open()).register(registration())
        await wait_until(lambda: book.entries["i-1"].connected is True)
        assert book.entries["i-1"].gone_at is None

    async def test_registrations_return_by_themselves_after_a_broken_connection(self, mesh: DiscoveryMesh) -> None:
        await self._back_after(mesh, mesh.interrupt)

    async def test_registrations_return_by_themselves_after_a_restart_of_the_server(self, mesh: DiscoveryMesh) -> None:
        await self._back_after(mesh, mesh.restart)

    async def test_a_beat_never_raises_while_the_server_is_away(self, mesh: DiscoveryMesh) -> None:
        process, book = await mesh.open(), Book()
        await process.register(registration())
        await mesh.interrupt()
        await process.beat(Beat(instance="i-1", running=3))
        (await mesh.open()).watch(book)
        await wait_until(lambda: "i-1" in book.entries)
        async with asyncio.timeout(20):
            while book.entries["i-1"].running != 3:
                await process.beat(Beat(instance="i-1", running=3))
                await asyncio.sleep(0.01)

    async def _back_after(self, mesh: DiscoveryMesh, fault: Fault) -> None:
        process = await mesh.open()
        await process.register(registration("i-1"))
        await process.beat(Beat(instance="i-1", draining=True))
        await fault()
        book = Book()
        (await mesh.open()).watch(book)
        await wait_until(lambda: "i-1" in book.entries and book.entries["i-1"].connected is not False, within_s=20)
        await wait_until(lambda: book.entries["i-1"].draining, within_s=20)


class Fault(Protocol):
    """Something that goes wrong."""

    async def __call__(self) -> None: ...
