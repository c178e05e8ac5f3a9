"""What an attempt's inputs are, whoever made them and however often: the part of a sink key that names the data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from plugmesh.contracts.data import DataRef, FileRef, Reference


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


def _content(ref: Reference) -> Iterator[str]:
    """The fragments in their order: who reads row ranges may rely on it. How their columns are grouped does not count."""
    if isinstance(ref, DataRef):
        for part in ref.fragments:
            yield str(part.rows)
            yield from sorted(f"{span.name}={span.hash}" for group in part.groups for span in group.columns)
    elif isinstance(ref, FileRef):
        yield ref.hash
    else:
        yield ref.model_dump_json(exclude={"key"})
