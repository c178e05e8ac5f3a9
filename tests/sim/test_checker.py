"""The checker finds what was doctored: one that cannot fail proves nothing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugmesh.objects.local import LocalStore
from scheduler.invariants import reading
from scheduler.invariants.folder import check_folder
from scheduler.invariants.names import INVARIANTS
from scheduler.invariants.violation import Report, Violation
from tests.sim.doctored import Doctored, attempt_change, step_change
from tests.sim.workload import CANCELLED, FAILED, SUCCEEDED, Job, chain, mapped, single
from tests.sim.world import World

CHAIN, MAPPED, CANCELLED_RUN, BROKEN = "sim/chain", "sim/mapped", "sim/cancelled", "sim/broken"


@pytest.fixture(scope="module")
def world() -> World:
    """A chain, a map, a run that was cancelled, one that failed."""
    flow = {**chain(4, 5.0), "flow": CANCELLED_RUN}
    jobs = [
        Job("chain", chain(4), frozenset({SUCCEEDED})),
        Job("mapped", mapped(3), frozenset({SUCCEEDED})),
        Job("cancelled", flow, frozenset({CANCELLED}), cancel_after=3.0),
        Job("broken", single("sim.work", "broken", fatal=True), frozenset({FAILED})),
    ]
    world = World(1, jobs)
    assert world.run() == [], world.report()
    return world


@pytest.fixture
def mesh(world: World) -> Iterator[Doctored]:
    doctored = Doctored(world.image, world.disk)
    yield doctored
    doctored.raw.close()


def test_nothing_is_found_where_nothing_is_wrong(mesh: Doctored, world: World) -> None:
    assert mesh.violations(submitted=tuple(world.client.promised.values()), effects=("a", "b"), lost_allowed=0) == []


def test_a_run_that_was_accepted_and_is_not_there(mesh: Doctored) -> None:
    assert mesh.found(submitted=("run-nowhere",)) == {"submitted"}


@pytest.mark.parametrize(
    "change",
    [step_change("n0", "ready"), '{"change":"run","state":"running","at":1.0}', step_change("n9", "cancelled")],
)
def test_a_change_after_the_end(mesh: Doctored, change: str) -> None:
    mesh.append(CHAIN, change.replace("n9", "n1"))
    assert "terminal" in mesh.found()


def test_an_ended_run_with_a_step_that_has_not(mesh: Doctored) -> None:
    assert mesh.sql(f"UPDATE step SET state = 'running' WHERE run = {mesh.run(CHAIN)} AND id = 'n3'") == 1
    assert "terminal" in mesh.found()


@pytest.mark.parametrize("time", ["NULL", "1.0"])
def test_a_state_and_a_time_of_end_that_do_not_fit(mesh: Doctored, time: str) -> None:
    mesh.sql(f"UPDATE run SET ended_at = {time}")
    assert mesh.found() & {"terminal", "replay"}


def test_a_forbidden_transition(mesh: Doctored) -> None:
    assert mesh.sql(
        f"UPDATE event SET changes = replace(changes, '\"ready\"', '\"running\"') WHERE run = {mesh.run(CHAIN)}"
    )
    assert "transitions" in mesh.found()


def test_a_gap_in_the_event_rows(mesh: Doctored) -> None:
    assert mesh.sql(f"DELETE FROM event WHERE run = {mesh.run(CHAIN)} AND seq = 2") == 1
    assert "transitions" in mesh.found()


def test_a_result_of_an_epoch_that_was_not_out(mesh: Doctored) -> None:
    text = '"state":"succeeded","at"'
    query = (
        f"SELECT seq, changes FROM event WHERE run = {mesh.run(CHAIN)} AND changes LIKE '%{text}%' ORDER BY seq LIMIT 1"
    )
    seq, changes = mesh.raw.execute(query).fetchone()
    head, _, tail = changes.partition(text)
    wrong = head + text + tail.replace('"epoch":1', '"epoch":2', 1)
    mesh.raw.execute(f"UPDATE event SET changes = ? WHERE run = {mesh.run(CHAIN)} AND seq = ?", (wrong, seq))
    assert "accepted" in mesh.found()


def test_a_step_that_was_accepted_twice(mesh: Doctored) -> None:
    mesh.append(CHAIN, step_change("n0", "succeeded", epoch=1))
    assert "accepted" in mesh.found()


def test_an_accepted_attempt_that_was_lost_too(mesh: Doctored) -> None:
    mesh.insert(CHAIN, attempt_change("n0", 1, "lost"), '"step":"n3","state":"succeeded"')
    mesh.sql(f"INSERT INTO attempt (run, step, epoch, state, at) VALUES ({mesh.run(CHAIN)}, 'n0', 1, 'lost', 1.0)")
    assert mesh.found() == {"accepted"}


def test_a_child_that_ran_before_its_parent_was_accepted(mesh: Doctored) -> None:
    mesh.sql(f"UPDATE event SET seq = 1000 - seq WHERE run = {mesh.run(CHAIN)} AND seq > 1")
    assert "parents" in mesh.found()


@pytest.mark.parametrize("state", ["assigned", "succeeded"])
def test_something_assigned_or_accepted_after_a_cancel(mesh: Doctored, state: str) -> None:
    mesh.append(CANCELLED_RUN, step_change("n3", state, epoch=1))
    assert "cancelled" in mesh.found()


def test_a_run_that_nothing_will_move_on(mesh: Doctored) -> None:
    mesh.sql(f"UPDATE run SET state = 'running', ended_at = NULL WHERE key = {mesh.run(BROKEN)}")
    assert "progress" in mesh.found()


def test_a_step_that_waits_without_an_end(mesh: Doctored) -> None:
    mesh.sql(f"UPDATE run SET state = 'running', ended_at = NULL WHERE key = {mesh.run(BROKEN)}")
    mesh.sql(f"UPDATE step SET state = 'parked', wake_at = NULL WHERE run = {mesh.run(BROKEN)}")
    assert "progress" in mesh.found()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE step SET epoch = 7 WHERE id = 'n1'",
        "UPDATE step SET instance = 'another' WHERE id = 'each.1'",
        "UPDATE step SET outputs = NULL WHERE id = 'each.1'",
        "DELETE FROM step WHERE id = 'each.2'",
        "INSERT INTO step (run, id, state, epoch, failures, losses) SELECT run, 'n9', 'succeeded', 1, 0, 0 FROM step LIMIT 1",
        "UPDATE run SET reason = 'because' WHERE state = 'succeeded'",
        "UPDATE run SET outputs = NULL WHERE state = 'succeeded'",
    ],
)  # fmt: skip
def test_tables_that_are_not_what_their_events_say(mesh: Doctored, change: str) -> None:
    assert mesh.sql(change) >= 1
    assert "replay" in mesh.found()


def test_an_output_of_another_attempt(mesh: Doctored) -> None:
    for table, column in (("event", "changes"), ("step", "outputs"), ("run", "outputs")):
        key = "run" if table != "run" else "key"
        mesh.sql(f"UPDATE {table} SET {column} = replace({column}, '/n1/1/', '/n1/2/') WHERE {key} = {mesh.run(CHAIN)}")
    assert mesh.found() == {"visible", "objects"}


@pytest.mark.parametrize(
    "harm",
    [
        lambda objects, key: objects.pop(key),
        lambda objects, key: objects.update({key: (b"other bytes of another length", 0.0)}),
        lambda objects, key: objects.update({key: (objects[key][0][:-1] + b"!", 0.0)}),
        lambda objects, key: objects.update({key: (b"", 0.0)}),
    ],
    ids=["gone", "other", "flipped", "empty"],
)
def test_bytes_that_are_not_those_of_their_reference(mesh: Doctored, harm: Callable[..., object]) -> None:
    harm(mesh.disk.objects, next(key for key in mesh.disk.objects if "/n3/1/" in key))
    assert mesh.found() == {"objects"}


def test_an_effect_that_was_applied_twice(mesh: Doctored) -> None:
    assert mesh.found(effects=("sink/a", "sink/b", "sink/a")) == {"effects"}


def test_more_lost_attempts_than_the_faults_explain(mesh: Doctored) -> None:
    mesh.insert(CHAIN, attempt_change("n0", 9, "lost"), '"step":"n3","state":"succeeded"')
    mesh.sql(f"INSERT INTO attempt (run, step, epoch, state, at) VALUES ({mesh.run(CHAIN)}, 'n0', 9, 'lost', 1.0)")
    assert mesh.found(lost_allowed=1) == set()
    assert mesh.found(lost_allowed=0) == {"retries"}


def test_a_data_folder_is_checked_while_its_server_may_be_writing(mesh: Doctored, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects")
    for key, (data, _) in mesh.disk.objects.items():
        writer = store.create(key)
        writer.write(data)
        writer.commit()
    server = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    mesh.raw.backup(server)
    server.execute("PRAGMA journal_mode=WAL")
    assert check_folder(tmp_path).ok
    server.execute("UPDATE step SET epoch = 7 WHERE id = 'n1'")
    server.execute("BEGIN IMMEDIATE")
    server.execute("DELETE FROM run")  # not committed: nobody sees it
    problems = [str(violation) for violation in check_folder(tmp_path).violations]
    server.execute("ROLLBACK")
    assert problems
    assert all(problem.startswith("replay: run run-") for problem in problems)
    server.close()
    assert [str(violation) for violation in check_folder(tmp_path).violations] == problems


@pytest.mark.parametrize(
    "change", ["UPDATE step SET epoch = 7 WHERE id = 'n1'", "DELETE FROM run WHERE flow = 'chain'"]
)
def test_long_runs_are_read_page_by_page_with_the_same_result(
    mesh: Doctored, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    mesh.sql(change)
    at_once = mesh.report()
    monkeypatch.setattr(reading, "PAGE_ROWS", 3)
    monkeypatch.setattr(reading, "WINDOW_RUNS", 2)
    by_page = mesh.report()
    assert at_once.violations
    assert (by_page.violations, by_page.counts) == (at_once.violations, at_once.counts)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET changes = 'no JSON' WHERE seq = 2",
        'UPDATE event SET changes = replace(changes, \'"change":"step"\', \'"change":"else"\')',
        "UPDATE step SET outputs = '{\"out\": 5}' WHERE id = 'n1'",
        "UPDATE revision SET flow = '{}'",
        "UPDATE run SET shard = shard + 1",
        "UPDATE run SET state = 'odd'",
        "UPDATE run SET permit = '{'",
        "UPDATE run SET rerun = '5'",
        "UPDATE step SET state = 'odd'",
        "DELETE FROM run WHERE state = 'succeeded'",
    ],
)
def test_rows_that_cannot_be_read_or_belong_to_nobody(mesh: Doctored, change: str) -> None:
    assert mesh.sql(change) >= 1
    assert "rows" in mesh.found()


def test_a_step_that_is_not_in_the_flow(mesh: Doctored) -> None:
    mesh.append(CHAIN, step_change("nowhere", "ready"))
    assert "rows" in mesh.found()


def test_a_run_whose_old_events_are_gone_is_checked_by_its_other_rows(mesh: Doctored) -> None:
    mesh.sql(
        f"DELETE FROM event WHERE run = {mesh.run(CHAIN)} AND seq < (SELECT max(seq) FROM event WHERE run = {mesh.run(CHAIN)})"
    )
    report = mesh.report()
    assert (report.violations, report.counts["runs without history"]) == ([], 1)
    mesh.sql(f"UPDATE step SET state = 'running' WHERE run = {mesh.run(CHAIN)} AND id = 'n3'")
    assert mesh.found() == {"terminal"}


def test_data_that_was_given_up_is_not_looked_for(mesh: Doctored) -> None:
    mesh.disk.objects.clear()
    assert mesh.found() == {"objects"}
    mesh.sql("UPDATE run SET data_gone_at = 5.0")
    assert mesh.violations() == []


@pytest.mark.parametrize(
    ("bytes_there", "hashes", "found"),
    [(b"", False, {"objects"}), (b"", True, {"objects"}), (None, False, set()), (None, True, {"objects"})],
)
def test_without_hashes_only_presence_and_length_are_looked_at(
    mesh: Doctored, bytes_there: bytes | None, hashes: bool, found: set[str]
) -> None:
    key = next(key for key in mesh.disk.objects if "/n3/1/" in key)
    other = b"?" * len(mesh.disk.objects[key][0]) if bytes_there is None else bytes_there
    mesh.disk.objects[key] = (other, 0.0)
    assert mesh.found(hashes=hashes) == found


def test_an_attempt_that_its_events_do_not_know(mesh: Doctored) -> None:
    mesh.sql(f"INSERT INTO attempt (run, step, epoch, state, at) VALUES ({mesh.run(CHAIN)}, 'n0', 1, 'stale', 1.0)")
    assert mesh.found() == {"replay"}


def test_no_more_violations_are_kept_than_anybody_reads() -> None:
    report = Report(most=2)
    for number in range(5):
        report.add(Violation("rows", f"{number}"))
    assert (len(report.violations), report.more, report.kinds["rows"], report.ok) == (2, 3, 5, False)


def test_every_invariant_has_a_name_and_a_sentence() -> None:
    said = {
        name
        for path in Path(reading.__file__).parent.glob("*.py")
        for name in re.findall(r'(?:say\(|Violation\(|yield )\s*"([a-z]+)",', path.read_text())
    }
    assert said == set(INVARIANTS)


LETTER = """
INSERT INTO dead_letter (id, run, namespace, flow, step, epoch, module, outcome, rows, reasons, ref, state, at)
SELECT 'one', id, namespace, flow, 'n1', 1, 'sim.work', 'succeeded', 3, '{}', '{"kind":"value","value":1}', 'open', 1.0
FROM run WHERE flow = 'chain'
"""
GONE = '{"kind":"file","name":"x","key":"data/default/r/n1/1/gone","bytes":1,"hash":"xxh3:0"}'


def test_rejected_rows_of_an_attempt_that_has_ended(mesh: Doctored) -> None:
    assert mesh.sql(LETTER) == 1
    report = mesh.report()
    assert (report.violations, report.counts["dead letters"]) == ([], 1)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE dead_letter SET run = 'run-of-nobody'", {"letters"}),
        ("UPDATE dead_letter SET step = 'n9'", {"letters"}),
        ("UPDATE dead_letter SET epoch = 2", {"letters"}),
        ("UPDATE dead_letter SET outcome = 'failed'", {"letters"}),
        ("UPDATE dead_letter SET state = 'redriven'", {"letters"}),
        (f"UPDATE dead_letter SET ref = '{GONE}'", {"objects"}),
        ("UPDATE dead_letter SET ref = '{}'", {"rows"}),
    ],
)
def test_rejected_rows_that_belong_to_nothing_or_are_not_there(mesh: Doctored, change: str, found: set[str]) -> None:
    mesh.sql(LETTER)
    assert mesh.sql(change) == 1
    assert mesh.found() == found
