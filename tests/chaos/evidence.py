"""What can be seen from outside when all is over: runs as the API shows them, and the effects in the sink's table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.shapes import SUCCEEDED
from tests.chaos.wire import ask

_PAGE = 500
OPEN = "queued,running,cancelling,paused"


@dataclass(frozen=True, slots=True)
class Seen:
    """A run at the end. `order` is its label; `rows` are the numbers of its output, if it has succeeded."""

    id: str
    order: str
    state: str
    origin: str = ""
    reason: str = ""
    rows: tuple[int, ...] = ()
    steps: dict[str, str] = field(default_factory=dict)


def make_database(path: Path) -> None:
    """The sink's tables."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE effect (key TEXT PRIMARY KEY, label TEXT NOT NULL, n INTEGER NOT NULL)")
        connection.execute("CREATE TABLE tried (label TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL)")
        connection.commit()


def effects(path: Path) -> list[tuple[str, int]]:
    """Label and number of each effect."""
    with closing(sqlite3.connect(path)) as connection:
        return [(str(label), int(n)) for label, n in connection.execute("SELECT label, n FROM effect")]


def unfinished(port: int) -> int | None:
    """How many runs have not ended; `None` when nobody answers."""
    count, cursor = 0, ""
    while True:
        _, page = ask(port, "GET", f"/api/v1/runs?state={OPEN}&limit={_PAGE}{cursor}")
        if not isinstance(page, dict) or "runs" not in page:
            return None
        count += len(page["runs"])
        if page["next_cursor"] is None:
            return count
        cursor = f"&cursor={page['next_cursor']}"


def seen(port: int) -> list[Seen]:
    """Every run of the mesh. Raises `RuntimeError` when the mesh, healed, does not answer."""
    return [_look(port, run["id"]) for run in _listed(port)]


def _listed(port: int) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = _get(port, f"/api/v1/runs?limit={_PAGE}{cursor}")
        yield from page["runs"]
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


def _look(port: int, run: str) -> Seen:
    document = _get(port, f"/api/v1/runs/{run}")
    rows: tuple[int, ...] = ()
    if document["state"] == SUCCEEDED:
        shown = document["outputs"]["result"]
        path = f"/api/v1/runs/{run}/steps/{shown['step']}/outputs/{shown['port']}/rows?limit=1000"
        rows = tuple(row["n"] for row in _get(port, path)["rows"])
    return Seen(
        run,
        order=document["labels"].get("order", ""),
        state=document["state"],
        origin=document.get("origin") or "",
        reason=document.get("reason") or "",
        rows=rows,
        steps={step["id"]: step["state"] for step in document["steps"]},
    )


def _get(port: int, path: str) -> Any:
    for _ in range(20):
        status, document = ask(port, "GET", path)
        if status == 200:
            return document
    raise RuntimeError(f"GET {path} answers {status}: {document}")
