"""`plugmesh data …`: what the steps of a run made, and what all data takes up."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from plugmesh.cli.api.routes import output_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.transfer import STDOUT, pour, save
from plugmesh.cli.arguments import HERE, OUT, AsJson, PortName, RunId, StepId, Url, Yes
from plugmesh.cli.display.amounts import bytes_text, number_text, rows_text
from plugmesh.cli.display.console import cell_text, cells, cut, table
from plugmesh.cli.display.kept import show_swept, show_usage
from plugmesh.cli.display.outputs import show_page
from plugmesh.cli.display.terminal_text import brief
from plugmesh.cli.root import group

_BARS = "▁▂▃▄▅▆▇█"
_TOP_SHOWN = 5

Columns = Annotated[str | None, typer.Option(metavar="A,B", help="Only these columns.")]


class DataFormat(StrEnum):
    """Formats of a downloaded table."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    ARROW = "arrow"
    XLSX = "xlsx"


def data_app() -> typer.Typer:
    """The commands about data."""
    app = group("data", "Look at what steps made, and at what it takes up.")
    for command in (rows, schema, stats, download, gc):
        app.command()(command)
    app.command("ls")(usage)
    return app


def rows(
    run: RunId,
    step: StepId,
    port: PortName = OUT,
    *,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="So many rows.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many rows first.")] = 0,
    columns: Columns = None,
    sort: Annotated[str | None, typer.Option(metavar="A,-B", help="Sorted by these; - in front: downwards.")] = None,
    filter: Annotated[str | None, typer.Option(metavar="EXPRESSION", help="Only rows like `price > 5`.")] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Show rows of an output."""
    with Session(url, as_json) as session:
        path = output_at(run, step, port, "rows")
        page = session.client.get(path, limit=limit, offset=offset, columns=columns, sort=sort, filter=filter)
        session.answer(page, lambda: _show_rows(session, page))


def schema(run: RunId, step: StepId, port: PortName = OUT, as_json: AsJson = False, url: Url = HERE) -> None:
    """Show the columns of an output and their types."""
    with Session(url, as_json) as session:
        found = session.client.get(output_at(run, step, port, "schema"))
        session.answer(found, lambda: _show_schema(session, found))


def stats(
    run: RunId,
    step: StepId,
    port: PortName = OUT,
    *,
    columns: Columns = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Show figures of each column: nulls, different values, least, greatest, mean, how the values are spread."""
    with Session(url, as_json) as session:
        found = session.client.get(output_at(run, step, port, "stats"), columns=columns)
        session.answer(found, lambda: _show_stats(session, found))


def download(
    run: RunId,
    step: StepId,
    port: PortName = OUT,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write to this file; -: to stdout. [default: RUN-STEP-PORT.FORMAT]"
        ),
    ] = None,
    format: Annotated[
        DataFormat | None, typer.Option(help="Format of a table. [default: by the file's ending, else parquet]")
    ] = None,
    columns: Columns = None,
    keep_formulas: Annotated[
        bool,
        typer.Option("--keep-formulas", help="CSV, Excel: leave texts like =A1 as they are; a program may run them."),
    ] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Save a whole output: a table in any format, a file as it is, a value as JSON."""
    with Session(url, as_json) as session:
        ending = out.suffix.removeprefix(".") if out is not None else ""
        kind = format.value if format else ending if ending in set(DataFormat) else DataFormat.PARQUET.value
        target = out or Path(f"{run}-{step}-{port}.{kind}".replace("/", "_"))
        query = {"format": kind, "columns": columns, "formulas": "keep" if keep_formulas else None}
        if target == STDOUT:
            pour(session.client, output_at(run, step, port, "download"), **query)
            return
        with session.transferring(target.name) as progress:
            save(session.client, output_at(run, step, port, "download"), target, progress, **query)
        size = target.stat().st_size
        session.answer({"file": str(target), "bytes": size}, lambda: session.say(f"{target}: {bytes_text(size)}"))


def usage(as_json: AsJson = False, url: Url = HERE) -> None:
    """Show how much is kept, of what, and what holds it."""
    with Session(url, as_json) as session:
        found = session.client.get("/data/usage")
        session.answer(found, lambda: show_usage(session, found))


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Remove now what retention no longer keeps, instead of waiting for the sweeper's next round."""
    with Session(url, as_json) as session:
        if not dry_run:
            session.confirm("Remove what retention no longer keeps? `--dry-run` shows what that is.", yes)
        found = session.client.send("POST", "/data/gc", {"dry_run": dry_run})
        session.answer(found, lambda: show_swept(session, found))


def _show_rows(session: Session, page: dict[str, Any]) -> None:
    show_page(session, page)
    total, matched = page["total"], page.get("matched", page["total"])
    of = f"{matched:,} of {rows_text(total)} match" if matched != total else rows_text(total)
    session.say(of + ("; the answer would have been too long: ask for fewer columns" if page.get("truncated") else ""))


def _show_schema(session: Session, found: dict[str, Any]) -> None:
    session.say(f"{rows_text(found['rows'])}, {bytes_text(found['bytes'])}")
    made = table("COLUMN", "TYPE", "NULLS")
    for column in found["columns"]:
        made.add_row(*cells(column["name"], column["type"], "possible" if column.get("nullable", True) else "never"))
    session.console.print(made)


def _show_stats(session: Session, found: dict[str, Any]) -> None:
    names = ("COLUMN", "TYPE", "NULLS", "DIFFERENT", "LEAST", "GREATEST", "MEAN", "VALUES")
    made = table(*names, right=("NULLS", "DIFFERENT", "MEAN"), spare=("DIFFERENT", "TYPE", "MEAN", "VALUES"))
    for column in columns_of(found):
        distinct = column.get("distinct")
        made.add_row(
            *cells(column["name"], column["type"], f"{column.get('nulls', 0):,}"),
            Text("" if distinct is None else f"{distinct:,}"),
            *cells(_short(column.get("min")), _short(column.get("max")), _short(column.get("mean"))),
            cut(spread(column)),
        )
    session.console.print(made)


def columns_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The columns of an answer with figures: a list, or an object by name."""
    columns = found["columns"]
    return columns if isinstance(columns, list) else [{"name": name, **column} for name, column in columns.items()]


def spread(column: dict[str, Any]) -> str:
    """How the values are spread: a histogram as small bars, or the most frequent values."""
    histogram = column.get("histogram")
    if histogram:
        most = max(part["count"] for part in histogram) or 1
        return "".join(
            "·" if not part["count"] else _BARS[(len(_BARS) - 1) * part["count"] // most] for part in histogram
        )
    top = column.get("top") or []
    return brief(", ".join(f"{cell_text(part['value'])} ({part['count']:,})" for part in top[:_TOP_SHOWN]))


def _short(value: Any) -> str:
    if value is None:
        return ""
    return (
        number_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else brief(cell_text(value))
    )
