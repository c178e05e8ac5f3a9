"""A quarantined version counts when a version is chosen, and is given to nobody; an older one takes its place if the need
says so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry.versions import parse_reference, precedence, previous
from scheduler.awaited import AWAITED_S, Awaited
from scheduler.durations import Durations
from scheduler.placement import Need, Placement, Seat

versions = st.builds("{}.{}.{}".format, st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
references = st.sampled_from(["m", "m@^1", "m@^1.1", "m@~1.1", "m@^0.1"]) | versions.map("m@{}".format)


def placement(offered: tuple[str, ...], *quarantined: str) -> Placement:
    made = Placement(Durations())
    made.roster([Seat("i-1", 1, 0, {"m": offered})], {("m", version) for version in quarantined})
    return made


def placed(reference: str, offered: tuple[str, ...], *quarantined: str, pinned: str | None = None) -> tuple[str, str]:
    """What a flow gets that waits, and one that goes back."""
    made = placement(offered, *quarantined)
    waits, goes_back = (made.version(Need(reference, pinned, previous=back)) for back in (False, True))
    return waits, goes_back


def test_the_version_that_would_be_chosen_is_waited_for_or_the_one_before_it_is_taken() -> None:
    assert placed("m@^1", ("1.0.0", "1.1.0"), "1.1.0") == ("", "1.0.0")
    assert placed("m@^1", ("1.0.0", "1.1.0", "1.2.0"), "1.1.0") == ("1.2.0", "1.2.0")
    assert placed("m@^1", ("1.0.0", "1.1.0", "1.2.0"), "1.2.0", "1.1.0") == ("", "1.0.0")


def test_a_pinned_run_is_held_to_its_version_or_goes_back_behind_it() -> None:
    assert placed("m@^1", ("1.0.0", "1.1.0", "1.2.0"), "1.1.0", pinned="1.1.0") == ("", "1.0.0")
    assert placed("m@^1", ("1.0.0",), "1.1.0", pinned="1.1.0") == ("", "1.0.0")
    assert placed("m@^1", ("1.0.0", "1.1.0"), "1.1.0", pinned="1.0.0") == ("1.0.0", "1.0.0")


def test_only_what_promises_the_same_and_was_asked_for_comes_in_its_place() -> None:
    assert placed("m", ("1.9.0", "2.0.0"), "2.0.0") == ("", "")
    assert placed("m", ("0.1.0", "0.2.0"), "0.2.0") == ("", "")
    assert placed("m@^1.1", ("1.0.0", "1.1.0"), "1.1.0") == ("", "")
    assert placed("m@1.1.0", ("1.0.0", "1.1.0"), "1.1.0") == ("", "")


def test_what_is_withheld_can_be_told() -> None:
    made = placement(("1.0.0", "1.1.0"), "1.1.0")
    assert made.withheld(Need("m")) == "1.1.0"
    assert made.withheld(Need("m", pinned="1.0.0")) is None
    assert made.withheld(Need("no module")) is None
    assert made.withheld(Need("other")) is None


def test_a_quarantined_version_that_may_come_back_is_waited_for() -> None:
    made = Placement(Durations())
    seats, away = [Seat("i-1", 1, 0, {"m": ("1.0.0",)})], {("m", "1.1.0")}
    made.roster(seats, away, away)
    assert (made.version(Need("m")), made.withheld(Need("m"))) == ("", "1.1.0")
    assert made.version(Need("m", previous=True)) == "1.0.0"
    made.roster(seats, away)
    assert made.version(Need("m")) == "1.0.0"


def test_a_version_is_waited_for_as_long_as_its_instance_may_take_to_come_back() -> None:
    version, awaited = ("m", "1.1.0"), Awaited()
    assert awaited.look({version}, set(), 0.0) == {version}
    assert awaited.look({version}, {version}, 9.0) == {version}
    assert awaited.look({version}, set(), 9.0 + AWAITED_S - 1) == {version}
    assert awaited.look({version}, set(), 9.0 + AWAITED_S) == set()
    assert awaited.look({version}, {version}, 100.0) == {version}
    assert awaited.look(set(), {version}, 100.0) == set()


@given(references, st.sets(versions, min_size=1), st.sets(versions), st.none() | versions, st.booleans())
def test_nobody_gets_a_quarantined_version(reference, offered, quarantined, pinned, back):
    version = placement(tuple(offered), *quarantined).version(Need(reference, pinned, previous=back))
    assert version not in quarantined
    usual = placement(tuple(offered)).version(Need(reference, pinned))
    if version and usual:
        assert precedence(version) <= precedence(usual)
    if usual not in quarantined and pinned not in quarantined:
        assert version == usual


@given(references, versions, st.sets(versions))
def test_what_comes_before_is_older_of_the_same_promise_and_the_newest_of_these(reference, version, offered):
    requirement = parse_reference(reference)[1]
    found = previous(requirement, version, offered)
    compatible = {
        one
        for one in offered
        if precedence(one) < precedence(version) and previous(parse_reference(f"m@{one}")[1], version, [one]) == one
    }
    if found is not None:
        assert found in compatible
        assert found.split(".")[0] == version.split(".")[0]
        assert all(precedence(one) <= precedence(found) for one in compatible if previous(requirement, version, [one]))
