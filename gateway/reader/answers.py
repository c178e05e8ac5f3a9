"""What a reader process answers to each question. Runs only in that process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from gateway.reader import order, pages, profile
from gateway.reader.downloads import download
from plugmesh.contracts.data import DataRef, FileRef, Reference, ValueRef
from plugmesh.data.reference import resolve
from plugmesh.objects.port import ObjectStore

_REFERENCE: TypeAdapter[Reference] = TypeAdapter(Reference)

Answer = bytes | Iterator[bytes | memoryview]


def prepare() -> None:
    """Keep Arrow to one thread: the machine's cores belong to the modules."""
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def answer(store: ObjectStore, request: dict[str, Any]) -> Answer:
    """JSON text, or the pieces of a stream. Raises `PlugmeshError`, and whatever decoding raises."""
    reference = resolve(store, _REFERENCE.validate_python(request["reference"]))
    if request["op"] == "schema":
        return pages.schema(reference)
    if request["op"] == "rows":
        return pages.rows(store, reference, request)
    if request["op"] == "order":
        return _order(store, reference, request)
    if request["op"] == "stats":
        return profile.stats(store, reference, request)
    return download(store, reference, request)


def _order(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> bytes:
    if not isinstance(reference, DataRef):
        raise pages.without_rows(reference)
    keys = order.as_keys(request["sort"])
    return order.order(store, reference, request["filter"], keys, request["limit_rows"])
