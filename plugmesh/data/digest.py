"""Hashes of content: how a reference says which bytes it means."""

from __future__ import annotations

import xxhash

from plugmesh.errors import ObjectCorrupt

HASH_PREFIX = "xxh3:"


def content_hash(data: bytes | memoryview) -> str:
    """`xxh3:` and the 32 hex digits of xxh3-128."""
    return HASH_PREFIX + xxhash.xxh3_128_hexdigest(data)


def verify_hash(data: bytes | memoryview, expected: str, what: str) -> None:
    """Raises `ObjectCorrupt` if `data` does not have the hash that its reference says."""
    found = content_hash(data)
    if found != expected:
        raise ObjectCorrupt(f"{what}: its bytes have hash {found}, the reference says {expected}; make it again")


class RunningHash:
    """Hash of content that is seen piece by piece."""

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_128()

    def update(self, piece: bytes | memoryview) -> None:
        """The next piece."""
        self._hash.update(piece)

    def digest(self) -> str:
        """What `content_hash` gives for all pieces together."""
        return HASH_PREFIX + self._hash.hexdigest()
