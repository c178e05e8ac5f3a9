"""A text Gantt of a run: one line a step, or one for many where there are too many. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from plugmesh.cli.display.amounts import seconds_text
from plugmesh.cli.display.terminal_text import one_line

MOST_LINES = 40
MARKS = {"running": "█", "assigned": "▒", "ready": "░", "waiting": "·", "parked": "·"}
"""How a state is drawn; where several fall on one character, the first of them in this order."""
LEGEND = "█ running  ▒ assigned  ░ queued  · waiting"
DENSITY = "▁▂▃▄▅▆▇█"
FOLDED_LEGEND = "steps at work at a time: ▁ few  █ most"
_TIME_WIDTH = 11
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a label, the bar, how long it took, and the state that gives the colour."""

    label: str
    bar: str
    took: str
    state: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From Unix seconds to characters."""

    start: float
    end: float
    width: int

    def column(self, at: float) -> int:
        """The character that a moment falls on."""
        part = (at - self.start) / max(self.end - self.start, 1e-9)
        return min(max(int(part * self.width), 0), self.width - 1)


@dataclass(slots=True)
class _Row:
    """The spans of one or more steps."""

    label: str
    spans: list[Mapping[str, Any]] = field(default_factory=list)
    steps: int = 0
    state: str = ""

    def add(self, step: Mapping[str, Any]) -> None:
        self.spans += step["spans"]
        self.steps += 1
        last = str(step["spans"][-1]["state"]) if step["spans"] else ""
        self.state = last if self.state in {"", last} else _worse(self.state, last)


def draw(
    run: Mapping[str, Any], steps: Iterable[Mapping[str, Any]], width: int, now: float, most: int = MOST_LINES
) -> list[Line]:
    """The lines of a run's timeline in `width` characters; the first one is the axis."""
    found = [step for step in steps if step.get("spans")]
    found.sort(key=lambda step: (step["spans"][0]["from"], step["id"]))
    rows, folded = _rows(found, most)
    start = float(run.get("submitted_at") or now)
    end = max([float(run.get("ended_at") or now), start, *(_end(span, start) for row in rows for span in row.spans)])
    label_width = max([len("STEP"), *(min(len(row.label), width // 3) for row in rows)])
    scale = Scale(start, end, max(10, width - label_width - len(_GAP) - _TIME_WIDTH))
    lines = [Line(_fit("STEP", label_width), _axis(scale), "", "")]
    for row in rows:
        bar = _density(row.spans, scale) if folded else _marks(row.spans, scale)
        lines.append(Line(_fit(row.label, label_width), bar, _took(row.spans, scale), row.state))
    return lines


def is_folded(steps: Sequence[Mapping[str, Any]], most: int = MOST_LINES) -> bool:
    """Whether a line stands for several steps."""
    return sum(bool(step.get("spans")) for step in steps) > most


def text_of(line: Line) -> str:
    """A line as it is printed."""
    return f"{line.label}{_GAP}{line.bar} {line.took}".rstrip()


def _rows(steps: list[Mapping[str, Any]], most: int) -> tuple[list[_Row], bool]:
    if len(steps) <= most:
        return _grouped(steps, lambda index, step: one_line(step["id"])), False
    by_node = _grouped(steps, lambda index, step: _node(step["id"]))
    if len(by_node) > most:
        size = -(-len(steps) // most)
        first = [one_line(step["id"]) for step in steps[::size]]
        by_node = _grouped(steps, lambda index, step: f"{first[index // size]} …")
    for row in by_node:
        row.label += f" ({row.steps:,})" if row.steps > 1 else ""
    return by_node, True


def _grouped(steps: list[Mapping[str, Any]], label: Any) -> list[_Row]:
    rows: dict[str, _Row] = {}
    for index, step in enumerate(steps):
        name = label(index, step)
        rows.setdefault(name, _Row(name)).add(step)
    return list(rows.values())


def _node(step: str) -> str:
    name, _, last = one_line(step).rpartition(".")
    return name if name and last.isdecimal() else one_line(step)


def _marks(spans: Sequence[Mapping[str, Any]], scale: Scale) -> str:
    cells = [" "] * scale.width
    for state in reversed(MARKS):
        for span in spans:
            if span["state"] == state:
                first, last = _columns(span, scale)
                cells[first : last + 1] = MARKS[state] * (last + 1 - first)
    return "".join(cells)


def _density(spans: Sequence[Mapping[str, Any]], scale: Scale) -> str:
    changes = [0] * (scale.width + 1)
    for span in spans:
        if span["state"] in {"running", "assigned"}:
            first, last = _columns(span, scale)
            changes[first] += 1
            changes[last + 1] -= 1
    counts = list(accumulate(changes))[: scale.width]
    most = max(counts, default=0)
    return "".join(" " if not count else DENSITY[(len(DENSITY) - 1) * count // most] for count in counts)


def _columns(span: Mapping[str, Any], scale: Scale) -> tuple[int, int]:
    first, end = scale.column(span["from"]), _end(span, scale.end)
    last = scale.column(end)
    # A span that ends where a character begins does not touch that character.
    whole = (end - scale.start) / max(scale.end - scale.start, 1e-9) * scale.width
    return first, max(first, last - (whole == last))


def _end(span: Mapping[str, Any], otherwise: float) -> float:
    return float(span["to"]) if span.get("to") is not None else otherwise


def _took(spans: Sequence[Mapping[str, Any]], scale: Scale) -> str:
    work = [span for span in spans if span["state"] in {"running", "assigned"}]
    if not work:
        return ""
    return seconds_text(max(_end(span, scale.end) for span in work) - min(span["from"] for span in work))


def _axis(scale: Scale) -> str:
    end = seconds_text(scale.end - scale.start)
    return f"0{end:>{scale.width - 1}}"


def _fit(label: str, width: int) -> str:
    return f"{label:<{width}}" if len(label) <= width else f"{label[: width - 1]}…"


def _worse(one: str, other: str) -> str:
    order = ("failed", "timed_out", "cancelled", "running", "assigned", "ready", "parked", "waiting")
    return next((state for state in order if state in {one, other}), one)
