"""The checker finds what was doctored in runs that an engine paused, queued, repeated and took over from others."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugmesh.contracts.flow import Flow, Node, RetryPolicy, Source
from plugmesh.contracts.messages import Assign, Failed
from plugmesh.contracts.run import Command, Permit, Recovered, Rerun, StepError, StepState
from plugmesh.errors import ErrorClass
from tests.integration.scheduler.mesh import OUT, Mesh
from tests.sim.doctored import Doctored, step_change
from tests.waiting import wait_until

FLAKY = StepError(error_class=ErrorClass.TRANSIENT, type="Flaky", message="try again")
POLICY = RetryPolicy(attempts=3, delay_s=0.05, backoff="fixed", jitter=False, total_s=60.0)
WORDS = {step: f'"step":"{step}","state":"assigned"' for step in ("a", "b")}


def flow(name: str, **node: object) -> Flow:
    nodes = {
        "a": Node(module="test.step", retry=POLICY),
        "b": Node(module="test.step", inputs={"into": (Source(node="a"),)}),
    }
    return Flow(name=name, nodes={step: one.model_copy(update=node) for step, one in nodes.items()})


async def build(folder: Path) -> bytes:
    """Runs that were repeated, that failed now and then, that were paused, and two of which one holds the permit."""
    mesh = await Mesh(folder, "normal").start()
    instance = await mesh.instance(slots=4)
    failures = iter((True, True))

    def answer(message: Assign) -> None:
        if message.params.get("flaky") and next(failures, False):
            instance.send(message, Failed(**instance.who(message), error=FLAKY))
        elif not message.params.get("stuck"):
            instance.done(message)
        else:
            instance.accept(message)

    instance.answer = answer
    origin = await mesh.submit(flow("origin"))
    await mesh.ended(origin)
    rerun = Rerun(origin=origin, root=origin, recovered=(Recovered(step="a", version="1.0.0", outputs=OUT),))
    await mesh.ended(await mesh.submit(flow("repeated"), rerun=rerun))
    await mesh.ended(await mesh.submit(flow("flaky", params={"flaky": True})))
    paused = await mesh.submit(flow("paused", params={"stuck": True}))
    await mesh.engine.command(Command(command="c-1", run=paused, kind="pause", actor="tester"))
    permit = Permit(name="limited", limit=1)
    holding = await mesh.submit(flow("limited", params={"stuck": True}), permit=permit)
    await wait_until(lambda: _is(mesh, holding, "running"))
    await mesh.submit(flow("queued"), permit=permit)
    await mesh.stop()
    database = sqlite3.connect(folder / "state.db")
    database.execute(f"VACUUM INTO '{folder / 'copy.db'}'")
    database.close()
    return (folder / "copy.db").read_bytes()


async def _is(mesh: Mesh, run: str, state: str) -> bool:
    return bool((await mesh.run(run)).state == state)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return asyncio.run(build(tmp_path_factory.mktemp("mesh")))


@pytest.fixture
def mesh(image: bytes) -> Iterator[Doctored]:
    doctored = Doctored(image)
    yield doctored
    doctored.raw.close()


def test_nothing_is_wrong_with_the_runs_as_they_are(mesh: Doctored) -> None:
    report = mesh.report()
    assert report.violations == []
    assert (report.counts["runs"], report.counts["permits"], report.counts["attempts without a result"]) == (6, 1, 2)


# -- control -----------------------------------------------------------------------------------------------------------


def test_a_step_that_was_assigned_while_its_run_was_paused(mesh: Doctored) -> None:
    mesh.append("x/paused", step_change("a", "ready"), step_change("a", "assigned", epoch=2))
    assert "paused" in mesh.found()


@pytest.mark.parametrize("name", ["paused", "queued"])
def test_a_run_that_does_not_say_what_it_waits_for(mesh: Doctored, name: str) -> None:
    assert mesh.sql(f"UPDATE run SET reason = NULL WHERE flow = '{name}'") == 1
    assert "progress" in mesh.found()


# -- retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"delay_s": 0.01}, "its policy says 0.01 to 0.01 s"),
        ({"delay_s": 1.0}, "its policy says 1 to 1 s"),
        ({"attempts": 2}, "its policy allows 2 tries"),
        ({"on": (ErrorClass.DATA,)}, "an error of the class transient, which its policy does not repeat"),
        ({"total_s": 0.01}, "after the 0.01 s that its tries have in all"),
    ],
)
def test_a_step_that_was_not_repeated_as_its_policy_says(mesh: Doctored, change: dict[str, object], words: str) -> None:
    policy = POLICY.model_copy(update=change)
    text = flow("flaky", params={"flaky": True}, retry=policy).model_dump_json()
    assert mesh.sql("UPDATE revision SET flow = ? WHERE name = 'flaky'", text) == 1
    violations = mesh.violations()
    assert {violation.invariant for violation in violations} == {"retries"}
    assert any(words in violation.text for violation in violations)


def test_a_retry_that_came_before_its_time(mesh: Doctored) -> None:
    changes = f"SELECT json_extract(value, '$.wake_at') AS at FROM event, json_each(changes) WHERE run = {mesh.run('x/flaky')}"
    at = mesh.one(f"SELECT min(at) FROM ({changes})")
    mesh.replace("x/flaky", f'"wake_at":{at}', f'"wake_at":{at + 0.5}')
    assert mesh.found() >= {"retries"}
    assert any("it was to wait until" in violation.text for violation in mesh.violations())


def test_a_retry_without_a_wait(mesh: Doctored) -> None:
    mesh.insert("x/flaky", step_change("b", "ready", epoch=1, failures=1), '"step":"b","state":"assigned"')
    assert any("its failures went from 0 to 1" in violation.text for violation in mesh.violations())


# -- permits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DELETE FROM permit", "holds no place of 'limited'"),
        ("UPDATE permit SET run = 'run-of-nobody'", "there is no such run"),
        ("UPDATE permit SET run = (SELECT id FROM run WHERE flow = 'origin')", "it has ended, and still holds place 0"),
        ("UPDATE permit SET run = (SELECT id FROM run WHERE flow = 'paused')", "which it does not need"),
        ("UPDATE permit SET place = 1", "of which there are 1"),
        (
            "UPDATE run SET permit = (SELECT permit FROM run WHERE flow = 'limited') WHERE flow = 'paused'",
            "2 runs of 'limited'",
        ),
    ],
)
def test_permits_that_are_not_kept_to(mesh: Doctored, change: str, words: str) -> None:
    assert mesh.sql(change) == 1
    assert any(v.invariant == "permits" and words in v.text for v in mesh.violations())


def test_runs_after_one_another_hold_one_permit(mesh: Doctored) -> None:
    mesh.sql("UPDATE run SET permit = (SELECT permit FROM run WHERE flow = 'limited') WHERE ended_at IS NOT NULL")
    assert mesh.found(clock_skew_s=0.0) == set()


def test_runs_at_the_same_time_that_one_permit_allows_one_of(mesh: Doctored) -> None:
    mesh.sql("UPDATE run SET permit = (SELECT permit FROM run WHERE flow = 'limited') WHERE ended_at IS NOT NULL")
    mesh.sql("UPDATE run SET started_at = 1.0 WHERE flow = 'repeated'")
    assert "permits" in mesh.found(clock_skew_s=0.0)


# -- reruns ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE run SET origin = NULL WHERE flow = 'repeated'", "its run repeats no other"),
        (f"UPDATE step SET state = '{StepState.FAILED}' WHERE run = ORIGIN AND id = 'a'", "it is failed"),
        ("DELETE FROM step WHERE run = ORIGIN AND id = 'a'", "has no such step"),
        ("UPDATE step SET outputs = '{}' WHERE run = ORIGIN AND id = 'a'", "its outputs are not those of its origin"),
    ],
)
def test_a_recovered_step_that_is_not_its_origins(mesh: Doctored, change: str, words: str) -> None:
    assert mesh.sql(change.replace("ORIGIN", mesh.run("x/origin"))) == 1
    assert any(v.invariant == "recovered" and words in v.text for v in mesh.violations())


def test_a_recovered_step_whose_origin_was_removed_is_counted(mesh: Doctored) -> None:
    for table in ("event", "step", "attempt"):
        mesh.sql(f"DELETE FROM {table} WHERE run = {mesh.run('x/origin')}")
    mesh.sql("DELETE FROM run WHERE flow = 'origin'")
    report = mesh.report()
    assert (report.violations, report.counts["recovered steps whose origin is gone"]) == ([], 1)


def test_a_step_below_one_that_was_left_out(mesh: Doctored) -> None:
    mesh.replace("x/repeated", '"state":"recovered"', '"state":"skipped"')
    assert "parents" in mesh.found()
