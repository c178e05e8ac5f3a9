"""Saved flows: a name points at its newest revision; revisions never change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from plugmesh.contracts.flow import Flow
from plugmesh.errors import Conflict, NotFound
from plugmesh.state import schema
from plugmesh.state.reads import Reader
from plugmesh.state.writes import Writer

_saved, _number, _flow = schema.saved_flow, schema.saved_revision, schema.revision


@dataclass(frozen=True, slots=True)
class NewRevision:
    """What is to be saved: the author's text, and the flow that it means."""

    flow: Flow
    text: str
    media_type: str
    message: str
    actor: str
    at: float


@dataclass(frozen=True, slots=True)
class SavedRevision:
    """One revision of a saved flow. `revision` is the key of the canonical flow, `digest` its digest."""

    namespace: str
    name: str
    number: int
    revision: int
    digest: str
    media_type: str
    message: str
    actor: str
    created_at: float


def save_flow(writer: Writer, new: NewRevision, expected: int | None) -> tuple[int, bool]:
    """Save a flow under its name; returns its number, and whether that is a new revision.

    The text of the newest revision again changes nothing. `expected` is the revision that the author knows (0: none);
    another one is a `Conflict`, and nothing is written then. A deleted name goes on counting.
    """
    return writer.transaction("save_flow", lambda: _save(writer, new, expected))


def _save(writer: Writer, new: NewRevision, expected: int | None) -> tuple[int, bool]:
    execute, flow = writer.connection.execute, new.flow
    mine = (_saved.c.namespace == flow.namespace, _saved.c.name == flow.name)
    known = execute(sa.select(_saved).where(*mine).with_for_update()).first()
    current = 0 if known is None or known.deleted_at is not None else int(known.number)
    if expected is not None and expected != current:
        there = f"its newest revision is {current}" if current else "there is no such flow"
        raise Conflict(
            f"flow {flow.namespace}/{flow.name} was to follow revision {expected}, but {there}: "
            "look at what others changed (GET …/diff), and save yours on top of it"
        )
    if current and _text(writer, flow, current) == (new.text, new.media_type):
        return current, False
    number = 1 if known is None else int(known.number) + 1
    values = {"number": number, "updated_at": new.at, "deleted_at": None}
    if known is None:
        execute(sa.insert(_saved).values(namespace=flow.namespace, name=flow.name, **values))
    else:
        execute(sa.update(_saved).where(*mine).values(**values))
    execute(
        sa.insert(_number).values(
            namespace=flow.namespace,
            name=flow.name,
            number=number,
            revision=writer.revision(flow, new.at),
            media_type=new.media_type,
            text=new.text,
            message=new.message,
            actor=new.actor,
            created_at=new.at,
        )
    )
    return number, True


def _text(writer: Writer, flow: Flow, number: int) -> tuple[str, str] | None:
    mine = (_number.c.namespace == flow.namespace, _number.c.name == flow.name, _number.c.number == number)
    found = writer.connection.execute(sa.select(_number.c.text, _number.c.media_type).where(*mine)).first()
    return None if found is None else (str(found.text), str(found.media_type))


def delete_flow(writer: Writer, namespace: str, name: str, at: float) -> None:
    """Take a flow out of the lists; its runs and its revisions' numbers stay. Raises `NotFound`."""
    change = sa.update(_saved).where(_there(namespace, name)).values(deleted_at=at)
    if not writer.transaction("delete_flow", lambda: writer.connection.execute(change).rowcount):
        raise NotFound(f"there is no saved flow {namespace}/{name}: GET /api/v1/flows lists them")


def list_flows(
    reader: Reader, namespace: str | None, *, after: tuple[str, str] | None, limit: int
) -> list[SavedRevision]:
    """The newest revision of each saved flow, by namespace and name; `after` is the last one of the page before."""
    query = _revisions().where(_saved.c.number == _number.c.number)
    query = query.order_by(_saved.c.namespace, _saved.c.name).limit(limit)
    if namespace is not None:
        query = query.where(_saved.c.namespace == namespace)
    if after is not None:
        space, name = after
        later = sa.and_(_saved.c.namespace == space, _saved.c.name > name)
        query = query.where(sa.or_(_saved.c.namespace > space, later))
    return [SavedRevision(*row) for row in reader.rows(query)]


def flow_revisions(
    reader: Reader, namespace: str, name: str, *, before: int | None = None, limit: int
) -> list[SavedRevision]:
    """Revisions of a flow, newest first; none if there is no such flow (any more)."""
    query = _revisions().where(_there(namespace, name)).order_by(_number.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(_number.c.number < before)
    return [SavedRevision(*row) for row in reader.rows(query)]


def flow_revision(reader: Reader, namespace: str, name: str, number: int | None) -> SavedRevision | None:
    """One revision of a flow; with `None` the newest."""
    wanted = _number.c.number == (_saved.c.number if number is None else number)
    rows = reader.rows(_revisions().where(_there(namespace, name), wanted))
    return SavedRevision(*rows[0]) if rows else None


def flow_source(reader: Reader, saved: SavedRevision) -> str:
    """The text of a revision, as its author put it."""
    where = (
        _number.c.namespace == saved.namespace,
        _number.c.name == saved.name,
        _number.c.number == saved.number,
    )
    return str(reader.rows(sa.select(_number.c.text).where(*where))[0][0])


def _revisions() -> sa.Select[Any]:
    """Revisions of the flows that are there, in the order of the fields of `SavedRevision`."""
    same = sa.and_(_number.c.namespace == _saved.c.namespace, _number.c.name == _saved.c.name)
    columns = (_number.c.media_type, _number.c.message, _number.c.actor, _number.c.created_at)
    query = sa.select(
        _number.c.namespace, _number.c.name, _number.c.number, _number.c.revision, _flow.c.digest, *columns
    )
    joined = _number.join(_saved, same).join(_flow, _flow.c.key == _number.c.revision)
    return query.select_from(joined).where(_saved.c.deleted_at.is_(None))


def _there(namespace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(_saved.c.namespace == namespace, _saved.c.name == name, _saved.c.deleted_at.is_(None))
