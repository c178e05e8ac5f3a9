"""Tokens: secrets in files of the data folder, which only their owner can read."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from plugmesh.errors import ConfigurationError
from plugmesh.private_file import create_private, read_private

TOKEN, JOIN_TOKEN = "token", "join-token"
"""In the data folder: who shows the first may everything, who shows the second may serve modules."""
TOKEN_VARIABLE, FILE_VARIABLE, DATA_VARIABLE = "PLUGMESH_TOKEN", "PLUGMESH_TOKEN_FILE", "PLUGMESH_DATA"
DEFAULT_DATA = "plugmesh-data"
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_BYTES = 32
_USABLE = re.compile(r"[A-Za-z0-9._~+/=-]{32,512}")


def find_token(url: str, environment: Mapping[str, str]) -> str:
    """The token for the mesh at `url`: `PLUGMESH_TOKEN`, the file that `PLUGMESH_TOKEN_FILE` names, or for a mesh on
    this machine the one in its data folder; empty where there is none. Raises `ConfigurationError`."""
    if environment.get(TOKEN_VARIABLE):
        return environment[TOKEN_VARIABLE].strip()
    if environment.get(FILE_VARIABLE):
        return read_token(Path(environment[FILE_VARIABLE]).expanduser())
    found = local_file(url, environment, TOKEN)
    return read_token(found) if found is not None else ""


def local_file(url: str, environment: Mapping[str, str], name: str) -> Path | None:
    """A token file in the data folder, if `url` is on this machine and the file can be read: another machine's mesh
    must not be sent this one's token."""
    path = Path(environment.get(DATA_VARIABLE) or DEFAULT_DATA).expanduser().absolute() / name
    return path if urlsplit(url).hostname in _LOCAL and os.access(path, os.R_OK) else None


def ensure_token(path: Path) -> str:
    """The token in the file, which is made where there is none. Raises as `read_token`."""
    if not path.exists():
        with suppress(FileExistsError):
            _create(path, path)
    return read_token(path)


def replace_token(path: Path) -> str:
    """Put a new token into the file, at once. Raises `ConfigurationError`."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        token = _create(fresh, path)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return token


def read_token(path: Path) -> str:
    """The token in a file. Raises `ConfigurationError`, which never quotes it: it cannot be read, is shared, is none."""
    rotate = ", and replace the token with `plugmesh token rotate` if somebody may have seen it"
    text = read_private(path, "the token file", rotate)
    if not _USABLE.fullmatch(text):
        raise ConfigurationError(
            f"the token file {path} holds no token (32 or more letters and digits): remove it, and it is made again"
        )
    return text


def _create(path: Path, wanted: Path) -> str:
    token = secrets.token_urlsafe(_BYTES)
    create_private(path, token, f"the token file {wanted}")
    return token
