"""Assignments, leases and the end of an instance, as the mesh sees them."""

from __future__ import annotations

from pathlib import Path

from module_sdk.supervisor.settings import Settings
from plugmesh.contracts.instance import Beat
from plugmesh.contracts.messages import Accepted, Refused, Renew, Renewed, Returned, Started
from plugmesh.contracts.module import ModuleContract, contract_key
from plugmesh.discovery.port import Entry
from tests.integration.sdk.conftest import Open
from tests.integration.sdk.house import INSTANCE, SHARD, House, exists
from tests.waiting import wait_until


def entries(house: House) -> dict[str, Entry | None]:
    found: dict[str, Entry | None] = {}
    house.hub.directory.watch(found.__setitem__)
    return found


async def test_contracts_are_stored_and_the_instance_is_registered(house: House) -> None:
    contract = house.modules["t.same"].contract
    stored = house.store.read(contract_key(contract.digest))
    assert ModuleContract.model_validate_json(bytes(stored)) == contract
    await wait_until(lambda: INSTANCE in entries(house))


async def test_an_attempt_that_ends_at_once_says_only_done(house: House) -> None:
    rows = {"rows": [house.table()]}
    await house.done(await house.assign("t.same", rows))  # the executor is up now
    quiet = 0
    for _ in range(20):
        assign = await house.assign("t.same", rows)
        await house.done(assign)
        quiet += len(house.of(assign)) == 1
    assert quiet > 0


async def test_an_attempt_that_takes_longer_is_accepted_and_started_first(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    assign = await house.assign("t.waits", {"rows": [house.table()]}, params={"marker": str(marker)})
    await house.told(assign, Started)
    marker.touch()
    await house.done(assign)
    assert [type(message).__name__ for message in house.of(assign)] == ["Accepted", "Started", "Done"]


async def test_what_is_over_slots_and_prefetch_comes_back_busy(house: House, tmp_path: Path) -> None:
    marker, rows = tmp_path / "m", {"rows": [house.table()]}
    assigns = [await house.assign("t.waits", rows, params={"marker": str(marker)}) for _ in range(4)]
    result = await house.result(assigns[3])
    assert isinstance(result, Returned)
    assert result.reason == "busy"
    marker.touch()
    for assign in assigns[:3]:
        await house.done(assign)


async def test_an_assignment_that_comes_twice_runs_once_and_is_answered_again(house: House, tmp_path: Path) -> None:
    marker, rows = tmp_path / "m", {"rows": [house.table()]}
    assign = await house.assign("t.waits", rows, params={"marker": str(marker)})
    await house.told(assign, Started)
    await house.send(assign)
    await wait_until(lambda: sum(isinstance(message, Accepted) for message in house.of(assign)) == 2)
    marker.touch()
    await house.done(assign)
    await house.send(assign)  # after its end: the same result again
    await wait_until(lambda: len(house.results(assign)) == 2)
    assert house.results(assign)[0] == house.results(assign)[1]


async def test_a_message_of_an_older_term_is_ignored(house: House) -> None:
    rows = {"rows": [house.table()]}
    await house.done(await house.assign("t.same", rows, term=5))
    old = await house.assign("t.same", rows, term=4)
    await house.done(await house.assign("t.same", rows, term=5))
    assert house.of(old) == []


async def test_leases_are_renewed_until_the_result_is_acknowledged(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(settings=Settings(renew_s=0.05, beat_s=0.05))
    marker = tmp_path / "m"
    assign = await house.assign("t.waits", {"rows": [house.table()]}, params={"marker": str(marker)})
    await wait_until(lambda: any(isinstance(m, Renew) and assign.attempt in m.attempts for m in house.messages))
    await wait_until(lambda: _held(house) == (assign.attempt,))
    house.hold()
    marker.touch()
    await house.done(assign)
    house.messages.clear()
    assert _held(house) == (assign.attempt,)
    house.release()
    await wait_until(lambda: _held(house) == ())


def _held(house: House) -> tuple[str, ...]:
    entry = entries(house).get(INSTANCE)
    return entry.held if entry is not None else ()


async def test_draining_gives_back_what_waits_and_finishes_what_runs(house: House, tmp_path: Path) -> None:
    marker, rows = tmp_path / "m", {"rows": [house.table()]}
    running = await house.assign("t.waits", rows, params={"marker": str(marker)})
    await exists(Path(f"{marker}.started"))
    waiting = await house.assign("t.same", rows)
    drain = house.runtime.spawn(house.supervisor.drain(), "drain")
    assert (await house.result(waiting)).reason == "draining"
    await wait_until(lambda: (entry := entries(house).get(INSTANCE)) is not None and entry.draining)
    late = await house.assign("t.same", rows)
    assert (await house.result(late)).reason == "draining"
    marker.touch()
    await house.done(running)
    await drain
    assert house.supervisor.ended.is_set()
    assert entries(house).get(INSTANCE) is None


async def test_draining_waits_for_the_acknowledgement_of_results(house: House) -> None:
    house.hold()
    assign = await house.assign("t.same", {"rows": [house.table()]})
    await house.done(assign)
    drain = house.runtime.spawn(house.supervisor.drain(), "drain")
    await wait_until(lambda: (entry := entries(house).get(INSTANCE)) is not None and entry.draining)
    assert not drain.done()
    house.release()
    await drain


async def test_a_drain_that_takes_too_long_gives_back_what_runs(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(settings=Settings(drain_s=0.1))
    marker = tmp_path / "m"
    assign = await house.assign("t.waits", {"rows": [house.table()]}, params={"marker": str(marker)})
    await exists(Path(f"{marker}.started"))
    await house.supervisor.drain()
    result = await house.result(assign)
    assert isinstance(result, Returned)
    assert result.reason == "drained"


async def test_executors_without_work_retire(open_house: Open) -> None:
    house = await open_house(settings=Settings(beat_s=0.05, idle_s=0.1))
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))
    await wait_until(lambda: not house.processes.live)
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))


async def test_a_refused_module_is_told_to_its_user_and_not_run(house: House) -> None:
    refused = Refused(instance=INSTANCE, module="t.same", version="0.1.0", difference="outputs: out was n")
    await house.send(refused)
    result = await house.result(await house.assign("t.same", {"rows": [house.table()]}))
    assert isinstance(result, Returned)
    assert result.reason == "unknown-module"
    assert "outputs: out was n" in house.notices[0]
    contracts = [module.contract for module in house.modules.values()]
    assert [c.ref for c in contracts if house.supervisor.is_refused(c)] == ["t.same@0.1.0"]
    assert not house.supervisor.ended.is_set()


async def test_an_instance_whose_every_module_is_refused_ends(house: House) -> None:
    for module in house.modules.values():
        contract = module.contract
        await house.send(
            Refused(instance=INSTANCE, module=contract.name, version=contract.version, difference="all of it")
        )
    await wait_until(house.supervisor.ended.is_set)
    assert house.supervisor.exit_code == 3


async def test_an_orphan_ends_when_it_holds_nothing(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(settings=Settings(beat_s=0.02, orphan_exit_s=0.05))
    marker = tmp_path / "m"
    assign = await house.assign("t.waits", {"rows": [house.table()]}, params={"marker": str(marker)})
    await exists(Path(f"{marker}.started"))
    house.supervisor.link_changed(False)
    house.hold()
    marker.touch()
    await house.done(assign)
    assert not house.supervisor.ended.is_set()
    house.release()
    await wait_until(house.supervisor.ended.is_set)


async def test_messages_for_others_and_garbage_are_dropped(house: House) -> None:
    from plugmesh.contracts.instance import dispatch_partition
    from plugmesh.contracts.messages import DISPATCH

    partition = dispatch_partition(INSTANCE)
    for payload in (b"{", b"[]", b'{"type":"assign","instance":"inst-test"}', b'{"type":"new","instance":"inst-test"}'):
        await house.bus.publish(DISPATCH, partition, payload)
    await house.send(Renewed(instance="another", shard=SHARD, term=99))
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))
    assert isinstance(Beat(instance="x"), Beat)
