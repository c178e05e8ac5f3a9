"""Printing for people: tables whose cells are plain text, and a console that changes nothing of what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from plugmesh.cli.terminal_text import brief, one_line

_PIPE_WIDTH = 200


def table(*columns: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """A plain table. Columns of numbers (`right`) stand to the right; those in `whole` are never folded."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        justify: Literal["right", "left"] = "right" if column in right else "left"
        made.add_column(Text(one_line(column)), overflow="fold", justify=justify, no_wrap=column in {*right, *whole})
    return made


def cells(*values: object) -> tuple[RenderableType, ...]:
    """Cells of one line each: nothing in them is markup."""
    return tuple(Text("" if value is None else one_line(str(value))) for value in values)


def make_console(*, stderr: bool = False) -> Console:
    """A console that changes nothing of what it prints; into a pipe, lines are not folded at 80 characters."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=_PIPE_WIDTH)
    return console


def cut(text: str) -> Text:
    """A cell of one line that ends with an ellipsis where there is no room for all of it."""
    return Text(brief(text), no_wrap=True, overflow="ellipsis")


def facts(lines: Iterable[tuple[str, str]]) -> Table:
    """Labels and what they say, which stays beside its label where it is folded; a label that says nothing is left out."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for label, text in lines:
        if text:
            made.add_row(*cells(label, text))
    return made


def cell_text(value: Any) -> str:
    """A JSON value as a cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
