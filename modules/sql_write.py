"""`sql.write`: a table becomes rows in a database, each of them once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from module_sdk import Columns, Context, FatalError, module
from modules.sql_sqlite import SqliteTarget, folded
from modules.sql_target import OURS, Destination, Effect, Target
from modules.tables import NO_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

FOLDERS = "PLUGMESH_SQL_FOLDERS"
"""Environment variable with the folders in which SQLite files may lie; the server sets it for the built-in modules."""
_BATCH_ROWS, _BATCH_BYTES = 10_000, 4 * 2**20
_SQLITE = "sqlite:///"
_BESIDE = ("-journal", "-wal", "-shm")
"""How files end that belong to a database: SQLite deletes them, or takes them for its own."""


@module(
    "sql.write", version="1.0.0", title="Write to a database", kind="sink", idempotent=True, outputs={"out": "value"}
)
def sql_write(
    rows: pa.RecordBatchReader,
    *,
    ctx: Context,
    url: Annotated[str, Field(min_length=1, max_length=1000, description="The database, as in sqlite:///orders.db.")],
    table: Annotated[str, Field(min_length=1, max_length=200, description="The table that the rows go into.")],
    mode: Annotated[
        Literal["append", "upsert"],
        Field(description="append: all rows are added; upsert: a row replaces the one with the same key."),
    ] = "append",
    key: Annotated[Columns, Field(description="upsert: the columns by which a row is known again.")] = NO_COLUMNS,
    create: Annotated[bool, Field(description="Make the table if it is missing.")] = True,
) -> dict[str, object]:
    """Write a table into a SQLite database.

    Each row is written once, however often the step is tried, or two try at the same time, or its run is run again:
    the table `_plugmesh_effects` in the same database says how many rows of which step are there, and is written in the
    same transaction as they are. Who deletes a line of it lets that step write again. Rows that another run has written
    are not known again: use `upsert` for them.

    A relative path lies in the folder `databases` of the mesh's data folder; the setting `sql_folders` allows others.
    A table that is missing is made with the columns of the input. One that is there must have all of them, and with
    `upsert` a unique index on the key.

    Whole numbers, truth values, floats, text and bytes are what they are (NaN is NULL). Decimals, dates and times are
    text; moments too, as ISO 8601, those with a zone in UTC. Durations are whole numbers of their unit; lists, structs and
    maps are JSON.

    The output has `rows`: how many the input has, `written`: by this attempt, and `skipped`: they were there already.
    """
    _check_name(table)
    if (mode == "upsert") != bool(key):
        raise FatalError("key names the columns by which upsert knows a row again: give both, or none of them")
    to = Destination(table, key if mode == "upsert" else (), create)
    effect = Effect(ctx.sink_key("sql.write", folded(table)), ctx.run, ctx.step)
    with closing(_open(url, to)) as target:
        target.prepare(rows.schema)
        return _write(target, effect, rows, ctx)


def _write(target: Target, effect: Effect, rows: pa.RecordBatchReader, ctx: Context) -> dict[str, object]:
    seen = written = 0
    for batch in rows:
        for part in _parts(batch):
            written += target.apply(effect, seen, part)
            seen += part.num_rows
            ctx.progress(seen, message=f"{written:,} rows written")
    return {"rows": seen, "written": written, "skipped": seen - written}


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces whose rows fit memory as Python objects; each is a transaction."""
    a_row = max(1, batch.nbytes // max(1, batch.num_rows))
    size = max(1, min(_BATCH_ROWS, _BATCH_BYTES // a_row))
    for start in range(0, batch.num_rows, size):
        yield batch.slice(start, size)


def _open(url: str, to: Destination) -> Target:
    scheme, colon, _ = url.partition(":")
    if not url.startswith(_SQLITE):
        shown = f"{scheme}:" if colon else repr(url[:60])  # the rest may have a password in it
        raise FatalError(
            f"url: {shown} is no database that sql.write knows: it writes to SQLite, as in sqlite:///orders.db"
        )
    return SqliteTarget(_allowed(url.removeprefix(_SQLITE), _folders()), to)


def _folders() -> list[Path]:
    folders = [Path(folder) for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    if not folders:
        raise FatalError(
            f"sql.write does not know where it may write: name folders in the environment variable {FOLDERS}, as the server "
            "does for the modules that it starts"
        )
    return folders


def _allowed(name: str, folders: Sequence[Path]) -> Path:
    """The file of a URL. Raises `FatalError` if it is not in one of `folders`, wherever links lead."""
    if not name or not name.isprintable() or name.endswith("/") or "?" in name or name == ":memory:":
        raise FatalError(f"url: {name[:100]!r} is no name of a file: write sqlite:///orders.db")
    try:
        path = (folders[0] / name).resolve()
        inside = any(path.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, RuntimeError) as error:  # too long, or links in a circle
        raise FatalError(f"url: {name[:100]!r} cannot be used: {error}") from None
    if path.name.endswith(_BESIDE):
        raise FatalError(
            f"url: {path.name[:100]!r} is a name that SQLite itself uses beside a database: take another one"
        )
    if inside:
        return path
    raise FatalError(
        f"url: {path} is in none of the folders that sql.write may write to "
        f"({', '.join(map(str, folders))}): name the file alone, or add its folder to the setting sql_folders"
    )


def _check_name(name: str) -> None:
    if not name.isprintable() or name.lower().startswith(("sqlite_", OURS)):
        raise FatalError(
            f"table: {name[:100]!r} cannot be the name of a table: those with sqlite_ and {OURS} are taken"
        )
