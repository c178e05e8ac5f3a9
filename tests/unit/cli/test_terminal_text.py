"""What a module says cannot take a terminal over."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from plugmesh.cli.api.session import Session
from plugmesh.cli.display.console import cells, table
from plugmesh.cli.display.steps import steps_table
from plugmesh.cli.display.terminal_text import REASON_CHARACTERS, brief, one_line, plain

NASTY = "no\x00\x1b]0;owned\x07\x9b2J\r[red]x[/red]\x7f\u202e\ud800"
UNSAFE = "\x00\x1b\x07\x9b\r\x7f\u202e\ud800"


@given(st.text(st.characters(exclude_categories=())))
def test_no_control_character_is_left_but_lines_and_tabs(text: str) -> None:
    shown = plain(text)
    assert not set(shown) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}
    shown.encode()


@given(st.text(st.characters(exclude_categories=())))
def test_one_line_is_one_line(text: str) -> None:
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert "\t" not in shown
    assert len(brief(text)) <= REASON_CHARACTERS


@pytest.mark.parametrize("text", ["", "ordinary, 日本 👩‍💻", "two\nlines\tand a tab"])
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_lines_are_joined_by_a_space() -> None:
    assert one_line("no such column\n  have: a\r\n\n  want: b") == "no such column have: a want: b"


def test_a_long_text_ends_in_an_ellipsis() -> None:
    assert brief("x" * 5000) == "x" * (REASON_CHARACTERS - 1) + "…"


def test_nothing_unsafe_reaches_the_terminal_and_nothing_is_markup(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session("http://127.0.0.1:1", as_json=False)
    session.say(NASTY)
    session.warn(NASTY)
    made = table(NASTY)
    made.add_row(*cells(NASTY))
    session.console.print(made)
    error = {"type": "ValueError", "message": NASTY}
    session.console.print(steps_table([{"id": "a", "state": NASTY, "error": error}]))
    said = capsys.readouterr()
    assert not set(said.out + said.err) & set(UNSAFE)
    assert said.out.count("[red]x[/red]") == 5


def test_a_step_is_one_row_however_long_its_error() -> None:
    error = {"type": "ValueError", "message": "why\n" * 1000}
    out = io.StringIO()
    Console(file=out, width=400, markup=False).print(steps_table([{"id": "a", "state": "failed", "error": error}]))
    assert len(out.getvalue().splitlines()) == 2
