"""`plugmesh doctor --invariants`: whether what must hold of every mesh holds of the one in a data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from plugmesh.cli.commands.doctor.places import places_of
from plugmesh.cli.commands.doctor.server_part import server_part
from plugmesh.cli.display.amounts import bytes_text
from plugmesh.cli.display.console import make_console, tight
from plugmesh.cli.display.terminal_text import one_line
from plugmesh.runtime import SystemRuntime

if TYPE_CHECKING:
    from scheduler.invariants.violation import Report, Violation

SHOWN = 20
"""So many violations of one invariant are shown; with `--json`, all are."""
ELSEWHERE = frozenset({"submitted", "effects"})
"""What only somebody who kept receipts, or who looks into a sink, can check."""
_WORDS = {
    "runs": ("run", "runs"),
    "events": ("event", "events"),
    "steps": ("step", "steps"),
    "attempts without a result": ("attempt without a result", "attempts without a result"),
    "permits": ("permit", "permits"),
    "dead letters": ("dead letter", "dead letters"),
    "objects": ("piece of data", "pieces of data"),
}


def checked(data: Path, *, hashes: bool, as_json: bool) -> Report:
    """Check the mesh of a data folder, or where its settings say that rows and objects are; shows how far it is if somebody
    looks. Raises `NotFound`, `ConfigurationError` and `StateUnavailable` if the database cannot be read."""
    with server_part("the invariants are checked"):
        from scheduler.invariants.folder import check_folder  # noqa: PLC0415  a server's part: found inside only
        from scheduler.invariants.places import check_places  # noqa: PLC0415  as above
    elsewhere = places_of(data)
    with _progress(hidden=as_json) as progress:
        if elsewhere is None:
            return check_folder(data, hashes=hashes, progress=progress)
        return check_places(*elsewhere, SystemRuntime(), hashes=hashes, progress=progress)


def says() -> Mapping[str, str]:
    """What each invariant that can be checked here says."""
    with server_part("the invariants are told"):
        from scheduler.invariants.names import INVARIANTS  # noqa: PLC0415  as above

    return {name: text for name, text in INVARIANTS.items() if name not in ELSEWHERE}


def document(report: Report, data: Path) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "ok": report.ok,
        "data": str(data),
        "checked": dict(report.counts),
        "invariants": [{"name": name, "says": text, "violations": report.kinds[name]} for name, text in says().items()],
        "violations": [asdict(violation) for violation in report.violations],
        "more": report.more,
        "todo": "" if report.ok else todo(data),
    }


def shown(report: Report, data: Path, *, hashes: bool) -> RenderableType:
    """The report for people."""
    made = Table.grid(padding=(0, 2, 0, 0))
    for is_last in (False, False, True):
        made.add_column(no_wrap=not is_last, overflow="fold")
    for name, text in says().items():
        wrong = report.kinds[name]
        mark = Text("VIOLATED", style="bold red") if wrong else Text("ok", style="green")
        made.add_row(mark, Text(name, style="bold"), Text(text))
        for line in _lines(report, name):
            made.add_row("", "", Text(one_line(line), style="red"))
    count = sum(report.kinds.values())
    verdict = f"{count:,} violation{'s' if count != 1 else ''}" if count else "every invariant holds"
    end = [Text(f"→ {todo(data)}")] if count else []
    checked_text = Text(one_line(f"checked: {counted(report, hashes=hashes)}"))
    return Group(tight(made), Text(), checked_text, Text(verdict, style="bold red" if count else "bold"), *end)


def counted(report: Report, *, hashes: bool) -> str:
    """How much was looked at, in words."""
    counts = report.counts
    parts = [f"{counts[name]:,} {words[counts[name] != 1]}" for name, words in _WORDS.items()]
    if counts["runs without history"]:
        parts[0] += f" (of {counts['runs without history']:,} the events are gone)"
    read = "all read and hashed" if hashes else "its length; --hashes reads it"
    return f"{', '.join(parts)} ({bytes_text(counts['bytes'])}: {read})"


def todo(data: Path) -> str:
    """What to do about a violation."""
    return (
        "this must never happen, and is no fault of yours: report it as a bug, with what `plugmesh doctor --invariants "
        f"--json --data {data}` prints and, unless others must not see its params, a copy of its database. "
        "Other runs go on; `plugmesh rerun RUN` does a run again that came to harm"
    )


def _lines(report: Report, name: str) -> Iterator[str]:
    found = [violation for violation in report.violations if violation.invariant == name]
    yield from (_line(violation) for violation in found[:SHOWN])
    if report.kinds[name] > SHOWN:
        yield f"… and {report.kinds[name] - SHOWN:,} more: --json"


def _line(violation: Violation) -> str:
    where = [f"run {violation.run}"] if violation.run else []
    where += [f"step {violation.step}"] if violation.step else []
    return f"{', '.join(where)}: {violation.text}" if where else violation.text


@contextmanager
def _progress(*, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """A function to tell how many runs of how many were looked at: a bar on a terminal, nothing elsewhere."""
    console = make_console(stderr=True)
    if hidden or not console.is_terminal:
        yield lambda done, whole: None
        return
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, whole: progress.update(task, completed=done, total=whole)
