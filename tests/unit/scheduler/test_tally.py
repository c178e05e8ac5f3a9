"""What the scheduler adds up of the answers of instances, and of its commits."""

from module_sdk.executor.stats import since
from plugmesh.contracts.messages import AttemptStats, StoreUse
from plugmesh.state.records import Commit, LetterRow, RunUpdate
from scheduler.tally import Tally


def values(tally: Tally) -> dict[str, dict[tuple[str, ...], float]]:
    return {figure.name.removeprefix("plugmesh_"): dict(figure.values) for figure in tally.figures()}


def test_answers_are_added_up_by_module() -> None:
    tally, use = Tally(), StoreUse(requests=3, retries=1, fetched_bytes=70, cache_hits=1, cache_hit_bytes=30)
    stats = AttemptStats(wall_s=0.5, cpu_s=0.25, bytes_read=100, bytes_written=10, store=use)
    tally.saw("a.b", "done", stats)
    tally.saw("a.b", "done", stats)
    tally.saw("a.b", "failed", None)
    tally.saw("c.d", "done", AttemptStats())
    found = values(tally)
    assert found["attempts"] == {("a.b", "done"): 2, ("a.b", "failed"): 1, ("c.d", "done"): 1, ("c.d", "failed"): 0}
    assert found["attempt_seconds"][("a.b",)] == 1.0
    assert found["attempt_cpu_seconds"][("a.b",)] == 0.5
    assert found["attempt_read_bytes"] == {("a.b",): 200, ("c.d",): 0}
    assert found["attempt_written_bytes"][("a.b",)] == 20
    assert found["attempt_object_requests"][("a.b",)] == 6
    assert found["attempt_object_retries"][("a.b",)] == 2
    assert found["attempt_fetched_bytes"][("a.b",)] == 140
    assert found["attempt_cache_hit_bytes"][("a.b",)] == 60


def test_ended_runs_and_dead_letters_are_counted_when_they_are_committed() -> None:
    tally = Tally()
    assert set(values(tally)["engine_runs_ended"].values()) == {0}
    letter = LetterRow("l", "r", "default", "f", "s", 1, "a.b@1.0.0", "succeeded", 7, "{}", "")
    runs = [RunUpdate("r", "failed", None, None, 1.0, 2.0), RunUpdate("q", "running", None, None, 1.0, None)]
    tally.committed(Commit("me", runs=runs, letters=[letter]))
    found = values(tally)
    assert found["engine_runs_ended"][("failed",)] == 1
    assert sum(found["engine_runs_ended"].values()) == 1
    assert (found["dead_letters"][()], found["dead_letter_rows"][()]) == (1, 7)


def test_what_was_asked_meanwhile_is_a_difference() -> None:
    before, now = StoreUse(requests=2, fetched_bytes=10), StoreUse(requests=5, fetched_bytes=30, retries=1)
    assert since(before, now) == StoreUse(requests=3, fetched_bytes=20, retries=1)
    assert since(None, now) is None
