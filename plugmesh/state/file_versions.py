"""Versions of files that may go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from plugmesh.state.reads import Reader
from plugmesh.state.schema import file


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of a file, as far as a sweeper is concerned."""

    key: int
    object: str
    bytes: int
    created_at: float
    deleted_at: float | None


def deleted_files(reader: Reader, before: float, after: int, limit: int) -> list[FileVersion]:
    """Versions that were deleted before that time."""
    where = (file.c.deleted_at.is_not(None), file.c.deleted_at <= before, file.c.key > after)
    return [FileVersion(*row) for row in reader.rows(_versions().where(*where).order_by(file.c.key).limit(limit))]


def surplus_files(
    reader: Reader, keep: int | None, created_before: float | None, limit: int, after: int = 0
) -> list[FileVersion]:
    """Versions that are not deleted and not the newest, and beyond the first `keep`, or older than that; oldest first,
    behind the key `after`."""
    rank = sa.func.row_number().over(partition_by=(file.c.namespace, file.c.name), order_by=file.c.key.desc())
    ranked = _versions(rank.label("rank")).where(file.c.deleted_at.is_(None)).subquery()
    too_many = sa.false() if keep is None else ranked.c.rank > keep
    too_old = sa.false() if created_before is None else ranked.c.created_at < created_before
    columns = [column for column in ranked.c if column.name != "rank"]
    query = sa.select(*columns).where(ranked.c.rank > 1, ranked.c.key > after, sa.or_(too_many, too_old))
    return [FileVersion(*row) for row in reader.rows(query.order_by(ranked.c.key).limit(limit))]


def file_bytes(reader: Reader) -> int:
    """Bytes of all versions that are not deleted."""
    total = sa.func.coalesce(sa.func.sum(file.c.bytes), 0)
    return int(reader.rows(sa.select(total).where(file.c.deleted_at.is_(None)))[0][0])


def known_objects(reader: Reader, keys: Collection[str]) -> frozenset[str]:
    """Which of these objects are versions of files."""
    found: set[str] = set()
    found.update(str(row[0]) for row in reader.rows(sa.select(file.c.object).where(file.c.object.in_(list(keys)))))
    return frozenset(found)


def _versions(*more: Any) -> sa.Select[Any]:
    return sa.select(file.c.key, file.c.object, file.c.bytes, file.c.created_at, file.c.deleted_at, *more)
