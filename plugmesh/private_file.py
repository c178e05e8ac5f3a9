"""Files that hold one secret, and that only their owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from plugmesh.errors import ConfigurationError

SHARED = 0o077
"""The bits of a file's mode that let others in."""
_LONGEST = 1024


def read_private(path: Path, what: str, then: str = "") -> str:
    """The text of `path`, which is `what` (`the token file`); `then` says what else to do if others could read it.

    Raises `ConfigurationError`, which never quotes the text: it cannot be read, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read(_LONGEST).decode("ascii", "replace").strip()
    except OSError as error:
        raise ConfigurationError(f"{what} {path} cannot be read ({error.strerror})") from None
    if mode & SHARED:
        raise ConfigurationError(
            f"{what} {path} can be read or written by others (its mode is {mode:03o}): chmod 600 {path}{then}"
        )
    return text


def create_private(path: Path, text: str, what: str) -> None:
    """Write `text` to a new file at `path`, to the disk. Raises `FileExistsError`, `ConfigurationError` with `what`."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise
    except OSError as error:
        raise ConfigurationError(f"{what} cannot be written ({error.strerror})") from None
