"""What a sweeper decides, for any rows, settings and clock."""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from plugmesh.contracts.flow import Retention
from plugmesh.data.named import named_in
from plugmesh.objects.keys import lender_of
from plugmesh.settings.settings import Settings
from plugmesh.state.file_versions import FileVersion
from plugmesh.state.retention import Kept
from plugmesh.steady_clock import SteadyClock
from scheduler.sweep.decide import NOTHING_DUE, Ages, Due, ages_of, due, oldest_to_go, versions_to_go
from scheduler.sweep.places import is_log, lenders

DAY = 86_400.0
times = st.one_of(st.none(), st.floats(0, 100 * DAY))
ages = st.builds(Ages, *(st.one_of(st.none(), st.floats(1, 50 * DAY)) for _ in range(4)))
kept = st.builds(
    Kept,
    run=st.sampled_from([f"run-{n}" for n in range(20)]),
    key=st.one_of(st.none(), st.integers(1, 100)),
    namespace=st.just("default"),
    flow=st.just("f"),
    ended_at=st.floats(0, 100 * DAY),
    bytes=st.integers(0, 1000),
    data_marked_at=times,
    data_released_at=times,
    logs_marked_at=times,
    logs_released_at=times,
    events_gone_at=times,
    revision=st.none(),
)


def fresh(**changes) -> Kept:
    row = Kept("run-1", 1, "default", "f", 0.0, 10, None, None, None, None, None, None)
    return replace(row, **changes)


def decide(row: Kept, limits: Ages, now: float, *, pinned: bool = False, held: bool = False) -> Due:
    return due(row, limits, now=now, grace_s=300.0, pinned=pinned, held=held)


@given(kept, ages, st.floats(0, 200 * DAY), st.booleans())
def test_nothing_new_ever_happens_to_a_pinned_run(row, limits, now, held):
    assume(row.key is not None)
    found = decide(row, limits, now, pinned=True, held=held)
    assert not (found.mark_data)
    assert not (found.mark_logs)
    assert not (found.drop_events)
    assert not (found.remove)


@given(kept, ages, st.floats(0, 200 * DAY), st.booleans())
def test_data_that_somebody_uses_is_neither_marked_nor_deleted(row, limits, now, pinned):
    found = decide(row, limits, now, pinned=pinned, held=True)
    assert not (found.mark_data)
    assert not (found.release_data)


@given(kept, ages, st.floats(0, 200 * DAY), st.booleans(), st.booleans())
def test_objects_are_deleted_only_when_they_were_marked_for_the_whole_grace(row, limits, now, pinned, held):
    found = decide(row, limits, now, pinned=pinned, held=held)
    if found.release_data:
        assert row.data_marked_at is not None
        assert row.data_marked_at + 300 <= now
    if found.release_logs:
        assert row.logs_marked_at is not None
        assert row.logs_marked_at + 300 <= now


@given(kept, ages, st.floats(0, 200 * DAY), st.booleans(), st.booleans())
def test_a_runs_rows_go_last(row, limits, now, pinned, held):
    if decide(row, limits, now, pinned=pinned, held=held).remove:
        assert row.data_released_at is not None
        assert row.logs_released_at is not None


@given(kept, ages, st.floats(0, 100 * DAY))
def test_what_is_younger_than_its_age_stays(row, limits, now):
    assume(row.key is not None)
    youngest = min((age for age in (limits.runs_s, limits.data_s, limits.logs_s, limits.events_s) if age), default=1e99)
    assume(now < row.ended_at + youngest)
    found = decide(row, limits, now)
    assert not (found.mark_data)
    assert not (found.mark_logs)
    assert not (found.drop_events)
    assert not (found.remove)


def test_a_run_goes_in_steps_marked_deleted_removed():
    limits = ages_of(Settings(), None)
    row = fresh()
    assert decide(row, limits, 29 * DAY) == NOTHING_DUE
    now = 30 * DAY
    assert decide(row, limits, now) == Due(mark_data=True, mark_logs=True, drop_events=True)
    row = replace(row, data_marked_at=now, logs_marked_at=now, events_gone_at=now)
    assert decide(row, limits, now + 299) == NOTHING_DUE
    assert decide(row, limits, now + 300) == Due(release_data=True, release_logs=True)
    row = replace(row, data_released_at=now + 300, logs_released_at=now + 300)
    assert decide(row, limits, now + 300) == Due(remove=True)


def test_a_flow_may_keep_longer_or_shorter_and_the_runs_end_ends_all():
    assert ages_of(Settings(), Retention(data_s=5.0)).data_s == 5.0
    assert ages_of(Settings(), Retention(runs_s=90 * DAY)) == Ages(90 * DAY, 30 * DAY, 30 * DAY, 30 * DAY)
    assert ages_of(Settings(), Retention(runs_s=DAY)) == Ages(DAY, DAY, DAY, DAY)
    assert ages_of(Settings(retention_runs_s=None), Retention(logs_s=9.0)) == Ages(None, 30 * DAY, 9.0, 30 * DAY)


@given(
    st.lists(kept, unique_by=lambda row: row.run), st.integers(0, 5000), st.sets(st.sampled_from(["run-1", "run-2"]))
)
def test_for_room_the_oldest_go_first_and_no_more_than_needed(rows, excess, protected):
    rows.sort(key=lambda row: row.ended_at)
    chosen = oldest_to_go(rows, excess, protected)
    free = [row for row in rows if row.run not in protected and row.bytes and row.data_marked_at is None]
    assert chosen == free[: len(chosen)]
    if chosen:
        assert sum(row.bytes for row in chosen[:-1]) < excess
    assert sum(row.bytes for row in chosen) >= min(excess, sum(row.bytes for row in free))


def test_logs_go_for_room_by_their_own_size():
    rows = [fresh(run=f"run-{n}", bytes=1000, log_bytes=n) for n in range(4)]
    assert [row.run for row in oldest_to_go(rows, 3, {"run-1"}, "logs")] == ["run-2", "run-3"]
    marked = [replace(row, logs_marked_at=1.0) for row in rows]
    assert oldest_to_go(marked, 3, set(), "logs") == []


def test_versions_that_are_used_are_passed_over_for_room():
    versions = [FileVersion(n, f"files/d/{n}", 10, 0.0, None) for n in range(4)]
    assert versions_to_go(versions, 11, {"files/d/1"}) == [versions[0], versions[2]]
    assert versions_to_go(versions, 0, set()) == []


def test_whose_an_object_is():
    assert lender_of("data/default/run-1/step.3/1/n-out") == "run-1"
    assert lender_of("files/default/file-7") == "files/default/file-7"
    assert lenders({"data/d/run-1/a/1/x", "data/d/run-2/a/1/x"}, but="run-1") == {"run-2"}
    assert is_log("data/d/r/s/1/n-log.jsonl")
    assert not is_log("data/d/r/s/1/n-log")


def test_every_key_in_a_text_is_found_and_spilled_ones_are_known():
    text = (
        '{"out":{"kind":"table","fragments":[{"groups":[{"key":"data/d/r1/s/1/x"}]}]},'
        '"big":{"kind":"spilled","key":"data/d/r2/s/1/y"},"f":{"kind":"file","key":"files/d/file-1"}}'
    )
    named = named_in(text, None)
    assert named.keys == {"data/d/r1/s/1/x", "data/d/r2/s/1/y", "files/d/file-1"}
    assert named.spilled == {"data/d/r2/s/1/y"}


class Clocks:
    """A runtime's two clocks, set by hand."""

    def __init__(self) -> None:
        self.at, self.mono = 1_000_000.0, 50.0

    def wall(self) -> float:
        return self.at

    def now(self) -> float:
        return self.mono


def test_a_clock_that_jumps_ahead_makes_nothing_old():
    clocks = Clocks()
    clock = SteadyClock(clocks)  # type: ignore[arg-type]
    clocks.at, clocks.mono = clocks.at + 365 * DAY, clocks.mono + 60
    assert clock.now() == 1_000_060.0
    clocks.at = 900_000.0
    assert clock.now() == 900_000.0
