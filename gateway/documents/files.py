"""Answers about files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.documents.document import Document, example

_FILE = {
    "kind": "file",
    "name": "orders.csv",
    "namespace": "default",
    "version": "file-06f3k8m2q9s1tbvx",
    "bytes": 51200,
    "hash": "xxh3:0f3c9a1b5d7e2f4a6c8b0d1e3f5a7b9c",
    "media_type": "text/csv",
    "actor": "local",
    "created_at": 1795271167.2,
    "key": "files/default/file-06f3k8m2q9s1tbvx",
}


class StoredVersion(Document):
    """One version of a file. As it is, it can be handed to a run as an input."""

    model_config = example(**_FILE)

    kind: Literal["file"]
    name: str
    namespace: str
    version: str
    bytes: int
    hash: str
    media_type: str
    actor: str
    created_at: float
    key: str = Field(description="The object with its bytes")


class FileList(Document):
    """A page of files by name, each with its newest version."""

    model_config = example(files=[_FILE], next_cursor=None)

    files: list[StoredVersion]
    next_cursor: str | None


class VersionList(Document):
    """A page of a file's versions, newest first."""

    model_config = example(versions=[_FILE], next_cursor=None)

    versions: list[StoredVersion]
    next_cursor: str | None
