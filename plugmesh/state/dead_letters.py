"""Dead letters: the rows that steps rejected, until somebody gives them to another run, or gives them up.

A letter is `open`, and then `redriven` or `discarded`: each happens once. Its rows are objects of its run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from plugmesh.errors import Conflict, NotFound
from plugmesh.state.reads import Reader
from plugmesh.state.schema import dead_letter, run
from plugmesh.state.writes import Writer

OPEN, REDRIVEN, DISCARDED = "open", "redriven", "discarded"
STATES = (OPEN, REDRIVEN, DISCARDED)
IN_HAND = "its run is being made"
"""The reason of a letter between the choice of a run for its rows and that run: whoever finds it so makes the run."""

_COLUMNS = [*dead_letter.columns, run.c.data_gone_at]


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """One row. `reasons`, `ref` and `edited` are JSON text; `redrive` is the run that got the rows; `gone_at`: since when
    the run's data, and with it the letter's rows, is gone."""

    key: int
    id: str
    run: str
    namespace: str
    flow: str
    step: str
    epoch: int
    module: str
    outcome: str
    rows: int
    reasons: str
    ref: str
    edited: str | None
    state: str
    redrive: str | None
    actor: str | None
    reason: str | None
    at: float
    changed_at: float | None
    gone_at: float | None = None


def letter_id(run_id: str, step: str) -> str:
    """The id of a step's letter: a step that has ended has at most one."""
    return f"{run_id}.{step}"


def stored_letter(reader: Reader, letter: str) -> StoredLetter:
    """One letter. Raises `NotFound`."""
    rows = reader.rows(_query().where(dead_letter.c.id == letter))
    if not rows:
        raise _absent(letter)
    return StoredLetter(*rows[0])


def letters(
    reader: Reader,
    *,
    run_id: str | None = None,
    flow: str | None = None,
    step: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[StoredLetter]:
    """Newest first; `before` is the key of the last one of the page before. `step`: a step, or all elements of a node."""
    table = dead_letter.c
    query = _query()
    for column, wanted in ((table.run, run_id), (table.flow, flow), (table.state, state)):
        if wanted is not None:
            query = query.where(column == wanted)
    if step is not None:
        elements = sa.func.substr(table.step, 1, len(step) + 1) == f"{step}."
        query = query.where(sa.or_(table.step == step, elements))
    if before is not None:
        query = query.where(table.key < before)
    return [StoredLetter(*row) for row in reader.rows(query.order_by(table.key.desc()).limit(limit))]


def edit_letter(writer: Writer, letter: str, edited: str, *, actor: str, at: float) -> StoredLetter:
    """Keep other rows in place of those that were rejected. Raises `NotFound`, `Conflict`."""
    changes = {"edited": edited, "actor": actor, "changed_at": at}
    return writer.transaction("letter_edit", lambda: _change(writer, letter, changes))


def discard_letter(writer: Writer, letter: str, *, actor: str, reason: str, at: float) -> StoredLetter:
    """Give the rows up; again does nothing. Raises `NotFound`, `Conflict` if they were given to a run."""

    def body() -> StoredLetter:
        found = _locked(writer, letter)
        if found.state == DISCARDED:
            return found
        return _change(writer, letter, {"state": DISCARDED, "actor": actor, "reason": reason, "changed_at": at})

    return writer.transaction("letter_discard", body)


def redrive_letter(writer: Writer, letter: str, redrive: str, *, actor: str, at: float) -> StoredLetter:
    """Give the rows to the run `redrive`, which is about to be made: whoever comes first. The letter that comes back
    names the run that has them; it is `IN_HAND` until `redrive_made`. Raises `NotFound`, `Conflict` for one that was
    discarded."""

    def body() -> StoredLetter:
        found = _locked(writer, letter)
        if found.state == REDRIVEN:
            return found
        changes = {"state": REDRIVEN, "redrive": redrive, "actor": actor, "reason": IN_HAND, "changed_at": at}
        return _change(writer, letter, changes)

    return writer.transaction("letter_redrive", body)


def redrive_made(writer: Writer, letter: str, redrive: str) -> None:
    """The run that has the rows is there: from now on, the letter is over, also if that run is deleted one day."""
    mine = sa.and_(dead_letter.c.id == letter, dead_letter.c.redrive == redrive)
    update = sa.update(dead_letter).where(mine).values(reason=None)
    writer.transaction("letter_redriven", lambda: writer.connection.execute(update))


def take_back_letter(writer: Writer, letter: str, redrive: str) -> None:
    """The run that was to have the rows could not be made: the letter is open again."""
    table = dead_letter.c
    mine = sa.and_(table.id == letter, table.redrive == redrive, ~sa.exists().where(run.c.id == redrive))
    update = sa.update(dead_letter).where(mine).values(state=OPEN, redrive=None, reason=None)
    writer.transaction("letter_take_back", lambda: writer.connection.execute(update))


def _query() -> sa.Select[Any]:
    return sa.select(*_COLUMNS).outerjoin_from(dead_letter, run, run.c.id == dead_letter.c.run)


def _locked(writer: Writer, letter: str) -> StoredLetter:
    row = writer.connection.execute(_query().where(dead_letter.c.id == letter)).first()
    if row is None:
        raise _absent(letter)
    return StoredLetter(*row)


def _change(writer: Writer, letter: str, changes: dict[str, Any]) -> StoredLetter:
    """Of an open letter; two writers of one database cannot both change it."""
    found = _locked(writer, letter)
    mine = sa.and_(dead_letter.c.id == letter, dead_letter.c.state == OPEN)
    if writer.connection.execute(sa.update(dead_letter).where(mine).values(**changes)).rowcount != 1:
        raise over(_locked(writer, letter))
    return replace(found, **changes)


def over(found: StoredLetter) -> Conflict:
    """Why nothing more can be done with a letter."""
    if found.state == REDRIVEN:
        return Conflict(f"dead letter {found.id!r} was given to run {found.redrive} already: look at that run")
    return Conflict(f"dead letter {found.id!r} was discarded by {found.actor}: its rows are not used any more")


def _absent(letter: str) -> NotFound:
    return NotFound(f"there is no dead letter {letter[:120]!r}: `plugmesh dlq ls` or GET /api/v1/dlq lists them")
