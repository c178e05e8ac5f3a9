"""Numbers with their units."""

import pytest

from plugmesh.cli.display.amounts import bar, bytes_text, clock, number_text, percent, seconds_text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (12_345_678, "12.3 MB"), (999_999, "1.0 MB"),
     (440_000_000, "440 MB"), (3 * 10**15, "3,000 TB")],
)  # fmt: skip
def test_sizes_have_the_unit_that_fits(number: int | None, text: str) -> None:
    assert bytes_text(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (-5, "0 ms"), (0.0034, "3 ms"), (125.4, "2 min 5 s"), (3 * 3600 + 65, "3 h 1 min"), (90_000 * 3, "3 d 3 h")],
)  # fmt: skip
def test_long_times_are_told_in_two_units(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_bar_without_a_whole_is_no_lie() -> None:
    assert bar(3, None, 4) == "····"
    assert bar(3, 0, 4) == "····"
    assert bar(1, 2, 4) == "██░░"
    assert bar(9, 2, 4) == "████"
    assert percent(-1, 2) == 0


def test_a_time_that_no_calendar_knows_is_a_number() -> None:
    assert clock(1e20) == "1e+20"
    assert clock(None) == ""


def test_numbers_are_as_short_as_they_can_be() -> None:
    assert [number_text(value) for value in (None, 3.0, 1234567, 0.123456789)] == ["", "3", "1,234,567", "0.123457"]
