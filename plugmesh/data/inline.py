"""Columns of so few bytes that a reference holds them itself: an object on another machine would cost more than the step.

Only where the store is remote. What is durable is then the row of the step, as for a value, instead of an object.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from plugmesh.contracts.data import INLINE_LIMIT_BYTES, ColumnGroup, ColumnSpan
from plugmesh.data.digest import HASH_PREFIX, content_hash
from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.port import ObjectStore, remote_of

INLINE_PREFIX = "inline/"
"""How keys begin that name no object: what tells these bytes from others is their hash."""


def inline_limit(store: ObjectStore) -> int:
    """Most bytes of a column file that is not made an object of `store`."""
    return 0 if remote_of(store) is None else INLINE_LIMIT_BYTES


def inlined(columns: Sequence[ColumnSpan], file: bytes) -> ColumnGroup:
    """The group of these columns, with their bytes out of a column file in it."""
    start = min(span.offset for span in columns)
    data = file[start : max(span.offset + span.length for span in columns)]
    return ColumnGroup(
        key=INLINE_PREFIX + content_hash(data).removeprefix(HASH_PREFIX),
        columns=tuple([span.model_copy(update={"offset": span.offset - start}) for span in columns]),
        data=base64.b64encode(data).decode(),
    )


def inline_bytes(data: str, span: ColumnSpan) -> memoryview:
    """A column's bytes out of the `data` of its group. Raises `ObjectCorrupt`."""
    try:
        found = memoryview(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ObjectCorrupt(
            f"the column {span.name!r} is in its reference, and cannot be read there: {error}"
        ) from None
    return found[span.offset : span.offset + span.length]
