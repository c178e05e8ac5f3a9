"""Version requirements: what they accept, and which version wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.errors import FlowInvalid
from registry.versions import ANY, choose, fits, parse_reference, parse_requirement, precedence, successor

numbers = st.tuples(*[st.integers(0, 12)] * 3)
versions = numbers.map(lambda parts: ".".join(map(str, parts)))
pre_releases = st.tuples(versions, st.from_regex(r"[0-9A-Za-z-]{1,4}(\.[0-9A-Za-z-]{1,4})?", fullmatch=True)).map(
    "-".join
)


@pytest.mark.parametrize(
    ("requirement", "accepted", "refused"),
    [
        ("1.2.0", ["1.2.0"], ["1.2.1", "1.1.9", "1.2.0-rc.1"]),
        ("1.2.0-rc.1", ["1.2.0-rc.1"], ["1.2.0", "1.2.0-rc.2"]),
        ("^1", ["1.0.0", "1.99.3"], ["0.9.9", "2.0.0", "2.0.0-rc.1", "1.5.0-rc.1"]),
        ("^1.2", ["1.2.0", "1.3.0"], ["1.1.9", "2.0.0"]),
        ("^1.2.3", ["1.2.3", "1.9.0"], ["1.2.2", "2.0.0"]),
        ("^0", ["0.0.1", "0.9.9"], ["1.0.0"]),
        ("^0.2", ["0.2.0", "0.2.9"], ["0.3.0", "0.1.9"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.2.2", "0.3.0"]),
        ("^0.0", ["0.0.0", "0.0.7"], ["0.1.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4", "0.0.2"]),
        ("~1", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("~1.2", ["1.2.0", "1.2.9"], ["1.3.0", "1.1.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
    ],
)
def test_a_requirement_accepts_what_semver_says(requirement: str, accepted: list[str], refused: list[str]) -> None:
    wanted = parse_requirement(requirement)
    assert [version for version in [*accepted, *refused] if fits(wanted, version)] == accepted


def test_a_name_without_a_version_takes_any_release() -> None:
    assert parse_reference("orders.price_total") == ("orders.price_total", ANY)
    assert fits(ANY, "0.0.1")
    assert not fits(ANY, "1.0.0-rc.1")


@pytest.mark.parametrize(
    "text", ["", "Orders", "a..b", "a@", "a@1", "a@1.2", "a@>=1", "a@^1.2.3.4", "a@^1.0.0-rc.1", "a@01.2.0"]
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(FlowInvalid):
        parse_reference(text)


@given(st.lists(versions | pre_releases), st.sampled_from(["^", "~"]), numbers, st.integers(1, 3))
def test_the_choice_is_the_highest_release_that_fits(
    offered: list[str], sign: str, least: tuple[int, ...], given_numbers: int
) -> None:
    wanted = parse_requirement(sign + ".".join(map(str, least[:given_numbers])))
    fitting = [version for version in offered if fits(wanted, version)]
    best = choose(wanted, offered)
    assert (best is None) == (not fitting)
    if best is not None:
        assert best in fitting
        assert "-" not in best
        assert all(precedence(version) <= precedence(best) for version in fitting)


@given(numbers, numbers)
def test_a_caret_range_begins_at_its_version_and_never_crosses_the_first_number_that_is_not_zero(
    least: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    wanted = parse_requirement("^" + ".".join(map(str, least)))
    place = next((index for index, number in enumerate(least) if number), 2)
    expected = other >= least and other[: place + 1] == least[: place + 1]
    assert fits(wanted, ".".join(map(str, other))) == expected


@given(versions, versions)
def test_a_tilde_range_is_part_of_the_caret_range_of_the_same_release(least: str, other: str) -> None:
    if least.startswith("0."):
        return
    if fits(parse_requirement("~" + least), other):
        assert fits(parse_requirement("^" + least), other)


def test_pre_releases_are_ordered_as_semver_says() -> None:
    text = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1"
    assert sorted(sorted(text.split()), key=precedence) == text.split()


@given(versions, st.sets(versions, max_size=8))
def test_a_successor_is_the_newest_version_that_keeps_the_promise(version: str, offered: set[str]) -> None:
    keeping = [one for one in offered if fits(parse_requirement(f"^{version}"), one)]
    assert successor(ANY, version, offered) == max(keeping, key=precedence, default=None)


def test_a_pre_release_promises_nothing() -> None:
    assert successor(ANY, "1.0.0-rc.1", {"1.0.0", "1.1.0"}) is None
