"""The key that webhooks are signed with, and the signature: the Standard Webhooks scheme (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from plugmesh.errors import ConfigurationError
from plugmesh.private_file import create_private, read_private

WEBHOOK_KEY = "webhook-key"
"""The key's file in the data folder."""
_PREFIX = "whsec_"
_BYTES = 32
_LEAST_BYTES, _MOST_BYTES = 24, 64


def ensure_webhook_key(path: Path) -> str:
    """The key in the file, which is made where there is none. Raises as `read_webhook_key`."""
    if not path.exists():
        with suppress(FileExistsError):
            _create(path)
    return read_webhook_key(path)


def read_webhook_key(path: Path) -> str:
    """The key in the file: `whsec_` and base64. Raises `ConfigurationError`, which never quotes the key."""
    text = read_private(path, "the webhook key")
    try:
        _raw(text)
    except ValueError:
        raise ConfigurationError(
            f"{path} holds no webhook key (whsec_ and base64 of {_LEAST_BYTES} to {_MOST_BYTES} bytes): remove it, "
            "and a new one is made; receivers need the new one then"
        ) from None
    return text


def sign(key: str, webhook: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` for one try: `v1,` and base64."""
    text = f"{webhook}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_raw(key), text, hashlib.sha256).digest()).decode()


def _raw(key: str) -> bytes:
    if not key.startswith(_PREFIX):
        raise ValueError("a webhook key begins with whsec_")
    raw = base64.b64decode(key.removeprefix(_PREFIX), validate=True)
    if not _LEAST_BYTES <= len(raw) <= _MOST_BYTES:
        raise ValueError(f"a webhook key has {_LEAST_BYTES} to {_MOST_BYTES} bytes")
    return raw


def _create(path: Path) -> None:
    """Whole or not at all: a server killed here must not leave an empty key behind."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    key = _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    try:
        create_private(fresh, key, f"the webhook key {path}")
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise ConfigurationError(f"the webhook key {path} cannot be written ({error.strerror})") from None
    finally:
        fresh.unlink(missing_ok=True)
