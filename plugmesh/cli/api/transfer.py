"""Whole files to and from the mesh, piece by piece; what has come is visible when it is whole, and not before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

from plugmesh.cli.api.client import MeshClient
from plugmesh.cli.api.routes import at
from plugmesh.errors import ConfigurationError, NotReachable

PIECE_BYTES = 1024 * 1024
_PARTIAL = 206
_NOTHING_LEFT = 416

Progress = Callable[[int, int | None], None]
"""Told how many bytes have come or gone so far, and of how many if that is known."""


def silent(done: int, whole: int | None) -> None:
    """Tells nobody."""


def upload(client: MeshClient, name: str, path: Path, progress: Progress = silent, namespace: str | None = None) -> Any:
    """Store a local file as a new version of `name`; the answer is that version. Raises `ConfigurationError`."""
    try:
        size = path.stat().st_size
        headers = {"content-length": str(size), "content-type": "application/octet-stream"}
        return client.put(at("files", name), _pieces(path, size, progress), headers, namespace=namespace)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error


STDOUT = Path("-")


def pour(client: MeshClient, path: str, **query: Any) -> None:
    """Write the bytes at a path to stdout, for the next command of a pipe."""
    with client.stream(path, **query) as answer:
        for piece in answer.iter_bytes(PIECE_BYTES):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def save(client: MeshClient, path: str, target: Path, progress: Progress = silent, **query: Any) -> None:
    """Write the bytes at a path to a file."""
    part = _beside(target, ".part")
    try:
        with client.stream(path, **query) as answer:
            _write(answer, part, progress, 0)
        part.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def resume(client: MeshClient, path: str, target: Path, progress: Progress = silent, **query: Any) -> None:
    """The same, but what has come is kept in `NAME.part` when the mesh breaks off; the next call asks for the rest.

    `NAME.part.of` says what it is a part of: a part of something else is not used.
    """
    part, mark = _beside(target, ".part"), _beside(target, ".part.of")
    try:
        known = mark.read_text() if mark.exists() and part.exists() else ""
        start = part.stat().st_size if known else 0
        headers = {"range": f"bytes={start}-", "if-range": known} if start else {}
        with client.stream(path, headers, also=_NOTHING_LEFT, **query) as answer:
            if answer.status_code != _NOTHING_LEFT:
                mark.write_text(answer.headers.get("etag", ""))
                _write(answer, part, progress, start if answer.status_code == _PARTIAL else 0)
            elif answer.headers.get("content-range") != f"bytes */{start}":
                part.unlink()
                raise NotReachable(f"{part} was no part of what is there now, and is removed: try again")
        part.replace(target)
        mark.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from error


def _pieces(path: Path, size: int, progress: Progress) -> Iterator[bytes]:
    done = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
            done += len(piece)
            progress(done, size)


def _write(answer: httpx2.Response, part: Path, progress: Progress, start: int) -> None:
    length = answer.headers.get("content-length", "")
    whole = start + int(length) if length.isdecimal() else None
    done = start
    with part.open("ab" if start else "wb") as file:
        for piece in answer.iter_bytes(PIECE_BYTES):
            file.write(piece)
            done += len(piece)
            progress(done, whole)


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(target.name + suffix)


def _unwritable(target: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{target} cannot be written: {error.strerror or error}")
