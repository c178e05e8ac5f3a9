"""The text Gantt."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.cli.display.timeline import draw, text_of

RUN = {"submitted_at": 100.0, "ended_at": 110.0}


def step(name: str, *spans: tuple[str, float, float | None]) -> dict[str, Any]:
    return {"id": name, "spans": [{"state": state, "from": start, "to": end} for state, start, end in spans]}


def test_a_span_is_drawn_where_it_was() -> None:
    lines = draw(
        RUN, [step("a", ("ready", 100, 105), ("running", 105, 110)), step("b", ("running", 109, None))], 80, 110
    )
    width = len(lines[0].bar)
    assert lines[1].bar == "░" * (width // 2) + "█" * (width - width // 2)
    assert lines[2].bar.strip() == "█" * len(lines[2].bar.strip())
    assert lines[2].bar.endswith("█")
    assert lines[1].took == "5.0 s"


def test_the_axis_says_how_long_it_all_took() -> None:
    assert draw(RUN, [step("a", ("running", 100, 110))], 80, 110)[0].bar.endswith("10.0 s")


def test_a_short_span_is_never_lost() -> None:
    lines = draw(
        RUN, [step("a", ("waiting", 100, 104), ("running", 104, 104.0001), ("waiting", 104.0001, 110))], 80, 110
    )
    assert lines[1].bar.count("█") == 1


def test_elements_of_mapped_nodes_are_folded_when_there_are_too_many() -> None:
    steps = [step(f"each.{n}", ("running", 100 + n % 10, 101 + n % 10)) for n in range(10_000)]
    lines = draw(RUN, [*steps, step("last", ("running", 109, 110))], 80, 110)
    assert [line.label.strip() for line in lines] == ["STEP", "each (10,000)", "last"]
    assert set(lines[1].bar) <= set("▁▂▃▄▅▆▇█")


def test_ten_thousand_different_nodes_are_folded_too() -> None:
    steps = [step(f"node{n}", ("running", 100 + n / 1000, 110)) for n in range(10_000)]
    lines = draw(RUN, steps, 100, 110)
    assert len(lines) <= 41
    assert "…" in lines[1].label


def test_a_name_from_the_mesh_cannot_draw() -> None:
    assert "\x1b" not in text_of(draw(RUN, [step("a\x1b[2Jb", ("running", 100, 110))], 80, 110)[1])


def test_nothing_that_happened_is_an_axis_alone() -> None:
    assert len(draw({"submitted_at": 5.0, "ended_at": None}, [], 80, 6.0)) == 1


moments = st.floats(90, 120, allow_nan=False)
spans = st.tuples(
    st.sampled_from(["ready", "assigned", "running", "waiting", "parked", "odd"]), moments, moments | st.none()
)


@pytest.mark.parametrize("width", [20, 80, 140])
@given(steps=st.lists(st.tuples(st.text(max_size=30), st.lists(spans, max_size=4)), max_size=60))
def test_every_line_fits_whatever_the_clocks_say(width: int, steps: list[Any]) -> None:
    for line in draw(RUN, [step(name, *found) for name, found in steps], width, 105.0):
        assert len(text_of(line)) <= max(width, 40)
