"""The sweeper with a real database and a real store: what goes, what stays, and what happens when it dies."""

import os
import time

import pytest

from plugmesh.contracts.data import FileRef, SpilledRef
from plugmesh.contracts.flow import Retention
from plugmesh.contracts.run import Rerun
from plugmesh.errors import Conflict
from plugmesh.state.borrowing import borrow, give_back
from plugmesh.state.file_versions import deleted_files, surplus_files
from plugmesh.state.pins import unpin_run
from plugmesh.state.reads import Reader
from plugmesh.state.runs import delete_run_rows
from plugmesh.state.sweeping import delete_surplus
from tests.integration.scheduler.sweep_house import DAY, FLOW, GRACE_S, Crash, House


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    await house.start()
    yield house
    await house.state.close()


async def test_a_runs_parts_go_each_in_its_time(house):
    await house.run("r-1")
    await house.sweep()
    await house.sweep(1)
    assert len(house.there()) == 2
    assert len(await events(house, "r-1")) == 3
    await house.sweep(5)
    assert [row.seq for row in await events(house, "r-1")] == [3]
    await house.sweep(5)
    assert (await house.stored("r-1")).data_gone_at is not None
    assert len(house.there()) == 2
    await house.sweep()
    assert house.there() == {"data/default/r-1/a/1/n-log.jsonl"}
    await house.sweep(10, rounds=2)
    assert house.there() == set()
    assert await house.stored("r-1") is not None
    await house.sweep(10)
    assert await house.stored("r-1") is None
    assert await house.sweeper.usage() == {
        "bytes": 0, "limit_bytes": None, "marked_runs": 0, "marked_bytes": 0, "free_bytes": 0,
        "swept_at": house.sweeper.swept_at,
        "kinds": [{"kind": kind, "objects": 0, "bytes": 0} for kind in ("data", "logs", "files")],
        "flows": [], "files": [], "held": [],
    }  # fmt: skip


async def events(house, run):
    return await house.state.read(Reader.events, await house.stored(run), after=0, limit=100)


async def test_what_has_not_ended_is_never_touched(house):
    await house.run("r-1", ended=False)
    await house.sweep(1000, rounds=3)
    assert len(house.there()) == 2


async def test_a_pinned_run_stays_until_it_is_let_go(house):
    own = await house.run("r-1")
    await house.pin("r-1")
    await house.sweep(100, rounds=3)
    assert own in house.there()
    assert len(await events(house, "r-1")) == 3
    await house.state.write(unpin_run, "r-1")
    await house.sweep(0, rounds=3)
    assert house.there() == set()
    with pytest.raises(Exception, match="no run"):
        await house.pin("r-1")


async def test_a_run_whose_data_is_gone_cannot_be_pinned(house):
    await house.run("r-1")
    await house.sweep()
    await house.sweep(11)
    with pytest.raises(Conflict, match="gone"):
        await house.pin("r-1")


async def test_data_that_an_unfinished_run_uses_stays_until_nobody_needs_it(house):
    lent = await house.run("r-1")
    given = {"x": FileRef(name="f", key=lent, bytes=1, hash="h")}
    await house.run("r-2", inputs=given, ended=False)
    await house.sweep()
    await house.sweep(50, rounds=3)
    assert lent in house.there()
    await house.end("r-2")
    await house.sweep(0, rounds=4)
    assert lent not in house.there()


async def test_a_spilled_reference_holds_what_it_names(house):
    lent = await house.run("r-1")
    table = f'{{"kind":"file","name":"f","key":"{lent}","bytes":1,"hash":"h"}}'
    writer = house.store.create("data/default/r-0/a/1/spilled")
    writer.write(table.encode())
    writer.commit()
    spilled = SpilledRef(of="file", key="data/default/r-0/a/1/spilled", bytes=len(table), hash="h")
    await house.run("r-2", inputs={"x": spilled}, ended=False)
    await house.sweep()
    await house.sweep(50, rounds=3)
    assert {lent, "data/default/r-0/a/1/spilled"} <= house.there()


async def test_data_in_which_outputs_of_a_kept_run_lie_stays_as_long_as_that_run(house):
    lent = await house.run("r-1")
    house.machine.ahead += 9 * DAY
    await house.run("r-2", outputs=[lent])
    await house.sweep(0, rounds=2)
    await house.sweep(5, rounds=3)
    assert lent in house.there()
    assert {"held": "r-1", "by": "run"}.items() <= (await house.sweeper.usage())["held"][0].items()
    await house.sweep(6, rounds=4)
    assert lent not in house.there()


async def test_data_that_is_being_looked_at_is_not_deleted(house):
    own = await house.run("r-1")
    await house.sweep()
    house.looked_at.add("r-1")
    await house.sweep(11, rounds=3)
    assert own in house.there()
    house.looked_at.clear()
    await house.sweep(0, rounds=3)
    assert own not in house.there()


async def test_a_flow_says_how_long_its_runs_are_kept(house):
    short = FLOW.model_copy(update={"name": "short", "retention": Retention(data_s=DAY)})
    one, other = await house.run("r-1"), await house.run("r-2", flow=short)
    await house.sweep()
    await house.sweep(2, rounds=3)
    assert one in house.there()
    assert other not in house.there()


async def test_when_there_is_too_much_the_oldest_go_first(house):
    for number in range(4):
        await house.run(f"r-{number}", size=1000)
        house.machine.ahead += 60
    house.settings.change("retention_data_bytes", 2500)
    await house.sweep(0, rounds=3)
    assert {key.split("/")[2] for key in house.there() if not key.endswith("jsonl")} == {"r-2", "r-3"}


async def test_when_there_are_too_many_logs_the_oldest_go_first(house):
    for number in range(4):
        await house.run(f"r-{number}")
        house.machine.ahead += 60
    await house.pin("r-0")
    house.settings.change("retention_logs_bytes", 25)
    await house.sweep(0, rounds=3)
    assert {key.split("/")[2] for key in house.there() if key.endswith("jsonl")} == {"r-0", "r-3"}
    assert len(house.there()) == 4 + 2


async def test_when_there_are_too_many_runs_those_that_ended_first_go_whole(house):
    for number in range(5):
        await house.run(f"r-{number}")
        house.machine.ahead += 60
    await house.pin("r-0")
    house.settings.change("retention_runs", 2)
    await house.sweep(0, rounds=4)
    assert {key.split("/")[2] for key in house.there()} == {"r-0", "r-3", "r-4"}
    assert [run for run in range(5) if await house.stored(f"r-{run}")] == [0, 3, 4]


async def test_when_files_take_up_too_much_old_versions_that_nothing_uses_go_first(house):
    stored = [await house.file(name, number) for number in range(3) for name in ("a", "b")]
    used = {"f": FileRef(name="a", key=stored[0].object, bytes=100, hash="h")}
    await house.run("r-1", ended=False, inputs=used)
    house.settings.change("retention_files_bytes", 350)
    await house.sweep(0, rounds=3)
    left = {f"files/default/{name}" for name in ("a-0", "a-2", "b-2")}
    assert house.there("files/") == left
    house.settings.change("retention_files_bytes", 1)
    await house.sweep(0, rounds=3)
    assert house.there("files/") == left


async def test_a_flow_says_how_much_its_runs_may_keep(house):
    small = FLOW.model_copy(update={"name": "small", "retention": Retention(data_bytes=1500)})
    for number in range(3):
        await house.run(f"r-{number}", size=1000)
        await house.run(f"s-{number}", size=1000, flow=small)
        house.machine.ahead += 60
    await house.sweep(0, rounds=3)
    kept = {key.split("/")[2] for key in house.there() if not key.endswith("jsonl")}
    assert kept == {"r-0", "r-1", "r-2", "s-2"}


async def test_objects_that_nobody_refers_to_go_and_those_in_use_stay(house):
    own = await house.run("r-1")
    stray = house.put("data/default/r-1/a/0/lost-out")
    orphan = house.put("data/default/r-unknown/a/1/x")
    await house.run("r-2", ended=False)
    stale = house.put("data/default/r-2/a/0/lost-out")
    running = house.put("data/default/r-2/a/2/half")
    cut_off = house.put("files/default/file-cut-off")
    await house.sweep()
    assert {own, stray, orphan, stale, running} <= house.there()
    house.machine.ahead += 2 * 3600
    await house.sweep(0, rounds=2)
    assert not {stray, orphan, stale} & house.there()
    assert {own, running} <= house.there()
    assert cut_off not in house.there("files/")


async def test_a_result_that_comes_after_the_end_is_found(house):
    own = await house.run("r-1")
    await house.sweep(0.1)
    late = house.put("data/default/r-1/a/1/late")
    future = time.time() + house.machine.ahead
    os.utime(house.folder / "objects" / "objects" / late, (future, future))
    await house.sweep()
    assert late in house.there()
    await house.sweep()
    assert late not in house.there()
    assert own in house.there()


async def test_versions_of_files_go_when_they_are_too_many_and_no_run_needs_them(house):
    versions = [await house.file("orders", number) for number in range(4)]
    needed = FileRef(name="orders", key=versions[0].object, bytes=100, hash="h")
    await house.run("r-1", inputs={"x": needed}, ended=False)
    house.settings.change("retention_file_versions", 2)
    await house.sweep(0, rounds=3)
    assert house.there("files/") == {versions[0].object, versions[2].object, versions[3].object}
    await house.end("r-1")
    await house.sweep(0, rounds=4)
    assert house.there("files/") == {versions[2].object, versions[3].object}


async def test_the_newest_version_of_a_file_never_grows_old(house):
    for number in range(3):
        await house.file("orders", number)
    house.settings.change("retention_files_s", DAY)
    await house.sweep(2, rounds=3)
    assert house.there("files/") == {"files/default/orders-2"}


async def test_a_dry_run_says_what_would_go_and_changes_nothing(house):
    await house.run("r-1")
    await house.sweep()
    house.machine.ahead += 11 * DAY
    said = await house.sweeper.collect(dry_run=True)
    assert (said["dry_run"], said["data_runs"], said["data_bytes"], said["event_runs"]) == (True, 1, 100, 1)
    assert (await house.stored("r-1")).data_gone_at is None
    done = await house.sweeper.collect(dry_run=False)
    assert {**done, "dry_run": True, "measured_runs": 1} == said
    house.machine.ahead += GRACE_S + 1
    assert (await house.sweeper.collect(dry_run=True))["released_bytes"] == 100
    assert (await house.sweeper.collect(dry_run=False))["released_objects"] == 1


POINTS = (
    "sweep.measured",
    "state.measured.before_commit",
    "sweep.marked",
    "state.mark_data.before_commit",
    "state.mark_data.after_commit",
    "sweep.before_release",
    "sweep.deleted",
    "sweep.after_release",
    "state.released.before_commit",
    "state.drop_events.after_commit",
    "state.delete_run.before_commit",
    "state.delete_run.after_commit",
    "state.forget_run.before_commit",
    "sweep.files_deleted",
)


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_any_point_the_next_one_ends_it_and_what_is_held_stays(house, point):
    lent = await house.run("r-1")
    await house.run("r-2", inputs={"x": FileRef(name="f", key=lent, bytes=1, hash="h")}, ended=False)
    await house.run("r-3")
    for number in range(2):
        await house.file("orders", number)
    house.settings.change("retention_file_versions", 1)
    house.machine.crash_at = point
    died = False
    for days in (0, 0, 50, 0, 0, 0, 0):
        try:
            await house.sweep(days)
        except Crash:
            died = True
            house.again()
    assert died, house.machine.points
    await house.sweep(0, rounds=3)
    assert await house.stored("r-3") is None
    assert {key.split("/")[2] for key in house.there()} == {"r-1", "r-2"}
    assert lent in house.there()
    assert house.there("files/") == {"files/default/orders-1"}


async def test_a_full_database_disk_does_not_keep_it_from_deleting(house, monkeypatch):
    own = await house.run("r-1")
    await house.sweep()
    await house.sweep(11)
    assert own in house.there()

    async def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(house.state, "write", full)
    report = await house.sweeper.round(whole=True)
    assert report.failures
    assert own not in house.there()
    monkeypatch.undo()
    await house.sweep()
    assert (await house.sweeper.usage())["marked_runs"] == 0


async def test_who_owns_no_shard_sweeps_nothing(house):
    await house.run("r-1")
    house.shards.clear()
    await house.sweep(100, rounds=3)
    assert len(house.there()) == 2


async def test_questions_about_files_know_what_is_deleted(house):
    one, two = await house.file("orders", 1), await house.file("orders", 2)
    (surplus,) = await house.state.read(surplus_files, 1, None, 10)
    assert surplus.object == one.object
    await house.state.write(delete_surplus, [surplus], 5.0)
    assert await house.state.read(surplus_files, 1, None, 10) == []
    assert [row.object for row in await house.state.read(deleted_files, 5.0, 0, 10)] == [one.object]
    assert two.deleted_at is None


async def test_what_cannot_be_deleted_is_reported_tried_again_and_blocks_nothing(house, monkeypatch):
    for name in ("r-1", "r-2", "r-3"):
        await house.run(name)
    await house.sweep()
    await house.sweep(21)
    stuck, delete = True, house.store.delete

    def refusing(key: str) -> bool:
        if stuck and key.startswith("data/default/r-1/"):
            raise PermissionError(13, "Permission denied", key)
        return bool(delete(key))

    monkeypatch.setattr(house.store, "delete", refusing)
    report = await house.sweeper.round(whole=True)
    assert {one.split("/")[2] for one in house.there()} == {"r-1"}
    assert (report.stuck_objects, house.sweeper.stuck, report.failures) == (2, 2, 0)
    assert (await house.sweeper.round(whole=True)).stuck_objects == 2
    stuck = False
    await house.sweep()
    assert house.there() == set()
    assert house.sweeper.stuck == 0


async def test_a_run_that_cannot_be_looked_at_keeps_no_other_from_being_swept(house, monkeypatch, caplog):
    for name in ("r-1", "r-2"):
        await house.run(name)
    await house.sweep()
    await house.sweep(21)
    listing = house.store.list

    def refusing(prefix: str):
        if prefix == "data/default/r-1/":
            raise PermissionError(13, "Permission denied")
        return listing(prefix)

    monkeypatch.setattr(house.store, "list", refusing)
    report = await house.sweeper.round(whole=True)
    monkeypatch.undo()
    assert {one.split("/")[2] for one in house.there()} == {"r-1"}
    assert report.failures
    assert "run r-1 could not be swept, it is tried again in the next round" in caplog.text


async def test_a_file_version_that_is_being_read_stays(house):
    old = await house.file("f", 1)
    await house.file("f", 2)
    house.settings.change("retention_file_versions", 1)
    house.looked_at = {old.object}
    await house.sweep(rounds=4)
    assert old.object in house.there("files/")
    house.looked_at = set()
    await house.sweep(rounds=2)
    assert old.object not in house.there("files/")


# -- reruns ------------------------------------------------------------------------------------------------------------


async def borrowed(house, run, *lenders):
    return await house.state.write(borrow, run, lenders, house.machine.wall())


async def test_what_a_rerun_is_about_to_use_is_not_marked_and_stays_when_it_was_made(house):
    own = await house.run("r-1")
    await house.sweep()
    house.machine.ahead += 11 * DAY
    assert await borrowed(house, "r-2", "r-1") == frozenset()
    report = await house.sweeper.round(whole=True)
    assert report.data_runs == 0
    await house.run("r-2", outputs=[own], rerun=Rerun(origin="r-1", root="r-1"))
    await house.sweep(rounds=3)
    assert own in house.there()
    assert (await house.stored("r-1")).data_gone_at is None


async def test_what_is_marked_cannot_be_used_by_a_rerun(house):
    await house.run("r-1")
    await house.run("r-3")
    old, new = [(await house.file("f", number)).object for number in (1, 2)]
    await house.sweep()
    await house.pin("r-3")
    await house.sweep(11)
    await house.state.write(delete_surplus, await house.state.read(surplus_files, 1, None, 9), 1.0)
    assert await borrowed(house, "r-2", "r-1", "r-3", "r-none", old, new) == {"r-1", "r-none", old}
    assert await borrowed(house, "r-2", "r-3", new) == frozenset()


async def test_a_run_that_is_deleted_while_its_rerun_is_made_leaves_its_objects(house):
    own = await house.run("r-1")
    await borrowed(house, "r-2", "r-1")
    assert not await house.state.write(delete_run_rows, "r-1")
    house.machine.ahead += GRACE_S + 1
    await house.sweeper.round(whole=True)
    assert own in house.there()


async def test_what_was_held_for_a_rerun_that_was_not_made_is_let_go(house):
    own = await house.run("r-1")
    await house.sweep()
    await borrowed(house, "r-2", "r-1")
    await house.sweep(11, rounds=1)
    assert own in house.there()
    await house.sweep(rounds=20)
    assert own not in house.there()
    again = await house.run("r-4")
    await house.sweep()
    await borrowed(house, "r-5", "r-4")
    await house.state.write(give_back, "r-5")
    await house.sweep(11, rounds=2)
    assert again not in house.there()


async def test_rows_that_an_open_run_is_fed_with_stay(house):
    own = await house.run("r-1")
    rows = FileRef(name="f", key=own, bytes=1, hash="h")
    fed = Rerun(origin="r-0", root="r-0", feeds={"a": {"in": (rows,)}})
    await house.run("r-2", rerun=fed, ended=False)
    await house.sweep(100, rounds=3)
    assert own in house.there()
    await house.end("r-2")
    await house.sweep(rounds=4)
    assert own not in house.there()
