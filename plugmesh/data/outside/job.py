"""What is to be decoded, by which function, and how much that may take."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from plugmesh.data.outside.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY_BYTES = 1024**3
"""Data that a decoder may always hold; the other half of the machine's memory is for everybody else."""
CPU_S = 60.0
CPU_S_PER_MIB = 1.0
OUTPUT_BYTES = 8 * 1024**3
EXPANSION = 1000
"""What a file holds may be so many times as large as the file; `OUTPUT_BYTES` are always allowed. It is about as much as
deflate can do, and ten times as much as tables do."""


class Decoder(Protocol):
    """A function of a module that can be imported, so that the child finds it. The module is imported once, by the process
    that forks: what it imports at its top is there in each child at no cost. pandas can only be imported there.

    Yields batches of one schema; a table, or a reader, is taken for its batches, and says the schema also if it is empty.
    Raises `DataError` with what is wrong with the file.
    """

    def __call__(self, source: Source, arguments: Mapping[str, Any], /) -> Iterable[pa.RecordBatch] | pa.Table: ...


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one decoding may use: data in memory, CPU seconds, and bytes of the tables that come out."""

    memory_bytes: int
    cpu_s: float
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """One file to decode. `decoder` is `package.module:function`, `name` is what people call the file; `arguments` can be
    written as JSON."""

    decoder: str
    name: str
    limits: DecodeLimits
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Job:
        """The job of a `document()`."""
        return cls(**document | {"limits": DecodeLimits(**document["limits"])})


def limits_for(
    file_bytes: int, memory_bytes: int | None = None, cpu_s: float | None = None, output_bytes: int | None = None
) -> DecodeLimits:
    """The limits for a file of this size; those of the attempt come first, but no file may become larger without end."""
    most = max(OUTPUT_BYTES, EXPANSION * file_bytes)
    return DecodeLimits(
        memory_bytes=memory_bytes or max(MEMORY_BYTES, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2),
        cpu_s=cpu_s or CPU_S + CPU_S_PER_MIB * file_bytes / 1024**2,
        output_bytes=min(output_bytes or most, most),
    )
