"""The words for limits of an attempt, the same in a module's `limits=` and in a flow's `limits:`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from plugmesh.contracts.module import Limits
from plugmesh.settings.kinds import read_bytes, read_count, read_seconds

LIMIT_FIELDS: dict[str, str] = {
    "memory": "memory_bytes",
    "cpu_s": "cpu_s",
    "open_files": "open_files",
    "output": "output_bytes",
    "silent_s": "silent_s",
}
"""Each word, and the field of `Limits` that it sets."""
_READERS: dict[str, Callable[[Any], Any]] = {
    "memory": read_bytes,
    "cpu_s": read_seconds,
    "open_files": read_count,
    "output": read_bytes,
    "silent_s": read_seconds,
}
_MOST = 2**62
"""What the system calls behind limits can hold."""


def read_limit(word: str, value: Any) -> Any:
    """The value of one limit: bytes from `2GB`, seconds from `5m`, or a number. Raises `ValueError`, which says why not."""
    if value is None:
        raise ValueError("a limit needs a value; leave the word out for none")
    read = _READERS[word](value)
    if isinstance(read, int | float) and read > _MOST:
        raise ValueError("no attempt can use so much; leave the word out for no limit")
    field = LIMIT_FIELDS[word]
    try:
        return getattr(Limits.model_validate({field: read}), field)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"]
        raise ValueError(f"{said[:1].lower()}{said[1:]}") from None
