"""Several schedulers over one database, and gateways that have none: who begins a run, and how shards move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from plugmesh.bus.embedded import HubBus
from plugmesh.contracts.run import SHARDS, Command, RunState, Submission
from plugmesh.errors import Conflict, OwnershipLost
from plugmesh.intake_rows import RowsIntake
from plugmesh.state.records import StoredRun
from scheduler import restore as restore_module
from scheduler.arrivals import Arrived
from scheduler.engine import Engine
from scheduler.runstate import RunState as RunInMemory
from scheduler.work import Work, make_commit
from tests.integration.scheduler.mesh import Mesh
from tests.integration.scheduler.test_engine import chain
from tests.waiting import wait_until


class Several(Mesh):
    """A mesh with a gateway's intake, and schedulers that come and go."""

    intake: RowsIntake

    def scheduler(self) -> Engine:
        return Engine(
            self.runtime, self.state, bus=HubBus(self.hub), registry=self.registry, objects=self.objects,
            owner=self.runtime.new_id("sch"),
        )  # fmt: skip

    async def handed_in(self, **fields: object) -> str:
        submission = Submission(run=self.runtime.new_id("r"), flow=chain(1), submitted_at=self.runtime.wall(), **fields)
        return (await self.intake.submit(submission)).run


@pytest.fixture
async def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Several]:
    monkeypatch.setattr("plugmesh.state.database.Database.exclusive", False)
    monkeypatch.setattr("scheduler.shards.RENEW_EVERY_S", 0.05)
    monkeypatch.setattr("scheduler.engine.RENEW_EVERY_S", 0.05)
    several = Several(tmp_path)
    await several.start()
    several.intake = RowsIntake(several.runtime, several.state, HubBus(several.hub))
    yield several
    await several.intake.close()
    await several.stop()


def _shares(*engines: Engine) -> list[int]:
    return [len(engine.board.terms) for engine in engines]


async def test_a_run_that_a_gateway_wrote_is_carried_out(mesh: Several) -> None:
    await mesh.instance()
    run = await mesh.ended(await mesh.handed_in())
    assert run.state == RunState.SUCCEEDED


async def test_a_run_of_which_nobody_was_told_is_found(mesh: Several, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh.intake, "_tell", lambda run: None)
    await mesh.instance()
    assert (await mesh.ended(await mesh.handed_in())).state == RunState.SUCCEEDED


async def test_a_command_reaches_the_owner(mesh: Several) -> None:
    run = await mesh.handed_in()  # nobody serves its module
    await mesh.intake.command(Command(command="c-1", run=run, kind="cancel", reason="enough"))
    assert (await mesh.ended(run)).state == RunState.CANCELLED


async def test_one_idempotency_key_makes_one_run(mesh: Several) -> None:
    first = await mesh.handed_in(idempotency_key="k", request_hash="1")
    assert await mesh.handed_in(idempotency_key="k", request_hash="1") == first
    with pytest.raises(Conflict, match="with another body"):
        await mesh.handed_in(idempotency_key="k", request_hash="2")


async def test_two_gateways_with_one_key_at_a_time_make_one_run(mesh: Several, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await mesh.handed_in(idempotency_key="k")
    looked = mesh.intake._earlier
    answers = iter([False])

    async def too_early(submission: Submission) -> object:
        return await looked(submission) if next(answers, True) else None

    monkeypatch.setattr(mesh.intake, "_earlier", too_early)
    assert await mesh.handed_in(idempotency_key="k") == first


async def test_what_was_seen_of_a_run_before_it_ended_does_not_begin_it_again(
    mesh: Several, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Arrived] = []

    def see(item: Arrived) -> None:
        seen.append(item)
        mesh.engine._put(item)

    monkeypatch.setattr(mesh.engine._arrivals, "_put", see)
    await mesh.instance()
    run = await mesh.handed_in()
    await mesh.ended(run)
    commits = mesh.engine.commits
    mesh.engine._put(next(item for item in seen if any(one.id == run for one in item.found.runs)))
    await mesh.ended(await mesh.handed_in())
    assert mesh.engine.commits > commits
    assert "a commit failed" not in caplog.text


async def test_schedulers_that_come_and_go_share_the_shards(mesh: Several) -> None:
    second, third = mesh.scheduler(), mesh.scheduler()
    assert _shares(mesh.engine) == [SHARDS]
    await second.start()
    await wait_until(lambda: _shares(mesh.engine, second) == [16, 16])
    await third.start()
    await wait_until(lambda: sorted(_shares(mesh.engine, second, third)) == [10, 11, 11])
    await second.stop()
    await wait_until(lambda: _shares(mesh.engine, third) == [16, 16])
    await third.stop()
    await wait_until(lambda: _shares(mesh.engine) == [SHARDS])


async def test_runs_go_on_while_their_shards_move(mesh: Several) -> None:
    await mesh.instance(slots=4)
    runs = [await mesh.handed_in() for _ in range(20)]
    second = mesh.scheduler()
    await second.start()
    runs += [await mesh.handed_in() for _ in range(20)]
    await wait_until(lambda: _shares(mesh.engine, second) == [16, 16])
    runs += [await mesh.handed_in() for _ in range(20)]
    await second.stop()
    states = {(await mesh.ended(run)).state for run in runs}
    assert states == {RunState.SUCCEEDED}


async def test_what_a_scheduler_has_dropped_it_reads_again_at_once_although_the_lease_is_still_its_own(
    mesh: Several,
) -> None:
    engine = mesh.engine
    before = dict(engine.board.terms)
    for shard in (3, 4):
        engine._shards.drop(shard)
    await engine._shards.acquire()
    assert engine.board.terms.keys() == before.keys()
    assert all(engine.board.terms[shard] > before[shard] for shard in (3, 4))


async def test_a_scheduler_that_stops_gives_back_what_it_has_dropped_too(mesh: Several) -> None:
    other = mesh.scheduler()
    await other.start()
    await wait_until(lambda: _shares(mesh.engine, other) == [16, 16])
    dropped = next(iter(other.board.terms))
    other._shards.drop(dropped)
    await other.stop()
    await wait_until(lambda: len(mesh.engine.board.terms) == SHARDS)


async def test_a_run_that_this_version_cannot_read_is_left_alone_and_the_others_are_carried_out(
    mesh: Several, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    strange: list[str] = []
    whole = restore_module.restore_run

    def restore_run(stored: StoredRun, *rest: Any) -> RunInMemory:
        if stored.id in strange:
            raise ValueError("a field of the next version")
        return whole(stored, *rest)

    monkeypatch.setattr(restore_module, "restore_run", restore_run)
    await mesh.instance()
    submission = Submission(run=mesh.runtime.new_id("r"), flow=chain(1), submitted_at=mesh.runtime.wall())
    strange.append(submission.run)
    await mesh.intake.submit(submission)
    await wait_until(lambda: f"run {submission.run} cannot be read by this version" in caplog.text)
    assert (await mesh.ended(await mesh.handed_in())).state == RunState.SUCCEEDED


async def test_a_former_owner_cannot_say_that_a_command_is_carried_out(mesh: Several) -> None:
    run = await mesh.handed_in()
    work = Work(commands=[(None, Command(command="c-1", run=run, kind="pause", reason=""))])
    terms = {shard: term - 1 for shard, term in mesh.engine.board.terms.items()}
    commit = make_commit(work, [], owner=mesh.engine._shards.owner, terms=terms, positions={}, at=0.0)
    with pytest.raises(OwnershipLost):
        await mesh.state.commit(commit)
