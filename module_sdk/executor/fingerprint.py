"""What an attempt's inputs are, whoever made them and however often: the part of a sink key that names the data."""

from __future__ import annotations

import hashlib

from plugmesh.contracts.data import DataRef, FileRef, Reference
from plugmesh.contracts.messages import Assign


def fingerprint(assign: Assign) -> str:
    """The content of the inputs: hashes and row counts, never keys, which have the attempt in them."""
    digest = hashlib.sha256()
    for port in sorted(assign.inputs):
        digest.update(port.encode())
        for ref in assign.inputs[port]:
            digest.update("\x00".join(_content(ref)).encode())
    return digest.hexdigest()


def _content(ref: Reference) -> list[str]:
    if isinstance(ref, DataRef):
        spans = [
            f"{span.name}={span.hash}" for part in ref.fragments for group in part.groups for span in group.columns
        ]
        return [str(ref.rows), *sorted(spans)]
    if isinstance(ref, FileRef):
        return [ref.hash]
    return [ref.model_dump_json(exclude={"key"})]
