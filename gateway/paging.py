"""Cursors of lists that are numbered; others are the last name of the page before."""

from __future__ import annotations

from gateway.errors import BadRequest


def number_of(cursor: str) -> int:
    """The number in a cursor. Raises `BadRequest`."""
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise BadRequest("cursor must be the next_cursor of the page before")
    return int(cursor)
