"""What a reader process answers to each question. Runs only in that process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from gateway.reader import corrected, order, pages, profile
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
    match request["op"]:
        case "schema":
            return pages.schema(reference)
        case "stats":
            return profile.stats(store, reference, request)
        case "download":
            return download(store, reference, request)
    return _ROWS[request["op"]](store, reference, request)


def _order(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> bytes:
    if not isinstance(reference, DataRef):
        raise pages.without_rows(reference)
    keys = order.as_keys(request["sort"])
    return order.order(store, reference, request["filter"], keys, request["limit_rows"])


_ROWS: dict[str, Callable[[ObjectStore, Any, dict[str, Any]], bytes]] = {
    "rows": pages.rows,
    "order": _order,
    "correct": corrected.correct,
    "feed": corrected.feed,
}
