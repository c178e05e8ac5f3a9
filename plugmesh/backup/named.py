"""Which objects the rows of a mesh name, and whom it would hurt if one was not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from plugmesh.data.named import named_in
from plugmesh.errors import PlugmeshError
from plugmesh.state.schema import attempt, dead_letter, file, run, run_data, step
from plugmesh.state.snapshot import rows_in

_LOG_ENDING = ".jsonl"


@dataclass(frozen=True, slots=True)
class Lost:
    """An object that is named and not there: by a run (and what of it), or by a file."""

    key: str
    run: str = ""
    what: str = ""

    def __str__(self) -> str:
        return f"run {self.run}: {self.what} ({self.key})" if self.run else f"{self.what} ({self.key})"


@dataclass(frozen=True, slots=True)
class _Run:
    """What counts of a run: its data or its logs may be gone, and only one that has not ended still needs its inputs."""

    id: str
    is_open: bool
    has_data: bool
    has_logs: bool

    def keeps(self, key: str) -> bool:
        return self.has_logs if key.endswith(_LOG_ENDING) else self.has_data


def lost_objects(
    connection: sa.Connection, is_there: Callable[[str], bool], read: Callable[[str], bytes]
) -> Iterator[Lost]:
    """Every object that is named and not there. `read` gives the bytes of one that is."""
    runs = {int(row[0]): _Run(row[1], row[2] is None, row[3] is None, row[4] is None) for row in _runs(connection)}
    for key, what, texts in _texts(connection):
        if (mine := runs.get(key)) is None:
            continue
        for name in sorted(_keys(texts, is_there, read)):
            if mine.keeps(name) and not is_there(name):
                yield Lost(name, mine.id, what)
    for namespace, name, key in rows_in(
        connection, sa.select(file.c.namespace, file.c.name, file.c.object).where(file.c.deleted_at.is_(None))
    ):
        if not is_there(key):
            yield Lost(key, what=f"file {namespace}/{name}")


def _runs(connection: sa.Connection) -> Iterator[tuple[Any, ...]]:
    columns = (run.c.key, run.c.id, run.c.ended_at, run.c.data_gone_at, run_data.c.logs_marked_at)
    yield from rows_in(connection, sa.select(*columns).outerjoin(run_data, run_data.c.run == run.c.id))


def _texts(connection: sa.Connection) -> Iterator[tuple[int, str, tuple[str | None, ...]]]:
    """The run's key, what names objects, and the texts in which it does."""
    open_one = run.c.ended_at.is_(None)
    for key, *texts in rows_in(connection, sa.select(run.c.key, run.c.inputs, run.c.rerun).where(open_one)):
        yield key, "what was handed in", tuple(texts)
    for key, outputs in rows_in(connection, sa.select(run.c.key, run.c.outputs)):
        yield key, "its outputs", (outputs,)
    columns = (step.c.run, step.c.id, step.c.outputs, step.c.artifacts, step.c.log)
    for key, name, *texts in rows_in(connection, sa.select(*columns)):
        yield key, f"step {name}", tuple(texts)
    for key, name, log in rows_in(connection, sa.select(attempt.c.run, attempt.c.step, attempt.c.log)):
        yield key, f"a log of step {name}", (log,)
    letters = sa.select(run.c.key, dead_letter.c.step, dead_letter.c.ref, dead_letter.c.edited)
    for key, name, *texts in rows_in(connection, letters.join(run, run.c.id == dead_letter.c.run)):
        yield key, f"the dead letters of step {name}", tuple(texts)


def _keys(
    texts: tuple[str | None, ...], is_there: Callable[[str], bool], read: Callable[[str], bytes]
) -> frozenset[str]:
    """Those in the texts, and those in objects that hold a longer text."""
    found = named_in(*texts)
    keys = found.keys
    for spilled in found.spilled:
        if is_there(spilled):
            try:
                keys |= named_in(read(spilled).decode()).keys
            except (PlugmeshError, OSError, UnicodeDecodeError, ValueError):
                continue
    return keys
