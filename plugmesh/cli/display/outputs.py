"""What a run came to: its outputs as small tables, or as files in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.text import Text

from plugmesh.cli.api.routes import output_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.transfer import save
from plugmesh.cli.display.console import print_rows
from plugmesh.cli.display.steps import output_text
from plugmesh.cli.display.terminal_text import one_line
from plugmesh.errors import ConfigurationError

PREVIEW_ROWS = 10
_SUFFIX = {"value": ".json", "file": ""}


def ready_outputs(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The outputs of a run that a step has made."""
    return {name: output for name, output in run.get("outputs", {}).items() if output.get("port")}


def show_outputs(session: Session, run: dict[str, Any]) -> None:
    """Print the first rows of each output."""
    for name, output in ready_outputs(run).items():
        session.console.print()
        session.console.print(Text(one_line(f"{name}: {output_text('out', output)}"), style="bold"))
        if output["kind"] == "table" and run.get("data_gone_at") is None:
            _show_rows(session, run["id"], output)


def _show_rows(session: Session, run: str, output: dict[str, Any]) -> None:
    show_page(session, session.client.rows(run, output["step"], output["port"], PREVIEW_ROWS))


def show_page(session: Session, page: dict[str, Any]) -> None:
    """Print a page of rows as a table, and how many there are behind it."""
    print_rows(session.console, [column["name"] for column in page["columns"]], page["rows"])
    left = page.get("matched", page["total"]) - page.get("offset", 0) - len(page["rows"])
    if left > 0:
        session.console.print(Text(f"… and {left:,} more row{'s' if left != 1 else ''}", style="dim"))


def save_outputs(session: Session, run: dict[str, Any], folder: Path, format: str) -> list[Path]:
    """Write each output to a file of its name; returns the files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder {folder} cannot be made: {error.strerror}") from error
    files = []
    for name, output in ready_outputs(run).items():
        target = folder / f"{name}{_suffix(output, format)}"
        path = output_at(run["id"], output["step"], output["port"], "download")
        with session.transferring(target.name) as progress:
            save(session.client, path, target, progress, format=format)
        files.append(target)
        session.say(f"{name}: {target}")
    return files


def _suffix(output: dict[str, Any], format: str) -> str:
    if output["kind"] == "file":
        return Path(output.get("name", "")).suffix
    return _SUFFIX.get(output["kind"], f".{format}")
