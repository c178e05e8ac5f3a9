"""Runs and steps in words."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from plugmesh.cli.api.session import problem_line
from plugmesh.cli.display.step_view import step_view
from plugmesh.cli.display.steps import duration, failed_steps, output_text, result, run_line, waiting_lines


@pytest.mark.parametrize(
    ("end", "text"),
    [(0.0, "0 ms"), (0.25, "250 ms"), (3.21, "3.2 s"), (119.0, "119.0 s"), (125.4, "2 min 5 s"), (None, "")],
)
def test_durations_have_the_unit_that_fits(end: float | None, text: str) -> None:
    assert duration(0.0, end) == text


def test_a_clock_that_went_back_gives_no_negative_duration() -> None:
    assert duration(5.0, 4.0) == "0 ms"


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"kind": "table", "rows": 336776, "bytes": 5}, "336,776 rows"),
        ({"kind": "file", "name": "a.csv", "bytes": 1200}, "a.csv, 1,200 bytes"),
        ({"kind": "value", "value": 3}, "3"),
    ],
)
def test_an_output_is_shown_by_what_it_is(output: dict[str, object], text: str) -> None:
    assert output_text("out", output) == text
    assert output_text("other", output) == f"other: {text}"


def test_a_failed_step_shows_its_error_and_the_place_in_the_file() -> None:
    step = {"error": {"type": "ValueError", "message": "no", "where": "shop.py:7"}, "outputs": {}}
    assert result(step) == "ValueError: no (at shop.py:7)"


def waits(
    state: str, reason: str, step: str | None = None, steps: int = 1, until: float | None = None
) -> dict[str, Any]:
    return {"state": state, "reason": reason, "step": step, "steps": steps if step else 0, "until": until}


def test_an_open_run_says_what_it_waits_for() -> None:
    found = [
        waits("parked", "nobody serves x.y", "b"),
        waits("waiting", "try 2 of 3", "each.3", steps=40),
        waits("running", "at work", "c"),
    ]
    assert waiting_lines({"id": "run-1", "reason": None, "waits_for": found}) == [
        "b is parked: nobody serves x.y",
        "each.3 and 39 more are waiting: try 2 of 3",
    ]


def test_a_paused_or_queued_run_says_why_and_until_when() -> None:
    run = {"id": "run-1", "reason": "paused by local", "waits_for": [waits("paused", "paused by local", until=0.0)]}
    (line,) = waiting_lines(run)
    assert line.startswith("run-1 is paused: paused by local (until 19")


def test_what_only_lasts_a_moment_is_not_told() -> None:
    assert waiting_lines({"id": "run-1", "reason": None, "waits_for": [waits("queued", "a scheduler")]}) == []


def test_a_run_is_one_line() -> None:
    run = {"id": "run-1", "state": "failed", "reason": "step 'a': no", "started_at": 1.0, "ended_at": 3.0}
    assert run_line(run) == "run-1 failed after 2.0 s: step 'a': no"


def test_a_problem_reads_as_compilers_write_them() -> None:
    problem = {"line": 3, "column": 9, "severity": "error", "message": "no such node", "hint": "did you mean 'read'?"}
    assert problem_line(problem, "f.yaml") == "f.yaml:3:9: error: no such node (did you mean 'read'?)"
    assert problem_line({"where": "inputs.a", "message": "missing"}, "f.yaml") == "inputs.a: missing"


def test_one_row_is_not_rows() -> None:
    assert output_text("out", {"kind": "table", "rows": 1}) == "1 row"


def test_a_run_that_failed_by_its_steps_names_them() -> None:
    steps = [{"id": "a", "state": "failed"}, {"id": "b", "state": "cancelled"}]
    assert failed_steps({"state": "failed", "steps": steps}) == ["a"]
    assert failed_steps({"state": "timed_out", "steps": steps}) == [], "then the run has a reason of its own"


def test_a_step_says_how_many_rows_it_passed_on_and_left_out() -> None:
    stats = {"rows_in": 9, "rows_out": 8, "rows_passed": 7, "rows_failed": 1, "read": {}, "wall_s": 1.0}
    out = StringIO()
    Console(width=120, file=out).print(
        step_view({"id": "a", "run": "r-1", "module": "m.m", "state": "succeeded", "stats": stats})
    )
    assert "9 → 8, 7 of them passed on, 1 row could not be used" in out.getvalue()
