"""Attempts that do not end by themselves, or take their process with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from module_sdk.launch import Source
from module_sdk.supervisor.settings import Settings
from plugmesh.contracts.data import DataRef
from plugmesh.contracts.messages import Accepted, Cancel, Done, Failed, Recall, Renewed, Returned, Started
from plugmesh.errors import ErrorClass
from tests.integration.sdk.conftest import Open
from tests.integration.sdk.house import INSTANCE, SHARD, House, exists, is_alive
from tests.waiting import wait_until


def cancel(attempt: str, grace_s: float = 10.0) -> Cancel:
    return Cancel(instance=INSTANCE, shard=SHARD, term=1, attempt=attempt, reason="not needed", grace_s=grace_s)


def pids(house: House) -> set[int]:
    return set(house.processes.live)


async def test_a_death_convicts_and_names_the_exit_code_and_keeps_the_log(house: House) -> None:
    failed = await house.failed(await house.assign("t.dies", {"rows": [house.table()]}, params={"how": "exit"}))
    assert failed.convicting
    assert failed.error.code == "executor-died"
    assert "exited with code 7" in failed.error.message
    assert "last words" in house.log(failed.log)
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))


async def test_a_segfault_names_the_line_it_happened_in(house: House) -> None:
    failed = await house.failed(await house.assign("t.dies", {"rows": [house.table()]}, params={"how": "segfault"}))
    assert failed.convicting
    assert "SIGSEGV" in failed.error.message
    assert "Segmentation fault" in failed.error.traceback
    assert "authored.py" in failed.error.traceback
    assert "last words" in house.log(failed.log)


async def test_an_endless_loop_ends_with_its_timeout(house: House, tmp_path: Path) -> None:
    params = {"marker": str(tmp_path / "m"), "gently": False}
    assign = await house.assign("t.spins", {"rows": [house.table()]}, params=params, timeout_s=0.3)
    failed = await house.failed(assign)
    assert (failed.error.code, failed.error.error_class) == ("timeout", ErrorClass.TRANSIENT)
    assert not failed.convicting
    assert isinstance(house.of(assign)[0], Accepted)
    assert any(isinstance(message, Started) for message in house.of(assign))


async def test_a_cancel_raises_in_the_module_and_keeps_the_executor(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    assign = await house.assign("t.spins", {"rows": [house.table()]}, params={"marker": str(marker)})
    await exists(marker)
    before = pids(house)
    await house.send(cancel(assign.attempt))
    failed = await house.failed(assign)
    assert (failed.error.code, failed.convicting) == ("cancelled", False)
    assert Path(f"{marker}.cleaned").exists()
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))
    assert pids(house) == before


async def test_who_does_not_listen_to_a_cancel_is_killed_after_the_grace(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    params = {"marker": str(marker), "gently": False}
    assign = await house.assign("t.spins", {"rows": [house.table()]}, params=params)
    await exists(marker)
    await house.send(cancel(assign.attempt, grace_s=0.1))
    failed = await house.failed(assign)
    assert (failed.error.code, failed.convicting) == ("cancelled", False)
    assert "not needed" in failed.error.message


async def test_a_cancel_or_recall_of_what_has_not_started_gives_it_back(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    rows = {"rows": [house.table()]}
    first = await house.assign("t.waits", rows, params={"marker": str(marker)})
    await exists(Path(f"{marker}.started"))
    second, third = await house.assign("t.same", rows), await house.assign("t.same", rows)
    await house.send(cancel(second.attempt))
    await house.send(Recall(instance=INSTANCE, shard=SHARD, term=1, attempt=third.attempt))
    assert [(await house.result(one)).reason for one in (second, third)] == ["cancelled", "recalled"]
    marker.touch()
    await house.done(first)


async def test_a_superseded_attempt_is_killed_and_never_heard_of_again(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    assign = await house.assign("t.spins", {"rows": [house.table()]}, params={"marker": str(marker)})
    await exists(marker)
    before = pids(house)
    await house.send(Renewed(instance=INSTANCE, shard=SHARD, term=1, superseded=(assign.attempt,)))
    await house.done(await house.assign("t.same", {"rows": [house.table()]}))
    await wait_until(lambda: not any(is_alive(pid) for pid in before))
    assert house.results(assign) == []


async def test_a_newer_epoch_ends_the_older_attempt_and_an_older_one_is_ignored(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    rows = {"rows": [house.table()]}
    first = await house.assign("t.spins", rows, step="s", params={"marker": str(marker)})
    await exists(marker)
    second = await house.assign("t.same", rows, step="s", epoch=3)
    await house.done(second)
    assert house.results(first) == []


async def test_what_is_past_its_runs_time_is_ended_silently(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    rows = {"rows": [house.table()]}
    running = await house.assign("t.spins", rows, params={"marker": str(marker)}, left_s=0.8)
    waiting = await house.assign("t.same", rows, left_s=0.0)
    await house.done(await house.assign("t.same", rows))
    assert house.results(running) == []
    assert house.results(waiting) == []


async def test_a_sink_that_is_not_idempotent_ends_with_its_lease(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(settings=Settings(lease_s=1.0))
    marker = tmp_path / "m"
    failed = await house.failed(await house.assign("t.sink", {"rows": [house.table()]}, params={"marker": str(marker)}))
    assert (failed.error.code, failed.error.error_class) == ("lease-lost", ErrorClass.TRANSIENT)


async def test_async_attempts_share_a_process_and_have_their_own_logs(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(slots=3)
    marker, rows = str(tmp_path / "m"), {"rows": [house.table()]}
    assigns = [await house.assign("t.async_waits", rows, params={"marker": marker, "label": label}) for label in "abc"]
    for label in "abc":
        await exists(Path(f"{marker}.{label}.started"))
    assert len(pids(house)) == 1
    await house.send(cancel(assigns[0].attempt))
    assert (await house.failed(assigns[0])).error.code == "cancelled"
    Path(marker).touch()
    done = await house.done(assigns[1])
    text = house.log(done.log)
    assert "async b" in text
    assert "done b" in text
    assert "async c" not in text
    await house.done(assigns[2])


async def test_when_a_shared_process_dies_nobody_is_convicted_and_the_guilty_then_runs_alone(
    open_house: Open, tmp_path: Path
) -> None:
    house = await open_house(slots=3)
    marker, rows = str(tmp_path / "m"), {"rows": [house.table()]}
    dead = Path(marker + ".die")
    innocent = await house.assign("t.async_waits", rows, step="good", params={"marker": marker, "label": "x"})
    guilty = await house.assign("t.async_dies", rows, step="bad", params={"marker": str(dead)})
    await exists(Path(f"{marker}.x.started"))
    dead.touch()
    for assign in (innocent, guilty):
        result = await house.result(assign)
        assert isinstance(result, Returned)
        assert result.reason == "executor-lost"
    Path(marker).touch()
    again = await house.assign("t.async_waits", rows, step="good", epoch=2, params={"marker": marker, "label": "x"})
    alone = await house.assign("t.async_dies", rows, step="bad", epoch=2, params={"marker": str(dead)})
    await house.done(again)
    failed = await house.failed(alone)
    assert failed.convicting
    assert "exited with code 9" in failed.error.message


async def test_a_file_that_was_changed_since_it_was_served_is_not_run(house: House, tmp_path: Path) -> None:
    source, _ = house.processes._sources["t.same@0.1.0"]
    assert isinstance(source, Source)
    house.processes._sources["t.same@0.1.0"] = (source, "sha256:other")
    failed = await house.failed(await house.assign("t.same", {"rows": [house.table()]}))
    assert failed.error.code == "code-changed"
    assert "authored.py" in failed.error.message


@pytest.mark.parametrize("now", ["def half(:", "from module_sdk import module\n", None])
async def test_a_file_that_was_saved_meanwhile_is_no_mistake_of_the_step(
    house: House, tmp_path: Path, now: str | None
) -> None:
    file = tmp_path / "saved.py"
    if now is not None:
        file.write_text(now)
    house.processes._sources["t.same@0.1.0"] = (Source(file=str(file)), "sha256:other")
    failed = await house.failed(await house.assign("t.same", {"rows": [house.table()]}))
    assert (failed.error.code, failed.error.error_class) == ("code-changed", ErrorClass.TRANSIENT)


async def test_a_file_whose_import_hangs_ends_with_the_timeout(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(settings=Settings(prepare_s=0.2))
    hangs = tmp_path / "hangs.py"
    hangs.write_text("import time\nwhile True:\n    time.sleep(0.01)\n")
    house.processes._sources["t.same@0.1.0"] = (Source(file=str(hangs)), "")
    failed = await house.failed(await house.assign("t.same", {"rows": [house.table()]}, timeout_s=0.1))
    assert failed.error.code == "timeout"


async def test_a_machine_without_room_for_a_process_fails_the_attempt_only(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"rows": [house.table()]}
    with monkeypatch.context() as patched:
        patched.setattr("subprocess.Popen", _no_room)
        failed = await house.failed(await house.assign("t.same", rows))
    assert (failed.error.code, failed.error.error_class) == ("no-executor", ErrorClass.TRANSIENT)
    assert "fewer slots" in failed.error.message
    await house.done(await house.assign("t.same", rows))


def _no_room(*_: object, **__: object) -> None:
    raise BlockingIOError(11, "Resource temporarily unavailable")


async def test_outputs_of_two_attempts_never_meet(house: House) -> None:
    rows = {"rows": [house.table()]}
    first = await house.assign("t.double", rows, step="s")
    one = await house.done(first)
    second = await house.assign("t.double", rows, step="s", epoch=2)
    two = await house.done(second)
    keys = [
        {group.key for group in done.outputs["out"].fragments[0].groups if group.key.startswith("data/")}
        for done in (one, two)
        if isinstance(done.outputs["out"], DataRef)
    ]
    assert len(keys) == 2
    assert keys[0].isdisjoint(keys[1])
    assert isinstance(one, Done)
    assert not isinstance(two, Failed)
