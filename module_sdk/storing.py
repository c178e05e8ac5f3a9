"""Storing bytes that are all there as one object."""

from __future__ import annotations

from plugmesh.objects.port import ObjectStore


def put(objects: ObjectStore, key: str, data: bytes) -> None:
    """Make an object of `data`; nothing is left if that fails. Blocking. Raises `StoreFull`, `Conflict`."""
    writer = objects.create(key)
    try:
        writer.write(data)
        writer.commit()
    except BaseException:
        writer.abort()
        raise
