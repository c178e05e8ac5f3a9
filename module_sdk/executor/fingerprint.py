"""What an attempt's inputs are, whoever made them and however often: the part of a sink key that names the data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from plugmesh.contracts.data import ColumnGroup, ColumnSpan, DataRef, FileRef, Reference


def fingerprint(inputs: Mapping[str, Sequence[Reference]]) -> str:
    """The content of the inputs, by port: hashes and row counts, never keys, which have the attempt in them.

    A reference that was spilled counts by what it says where it is: give it resolved.
    """
    digest = hashlib.sha256()
    for port in sorted(inputs):
        digest.update(port.encode())
        for ref in inputs[port]:
            digest.update("\x00".join(_content(ref)).encode())
    return digest.hexdigest()


def _column(group: ColumnGroup, span: ColumnSpan) -> str:
    return f"{span.name}={span.hash}@{group.start}" if group.start else f"{span.name}={span.hash}"


def _content(ref: Reference) -> Iterator[str]:
    """The fragments in their order: who reads row ranges may rely on it. How their columns are grouped does not count."""
    if isinstance(ref, DataRef):
        for part in ref.fragments:
            yield str(part.rows)
            yield from sorted(_column(group, span) for group in part.groups for span in group.columns)
    elif isinstance(ref, FileRef):
        yield ref.hash
    else:
        yield ref.model_dump_json(exclude={"key"})
