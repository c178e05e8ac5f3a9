"""The registry over the embedded directory and bus, with a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from plugmesh.bus.embedded import HubBus
from plugmesh.bus.port import Delivery
from plugmesh.conformance.waiting import wait_until
from plugmesh.contracts.instance import Beat, Offer, Registration
from plugmesh.contracts.messages import Refused, decode_dispatch
from plugmesh.contracts.module import InputPort, ModuleContract, contract_key
from plugmesh.errors import ContractRefused, ObjectMissing, StateUnavailable
from plugmesh.hub.directory import Seat
from plugmesh.hub.hub import Hub
from plugmesh.objects.port import Stored, Writer
from plugmesh.state.modules import ModuleSwitch
from registry.liveness import Liveness
from registry.offers import CONTRACT_LIMIT_BYTES, contract_in
from registry.registry import Member, MemberChange, Registry
from tests.unit.registry.manual_clock import ManualClock


class Objects:
    """A store that only reads, from a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads = 0

    def put(self, contract: ModuleContract) -> Offer:
        self.objects[contract_key(contract.digest)] = contract.encode()
        return Offer(name=contract.name, version=contract.version, digest=contract.digest)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        self.reads += 1
        if key not in self.objects:
            raise ObjectMissing(f"no object {key}")
        return memoryview(self.objects[key])

    def create(self, key: str, bytes: int | None = None) -> Writer:
        raise NotImplementedError

    def delete(self, key: str) -> bool:
        raise NotImplementedError

    def list(self, prefix: str) -> Iterator[Stored]:
        raise NotImplementedError


class Book:
    """A book in memory that can be away."""

    def __init__(self, contracts: Sequence[ModuleContract] = ()) -> None:
        self.contracts = {contract.ref: contract for contract in contracts}
        self.switched: dict[tuple[str, str], ModuleSwitch] = {}
        self.away = False
        self.exclusive = True

    async def load(self) -> Sequence[ModuleContract]:
        return tuple(self.contracts.values())

    async def record(self, contract: ModuleContract) -> None:
        if self.away:
            raise StateUnavailable("the database is away")
        self.contracts[contract.ref] = contract

    async def switches(self) -> Sequence[ModuleSwitch]:
        return tuple(self.switched.values())

    async def disable(self, switch: ModuleSwitch) -> None:
        if self.away:
            raise StateUnavailable("the database is away")
        self.switched[switch.module, switch.version] = switch

    async def enable(self, module: str, version: str) -> None:
        kept = {
            key: switch for key, switch in self.switched.items() if key[0] != module or version not in ("*", key[1])
        }
        self.switched = kept


class World:
    """A registry and what it stands on."""

    def __init__(self, book: Book | None = None) -> None:
        self.clock = ManualClock()
        self.hub = Hub(self.clock, mesh="test", objects="file:///nowhere")
        self.objects = Objects()
        self.book = book or Book()
        self.bus = HubBus(self.hub)
        self.registry = Registry(self.clock, self.hub.directory, self.objects, self.bus, self.book)
        self.changes: list[MemberChange] = []
        self.told: list[Refused] = []

    async def start(self) -> None:
        self.registry.watch(self.changes.append)
        self.bus.subscribe("dispatch", range(4), self._dispatched)
        await self.registry.start()

    def _dispatched(self, delivery: Delivery) -> None:
        messages = [decode_dispatch(message) for message in delivery.messages]
        self.told += [message for message in messages if isinstance(message, Refused)]

    def member(self, instance: str = "i-1") -> Member:
        return self.registry.members()[instance]

    async def join(self, *offers: Offer, instance: str = "i-1", seat: Seat | None = None) -> Seat:
        seat = seat or Seat()
        registration = Registration(instance=instance, host="h", partition=1, offers=offers)
        self.hub.directory.enter(registration, seat)
        await wait_until(lambda: self.settled(instance))
        return seat

    def settled(self, instance: str) -> bool:
        member = self.member(instance)
        usable = sum(len(versions) for versions in member.offers.values())
        return usable + len(member.refused) == len(member.registration.offers)

    async def beat_for(self, seconds: float, *instances: str) -> None:
        for _ in range(round(seconds)):
            await self.clock.advance(1.0)
            for instance in instances:
                self.hub.directory.heard(Beat(instance=instance))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.start()
    yield world
    await world.registry.stop()


def contract(name: str = "a.b", version: str = "1.0.0", column: str = "int64", code: str = "") -> ModuleContract:
    return ModuleContract(
        name=name, version=version, inputs=(InputPort(name="rows", columns={"n": column}),), code_digest=code
    )


async def test_a_registered_instance_becomes_a_member_with_its_modules(world: World) -> None:
    await world.join(world.objects.put(contract()), world.objects.put(contract(version="1.1.0")))
    assert world.member().offers == {"a.b": ("1.0.0", "1.1.0")}
    assert world.member().liveness is Liveness.ALIVE
    assert [member.instance for member in world.registry.serving("a.b", "1.1.0")] == ["i-1"]
    assert world.registry.contract("a.b", "1.0.0") == contract()
    assert world.changes[-1].modules_changed == {"a.b"}


async def test_a_module_appears_without_waiting_for_a_tick(world: World) -> None:
    now = world.clock.now()
    await world.join(world.objects.put(contract()))
    assert world.registry.live_versions("a.b") == ("1.0.0",)
    assert world.clock.now() == now


async def test_known_contracts_are_not_read_again(world: World) -> None:
    offer = world.objects.put(contract())
    await world.join(offer, instance="i-1")
    await world.join(offer, instance="i-2")
    assert world.objects.reads == 1
    assert len(world.registry.serving("a.b", "1.0.0")) == 2


async def test_the_catalogue_outlives_its_instances(world: World) -> None:
    await world.join(world.objects.put(contract()))
    world.hub.directory.leave("i-1")
    assert dict(world.registry.members()) == {}
    assert world.registry.live_versions("a.b") == ()
    assert world.registry.versions("a.b") == ("1.0.0",)
    assert world.changes[-1].after is None
    assert world.changes[-1].modules_changed == {"a.b"}


async def test_contracts_of_the_book_are_known_at_the_start() -> None:
    world = World(Book([contract()]))
    await world.start()
    assert world.registry.versions("a.b") == ("1.0.0",)
    await world.join(Offer(name="a.b", version="1.0.0", digest=contract().digest))
    assert world.registry.live_versions("a.b") == ("1.0.0",)
    await world.registry.stop()


async def test_a_contradicting_contract_is_refused_and_the_instance_is_told(world: World) -> None:
    await world.join(world.objects.put(contract()), instance="i-1")
    await world.join(world.objects.put(contract(column="string")), world.objects.put(contract("c.d")), instance="i-2")
    refused = world.member("i-2").refused
    assert [refusal.difference for refusal in refused] == [
        "inputs.rows.columns.n: known 'int64', offered 'string'",
    ]
    assert world.member("i-2").offers == {"c.d": ("1.0.0",)}
    await wait_until(lambda: world.told)
    assert (world.told[0].instance, world.told[0].module) == ("i-2", "a.b")
    assert world.registry.contract("a.b", "1.0.0") == contract()


async def test_new_code_under_the_same_promise_is_used_and_recorded(world: World) -> None:
    await world.join(world.objects.put(contract(code="sha256:1")), instance="i-1")
    await world.join(world.objects.put(contract(code="sha256:2")), instance="i-2")
    assert len(world.registry.serving("a.b", "1.0.0")) == 2
    await wait_until(lambda: world.book.contracts["a.b@1.0.0"].code_digest == "sha256:2")


async def test_a_missing_contract_refuses_its_offer_only_and_is_read_again(world: World) -> None:
    missing = contract("c.d")
    offer = Offer(name="c.d", version="1.0.0", digest=missing.digest)
    await world.join(world.objects.put(contract()), offer)
    assert world.member().offers == {"a.b": ("1.0.0",)}
    assert "no object" in world.member().refused[0].difference
    world.objects.put(missing)
    await world.clock.advance(3.0)
    await wait_until(lambda: world.registry.live_versions("c.d"))
    assert world.member().refused == ()


@pytest.mark.parametrize("data", [b"", b"not json", b"{}", b"\xff", b'{"name": "c.d", "version": "1.0.0"}'])
async def test_a_corrupt_contract_harms_nobody_else(world: World, data: bytes) -> None:
    bad = Offer(name="c.d", version="1.0.0", digest="sha256:" + "1" * 64)
    world.objects.objects[contract_key(bad.digest)] = data
    await world.join(bad, world.objects.put(contract()))
    assert world.member().offers == {"a.b": ("1.0.0",)}
    assert [refusal.module for refusal in world.member().refused] == ["c.d"]


async def test_a_contract_that_is_too_large_is_refused(world: World) -> None:
    large = Offer(name="c.d", version="1.0.0", digest="sha256:" + "1" * 64)
    data = b" " * (CONTRACT_LIMIT_BYTES + 1)
    world.objects.objects[contract_key(large.digest)] = data
    await world.join(large, world.objects.put(contract()))
    assert "the limit is 1048576" in world.member().refused[0].difference
    with pytest.raises(ContractRefused) as refused:
        contract_in(memoryview(data))
    assert refused.value.code == "contract-refused"


async def test_a_contract_of_another_module_is_refused(world: World) -> None:
    digest = world.objects.put(contract()).digest
    await world.join(Offer(name="x.y", version="1.0.0", digest=digest))
    assert "a.b@1.0.0" in world.member().refused[0].difference


async def test_a_replaced_registration_brings_its_new_modules_at_once(world: World) -> None:
    first = world.objects.put(contract())
    await world.join(first)
    await world.join(world.objects.put(contract("c.d")))
    assert world.member().offers == {"c.d": ("1.0.0",)}


async def test_silence_makes_a_member_suspect_and_then_dead_and_a_beat_alive(world: World) -> None:
    await world.join(world.objects.put(contract()))
    await world.clock.advance(6.5)
    assert world.member().liveness is Liveness.SUSPECT
    assert world.registry.serving("a.b", "1.0.0") == ()
    await world.clock.advance(9.0)
    assert world.member().liveness is Liveness.DEAD
    world.hub.directory.heard(Beat(instance="i-1"))
    assert world.member().liveness is Liveness.ALIVE
    assert world.changes[-1].modules_changed == {"a.b"}


async def test_a_lost_connection_makes_suspect_at_once_and_a_new_one_alive(world: World) -> None:
    offer = world.objects.put(contract())
    seat = await world.join(offer)
    world.hub.directory.lost(seat)
    assert (world.member().liveness, world.member().connected) == (Liveness.SUSPECT, False)
    assert world.member().gone_at == world.clock.now()
    await world.join(offer)
    assert (world.member().liveness, world.member().gone_at) == (Liveness.ALIVE, None)


async def test_a_reported_instance_is_suspect_until_it_beats(world: World) -> None:
    await world.join(world.objects.put(contract()))
    world.registry.suspect("i-1", "it did not accept")
    assert world.registry.live_versions("a.b") == ()
    await world.beat_for(1, "i-1")
    assert world.registry.live_versions("a.b") == ("1.0.0",)
    world.registry.suspect("nobody", "is ignored")


async def test_a_draining_member_is_alive_but_serves_nobody(world: World) -> None:
    await world.join(world.objects.put(contract()))
    world.hub.directory.heard(Beat(instance="i-1", draining=True))
    assert (world.member().liveness, world.member().draining) == (Liveness.ALIVE, True)
    assert world.registry.serving("a.b", "1.0.0") == ()


async def test_a_registry_that_was_stopped_convicts_nobody_who_was_alive(world: World) -> None:
    await world.join(world.objects.put(contract()), instance="i-1")
    world.clock.stall(60.0)
    await world.clock.advance(3.0)
    assert world.member().liveness is Liveness.ALIVE
    await world.clock.advance(4.0)
    assert world.member().liveness is Liveness.SUSPECT


async def test_an_unchanged_beat_tells_nobody(world: World) -> None:
    await world.join(world.objects.put(contract()))
    seen = len(world.changes)
    await world.beat_for(5, "i-1")
    assert len(world.changes) == seen
    assert world.member().beat_age_s <= 1.0
    world.hub.directory.heard(Beat(instance="i-1", running=1, held=("r/s/1",)))
    assert (world.changes[-1].after or world.member()).held == ("r/s/1",)


async def test_a_book_that_is_away_gets_the_news_later(world: World) -> None:
    world.book.away = True
    await world.join(world.objects.put(contract()))
    await world.beat_for(5, "i-1")
    assert (world.registry.live_versions("a.b"), world.book.contracts) == (("1.0.0",), {})
    world.book.away = False
    await world.clock.advance(2.0)
    await wait_until(lambda: "a.b@1.0.0" in world.book.contracts)


async def test_a_failing_listener_keeps_nothing_from_the_others(world: World) -> None:
    later: list[MemberChange] = []

    def fail(change: MemberChange) -> None:
        raise ValueError("a bug")

    world.registry.watch(fail)
    watch = world.registry.watch(later.append)
    await world.join(world.objects.put(contract()))
    assert later
    watch.close()
    seen = len(later)
    world.hub.directory.leave("i-1")
    assert len(later) == seen


async def test_a_registration_replaced_while_its_contracts_are_read_is_settled_too(world: World) -> None:
    first, second = world.objects.put(contract()), world.objects.put(contract("c.d"))
    seat = Seat()
    for offers in ((first,), (first, second), (second,)):
        world.hub.directory.enter(Registration(instance="i-1", host="h", partition=1, offers=offers), seat)
    await wait_until(lambda: world.member().offers == {"c.d": ("1.0.0",)})
    await asyncio.sleep(0)
    assert world.member().refused == ()
