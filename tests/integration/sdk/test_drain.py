"""Draining under load: what has not begun goes back at once, what has begun finishes, nothing is lost on the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from module_sdk.launch import Source
from module_sdk.supervisor.settings import Settings
from plugmesh.contracts.messages import Assign, Cancel, Done, Failed, Renew, Returned, Started
from plugmesh.contracts.run import SHARDS
from plugmesh.discovery.port import Entry
from tests.integration.sdk.conftest import Open
from tests.integration.sdk.house import INSTANCE, SHARD, House, exists, is_alive
from tests.waiting import wait_until

GATED = """\
import time
from pathlib import Path
Path({began!r}).touch()
while not Path({gate!r}).exists():
    time.sleep(0.01)
"""


def draining(house: House) -> bool:
    found: dict[str, Entry | None] = {}
    house.hub.directory.watch(found.__setitem__).close()
    entry = found.get(INSTANCE)
    return entry is not None and entry.draining


async def running(house: House, marker: Path, **options: Any) -> Assign:
    """An attempt whose code runs until `marker` is there."""
    assign = await house.assign("t.waits", {"rows": [house.table()]}, params={"marker": str(marker)}, **options)
    await exists(Path(f"{marker}.started"))
    return assign


def ends(house: House, assigns: list[Assign]) -> list[str]:
    """How each of them ended: `Done`, `Failed`, or the reason with which it was returned."""
    results = [house.results(assign) for assign in assigns]
    return [one.reason if isinstance(one, Returned) else type(one).__name__ for found in results for one in found[:1]]


async def test_under_load_what_runs_ends_and_all_the_rest_goes_back(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(slots=2, prefetch=64)
    rows = {"rows": [house.table()]}
    markers = [tmp_path / "a", tmp_path / "b"]
    begun = [await running(house, marker) for marker in markers]
    queued = [await house.assign("t.same", rows) for _ in range(40)]
    drain = house.runtime.spawn(house.supervisor.drain(), "drain")
    await wait_until(lambda: len(ends(house, queued)) == 40)
    assert set(ends(house, queued)) == {"draining"}
    assert ends(house, begun) == []
    for marker in markers:
        marker.touch()
    await drain
    assert ends(house, begun) == ["Done", "Done"]
    assert not any(isinstance(message, Failed) for message in house.messages)


async def test_an_attempt_whose_file_is_still_being_imported_goes_back_at_once(house: House, tmp_path: Path) -> None:
    began, gate = tmp_path / "began", tmp_path / "gate"
    file = tmp_path / "gated.py"
    file.write_text(GATED.format(began=str(began), gate=str(gate)))
    house.processes._sources["t.same@0.1.0"] = (Source(file=str(file)), "")
    assign = await house.assign("t.same", {"rows": [house.table()]})
    await exists(began)
    await house.supervisor.drain()
    assert ends(house, [assign]) == ["draining"]


@pytest.mark.full
async def test_an_attempt_whose_process_is_still_coming_up_goes_back_at_once(house: House) -> None:
    assign = await house.assign("t.sink", {"rows": [house.table()]}, params={"marker": "/nowhere/at/all"})
    await house.supervisor.drain()
    assert ends(house, [assign]) == ["draining"]


@pytest.mark.full
async def test_a_sink_that_is_not_idempotent_is_never_taken_from_its_process_before_the_time_is_over(
    open_house: Open, tmp_path: Path
) -> None:
    house = await open_house(settings=Settings(drain_s=0.5))
    marker = tmp_path / "m"
    assign = await house.assign("t.sink", {"rows": [house.table()]}, params={"marker": str(marker)})
    await exists(marker)
    await house.supervisor.drain()
    assert ends(house, [assign]) == ["drained"]


async def test_what_was_sent_before_the_scheduler_heard_of_the_drain_is_answered(house: House) -> None:
    house.hold()
    drain = house.runtime.spawn(house.supervisor.drain(), "drain")
    await wait_until(lambda: draining(house))
    late = await house.assign("t.same", {"rows": [house.table()]})
    await wait_until(lambda: ends(house, [late]) == ["draining"])
    assert not drain.done()
    house.release()
    await drain


@pytest.mark.full
async def test_a_scheduler_that_is_away_is_not_waited_for_without_end(open_house: Open) -> None:
    house = await open_house(settings=Settings(farewell_s=0.05))
    house.hold()
    await house.supervisor.drain()
    assert house.supervisor.ended.is_set()


async def test_a_mesh_that_is_away_is_not_waited_for_at_all(open_house: Open) -> None:
    house = await open_house(settings=Settings(farewell_s=600.0, drain_s=600.0))
    house.hold()
    house.supervisor.link_changed(False)
    await house.supervisor.drain()
    assert house.supervisor.ended.is_set()


async def test_beats_and_renewals_go_on_until_the_last_result_is_acknowledged(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(settings=Settings(renew_s=0.05, beat_s=0.05))
    assign = await running(house, tmp_path / "m")
    house.hold(Done)
    drain = house.runtime.spawn(house.supervisor.drain(), "drain")
    await wait_until(lambda: draining(house))
    (tmp_path / "m").touch()
    await house.done(assign)
    house.messages.clear()
    await wait_until(lambda: any(isinstance(one, Renew) and assign.attempt in one.attempts for one in house.messages))
    assert draining(house)
    assert not drain.done()
    house.release()
    await drain


@pytest.mark.full
async def test_a_result_that_comes_with_the_end_of_the_time_is_still_acknowledged(
    open_house: Open, tmp_path: Path
) -> None:
    house = await open_house(settings=Settings(drain_s=0.3))
    assign = await running(house, tmp_path / "m")
    house.hold()
    drain = house.runtime.spawn(house.supervisor.drain(), "drain")
    await wait_until(lambda: ends(house, [assign]) == ["drained"])
    house.release()
    await drain
    assert not house.supervisor._attempts.held


@pytest.mark.full
async def test_attempts_of_a_shared_process_go_back_when_the_time_is_over(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(slots=3, settings=Settings(drain_s=0.1))
    params = {"marker": str(tmp_path / "m")}
    assigns = [
        await house.assign("t.async_waits", {"rows": [house.table()]}, params={**params, "label": label})
        for label in "ab"
    ]
    for label in "ab":
        await exists(tmp_path / f"m.{label}.started")
    await house.supervisor.drain()
    assert ends(house, assigns) == ["drained", "drained"]


@pytest.mark.full
async def test_a_cancel_that_is_not_listened_to_gets_no_more_grace_when_the_time_is_over(
    open_house: Open, tmp_path: Path
) -> None:
    house = await open_house(settings=Settings(drain_s=0.2))
    params = {"marker": str(tmp_path / "m"), "gently": False}
    assign = await house.assign("t.spins", {"rows": [house.table()]}, params=params)
    await exists(tmp_path / "m")
    await house.send(Cancel(instance=INSTANCE, shard=SHARD, term=1, attempt=assign.attempt, grace_s=600.0))
    await house.supervisor.drain()
    [failed] = house.results(assign)
    assert (type(failed), failed.error.code) == (Failed, "cancelled")


# -- SIGTERM at an executor --------------------------------------------------------------------------------------------


def the_executor(house: House) -> int:
    [pid] = house.processes.live
    return pid


async def test_an_executor_that_is_asked_to_end_finishes_what_it_runs_and_is_replaced(
    house: House, tmp_path: Path
) -> None:
    assign = await running(house, tmp_path / "m")
    first = the_executor(house)
    os.kill(first, signal.SIGTERM)
    (tmp_path / "m").touch()
    assert isinstance(await house.result(assign), Done)
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))
    await wait_until(lambda: not is_alive(first))


@pytest.mark.full
async def test_an_executor_without_work_ends_when_it_is_asked_to(house: House) -> None:
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))
    first = the_executor(house)
    os.kill(first, signal.SIGTERM)
    await wait_until(lambda: not is_alive(first))
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))


@pytest.mark.full
async def test_a_shared_executor_that_is_asked_to_end_finishes_all_that_it_runs(
    open_house: Open, tmp_path: Path
) -> None:
    house = await open_house(slots=3)
    rows, marker = {"rows": [house.table()]}, tmp_path / "m"
    begun = [
        await house.assign("t.async_waits", rows, params={"marker": str(marker), "label": label}) for label in "ab"
    ]
    for label in "ab":
        await exists(tmp_path / f"m.{label}.started")
    first = the_executor(house)
    os.kill(first, signal.SIGTERM)
    later = await house.assign("t.async_waits", rows, params={"marker": str(marker), "label": "c"})
    await exists(tmp_path / "m.c.started")
    marker.touch()
    for assign in (*begun, later):
        assert isinstance(await house.result(assign), Done)
    await wait_until(lambda: not is_alive(first))


@pytest.mark.full
async def test_an_executor_that_is_asked_twice_ends_at_once_and_convicts_nobody(house: House, tmp_path: Path) -> None:
    params = {"marker": str(tmp_path / "m"), "gently": False}
    assign = await house.assign("t.spins", {"rows": [house.table()]}, params=params)
    await house.told(assign, Started)
    os.kill(the_executor(house), signal.SIGTERM)
    await wait_until(lambda: not house.supervisor._work._pool._shared and _is_leaving(house))
    os.kill(the_executor(house), signal.SIGTERM)
    failed = await house.failed(assign)
    assert (failed.error.code, failed.convicting) == ("executor-died", False)


def _is_leaving(house: House) -> bool:
    return any(member.leaving for member in house.supervisor._work._pool._members.values())


@pytest.mark.full
async def test_an_executor_that_is_ended_while_it_comes_up_costs_its_attempt_nothing(house: House) -> None:
    assign = await house.assign("t.same", {"rows": [house.table()]})
    await wait_until(lambda: len(house.processes.live) == 1, every_s=0.001)
    os.kill(the_executor(house), signal.SIGTERM)
    result = await house.result(assign)
    assert isinstance(result, Returned | Done)  # done: it was up already
    if isinstance(result, Returned):
        assert result.reason == "executor-lost"


@pytest.mark.full
async def test_a_process_that_user_code_forks_can_be_ended_with_sigterm(house: House) -> None:
    result = await house.result(await house.assign("t.ends_its_child", {"rows": [house.table()]}))
    assert isinstance(result, Done), result


@pytest.mark.full
@pytest.mark.parametrize("within_s", [None, 600.0])
async def test_a_drain_that_was_asked_for_often_is_one(house: House, tmp_path: Path, within_s: float | None) -> None:
    assign = await running(house, tmp_path / "m")
    drains = [house.runtime.spawn(house.supervisor.drain(within_s), "drain") for _ in range(3)]
    await wait_until(lambda: draining(house))
    (tmp_path / "m").touch()
    for drain in drains:
        await drain
    await house.supervisor.ended.wait()
    assert ends(house, [assign]) == ["Done"]


async def test_a_cancel_is_heard_by_an_async_attempt_whose_process_is_still_coming_up(
    house: House, tmp_path: Path
) -> None:
    params = {"marker": str(tmp_path / "m")}
    assign = await house.assign("t.async_waits", {"rows": [house.table()]}, params=params)
    await house.send(Cancel(instance=INSTANCE, shard=SHARD, term=1, attempt=assign.attempt, grace_s=600.0))
    failed = await house.failed(assign)
    assert failed.error.code == "cancelled"


async def test_a_scheduler_of_an_older_version_does_not_answer_and_is_not_waited_for_without_end(
    open_house: Open,
) -> None:
    house = await open_house(settings=Settings(farewell_s=0.05))
    house.knows_farewells = False
    await house.supervisor.drain()
    assert house.supervisor.ended.is_set()


async def test_a_farewell_whose_answer_is_lost_is_said_again(open_house: Open) -> None:
    house = await open_house(settings=Settings(farewell_s=2.0))
    house.knows_farewells = False
    drain = house.runtime.spawn(house.supervisor.drain(), "drain")
    await wait_until(lambda: sum(isinstance(one, Renew) and one.draining for one in house.messages) == SHARDS)
    house.knows_farewells = True
    await drain
    said = [one.shard for one in house.messages if isinstance(one, Renew) and one.draining]
    assert sorted(said) == sorted([*range(SHARDS)] * 2)
