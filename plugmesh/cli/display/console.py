"""Printing for people: tables whose cells are plain text, and a console that changes nothing of what it prints."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from plugmesh.cli.display.amounts import decimal_text
from plugmesh.cli.display.terminal_text import brief, one_line
from plugmesh.cli.display.widths import GAP, Need, fit

_PIPE_WIDTH = 200


class PlainTable(Table):
    """A table without lines. It leaves out what a narrow terminal has no room for, and ends no line with blanks."""

    def __init__(self, columns: Sequence[str], right: Sequence[str], whole: Sequence[str], spare: Sequence[str]):
        super().__init__(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
        self._whole = {*right, *whole}
        self._names = list(columns)
        self._spare = [str(self._names.index(name)) for name in spare if name in columns]
        for name in columns:
            self.add_column(
                Text(one_line(name)),
                overflow="fold",
                justify="right" if name in right else "left",
                no_wrap=name in self._whole,
            )

    def left_out(self, width: int) -> list[str]:
        """The names of the columns that there is no room for."""
        widths = self._widths(width)
        return [name for place, name in enumerate(self._names) if str(place) not in widths]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = self._widths(options.max_width)
        shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
        kept = [self.columns[int(place)] for place in widths]
        for column, space in zip(kept, widths.values(), strict=True):
            shown.add_column(
                column.header,
                overflow="ellipsis" if column.no_wrap else column.overflow,
                justify=column.justify,
                no_wrap=column.no_wrap,
                width=space,
            )
        for row in zip(*(column.cells for column in kept), strict=True):
            shown.add_row(*row)
        wide = options.update_width(options.max_width + GAP)  # the last column has its blanks too
        yield from console.render(tight(shown), wide)

    def _widths(self, width: int) -> dict[str, int]:
        """Columns by their place: two of somebody's data may have names that look alike."""
        needs = [
            Need(str(place), _width(column), name in self._whole)
            for place, (name, column) in enumerate(zip(self._names, self.columns, strict=True))
        ]
        return fit(needs, width, self._spare)


def table(*columns: str, right: Sequence[str] = (), whole: Sequence[str] = (), spare: Sequence[str] = ()) -> PlainTable:
    """A plain table. Columns of numbers (`right`) stand to the right; those in `whole` are never folded; where there is
    too little room, those in `spare` are left out, the first ones first."""
    return PlainTable(columns, right, whole, spare)


def print_rows(console: Console, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of somebody's data: numbers to the right, and the names of the columns that there was no room for."""
    numbers = [name for name in names if _is_number(rows, name)]
    made = table(*names, right=numbers, spare=names[:0:-1])
    for row in rows:
        made.add_row(*cells(*(brief(cell_text(row.get(name))) for name in names)))
    console.print(made)
    hidden = made.left_out(console.width)
    if hidden:
        more = f"… and {len(hidden):,} more column{'s' if len(hidden) != 1 else ''}: {', '.join(hidden)}"
        console.print(Text(brief(more), style="dim"))


def _is_number(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    values = [row.get(name) for row in rows if row.get(name) is not None]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def cells(*values: object) -> tuple[RenderableType, ...]:
    """Cells of one line each: nothing in them is markup."""
    return tuple(Text("" if value is None else one_line(str(value))) for value in values)


def make_console(*, stderr: bool = False) -> Console:
    """A console that changes nothing of what it prints; into a pipe, lines are not folded at 80 characters, unless
    COLUMNS says so."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=_PIPE_WIDTH)
    return console


def cut(text: str) -> Text:
    """A cell of one line that ends with an ellipsis where there is no room for all of it."""
    return Text(brief(text), no_wrap=True, overflow="ellipsis")


def facts(lines: Iterable[tuple[str, str]]) -> RenderableType:
    """Labels and what they say, which stays beside its label where it is folded; a label that says nothing is left out."""
    made = Table.grid(padding=(0, GAP, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for label, text in lines:
        if text:
            made.add_row(*cells(label, text))
    return tight(made)


def tight(shown: RenderableType) -> RenderableType:
    """What it shows, in lines that do not end with blanks."""
    return _Tight(shown)


@dataclass(frozen=True, slots=True)
class _Tight:
    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in Segment.split_lines(console.render(self.shown, options)):
            yield from _without_end_blanks(line)
            yield Segment.line()


def cell_text(value: Any) -> str:
    """A JSON value as a cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return decimal_text(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _width(column: Column) -> int:
    return max((cell_len(str(cell)) for cell in (column.header, *column.cells)), default=0)


def _without_end_blanks(line: list[Segment]) -> list[Segment]:
    while line and not line[-1].text.strip():
        line = line[:-1]
    if line:
        last = line[-1]
        line = [*line[:-1], Segment(last.text.rstrip(), last.style, last.control)]
    return line
