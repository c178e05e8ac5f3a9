"""Files: each row is a version; the newest one that is not deleted is what the name points at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from plugmesh.state.reads import Reader
from plugmesh.state.records import StoredFile
from plugmesh.state.schema import file
from plugmesh.state.writes import Writer

Version = tuple[int, StoredFile]
"""A version and its place in the order of all versions."""


def newest_file(reader: Reader, namespace: str, name: str) -> StoredFile | None:
    """What the name points at."""
    found = _read(reader, sa.select(file).where(*_of(namespace, name)).order_by(file.c.key.desc()).limit(1))
    return found[0][1] if found else None


def file_version(reader: Reader, namespace: str, name: str, key: str) -> StoredFile | None:
    """The version of a file whose bytes are the object `key`."""
    found = _read(reader, sa.select(file).where(*_of(namespace, name), file.c.object == key))
    return found[0][1] if found else None


def file_versions(reader: Reader, namespace: str, name: str, *, before: int | None, limit: int) -> list[Version]:
    """Versions of a file, newest first; `before` is the place of the last one of the page before."""
    query = sa.select(file).where(*_of(namespace, name)).order_by(file.c.key.desc()).limit(limit)
    return _read(reader, query if before is None else query.where(file.c.key < before))


def list_files(
    reader: Reader, namespace: str, *, prefix: str = "", after: str | None = None, limit: int
) -> list[StoredFile]:
    """The newest version of each file, by name; `after` is the last name of the page before."""
    wanted = [file.c.namespace == namespace, file.c.deleted_at.is_(None)]
    if prefix:
        wanted.append(sa.func.substr(file.c.name, 1, len(prefix)) == prefix)
    if after is not None:
        wanted.append(file.c.name > after)
    newest = sa.select(sa.func.max(file.c.key)).where(*wanted).group_by(file.c.name).order_by(file.c.name).limit(limit)
    keys = [int(row[0]) for row in reader.rows(newest)]
    query = sa.select(file).where(file.c.key.in_(keys)).order_by(file.c.name)
    return [stored for _, stored in _read(reader, query)] if keys else []


def delete_file(writer: Writer, namespace: str, name: str, key: str | None, at: float) -> int:
    """Delete the version whose object is `key`, or with `None` the name with all versions; returns how many.

    Their objects stay until the sweeper sees that no run that has not ended uses them.
    """
    where = [*_of(namespace, name)] if key is None else [*_of(namespace, name), file.c.object == key]
    change = sa.update(file).where(*where).values(deleted_at=at)
    return writer.transaction("delete_file", lambda: int(writer.connection.execute(change).rowcount))


def _of(namespace: str, name: str) -> Sequence[sa.ColumnElement[bool]]:
    return file.c.namespace == namespace, file.c.name == name, file.c.deleted_at.is_(None)


def _read(reader: Reader, query: sa.Select[Any]) -> list[Version]:
    return [(int(row[0]), StoredFile(*row[1:])) for row in reader.rows(query)]
