"""`plugmesh doctor --scrub`: whether the data that a mesh keeps is still what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from plugmesh.cli.commands.doctor.places import places_of
from plugmesh.cli.commands.doctor.server_part import server_part
from plugmesh.cli.display.amounts import bytes_text, seconds_text
from plugmesh.cli.display.console import make_console
from plugmesh.cli.display.terminal_text import one_line
from plugmesh.runtime import SystemRuntime

if TYPE_CHECKING:
    from scheduler.scrub import Scrubbed

SHOWN = 50
"""So many damages are shown; with `--json`, all are."""
TODO = (
    "the disk, or somebody, has changed what was written: look at the disk (smartctl, the system's log). `plugmesh rerun "
    "RUN --from STEP` computes the outputs of a step again; upload a file again that is damaged"
)


def scrubbed(data: Path, *, as_json: bool) -> Scrubbed:
    """Read what the mesh of a data folder keeps, there or where its settings say, and show how far it is if somebody looks.
    Raises `NotFound`, `ConfigurationError` and `StateUnavailable` if the database cannot be read."""
    with server_part("data is scrubbed"):
        from scheduler.scrub import scrub_folder, scrub_places  # noqa: PLC0415  a server's part: found inside only
    elsewhere = places_of(data)
    with _progress(hidden=as_json) as progress:
        if elsewhere is None:
            return scrub_folder(data, progress=progress)
        return scrub_places(*elsewhere, SystemRuntime(), progress=progress)


def document(found: Scrubbed, data: Path) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "ok": not found.damages,
        "data": str(data),
        "pieces": found.pieces,
        "bytes": found.bytes,
        "seconds": round(found.seconds, 3),
        "damages": [{**asdict(one.place), "key": one.key, "code": one.code, "text": one.text} for one in found.damages],
        "todo": TODO if found.damages else "",
    }


def shown(found: Scrubbed) -> RenderableType:
    """The report for people."""
    lines = [Text(one_line(f"{one.place}: {one.text}"), style="red") for one in found.damages[:SHOWN]]
    if len(found.damages) > SHOWN:
        lines.append(Text(f"… and {len(found.damages) - SHOWN:,} more: --json"))
    took = seconds_text(found.seconds)
    lines.append(Text(f"read {found.pieces:,} columns and files, {bytes_text(found.bytes)}, in {took}"))
    count = len(found.damages)
    verdict = f"{count:,} damaged" if count else "all data is what was written"
    lines.append(Text(verdict, style="bold red" if count else "bold"))
    return Group(*lines, *([Text(f"→ {TODO}")] if count else []))


@contextmanager
def _progress(*, hidden: bool) -> Iterator[Callable[[int], None]]:
    """A function to tell how many bytes were read: a line on a terminal, nothing elsewhere."""
    console = make_console(stderr=True)
    if hidden or not console.is_terminal:
        yield lambda size: None
        return
    columns = (TextColumn("read {task.fields[read]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, read="")
        yield lambda size: progress.update(task, read=bytes_text(size))
