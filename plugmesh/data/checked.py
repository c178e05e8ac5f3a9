"""Reading bytes that a reference names: those that crossed a host are compared with their hash before anybody uses them."""

from __future__ import annotations

import logging

from plugmesh.data.digest import verify_hash
from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.port import Readable, is_older, remote_of

_log = logging.getLogger(__name__)


def read_checked(
    store: Readable, key: str, offset: int, length: int, expected: str, *, about: str = "", verify: bool = False
) -> memoryview:
    """Bytes of an object, which have the hash `expected` if they come from another machine, may have been damaged by its end
    (`is_older`), or `verify` asks for that. Wrong ones from another machine are asked of it once more. `about` says what
    they are, after the key.

    Raises `ObjectMissing`, `ObjectCorrupt`.
    """
    remote = remote_of(store)
    if remote is None:
        data = store.read(key, offset, length)
        if verify or is_older(store, key):
            verify_hash(data, expected, f"object {key}{about}")
        return data
    what = f"object {key} in {remote.name}{about}"
    try:
        data = store.read(key, offset, length)
        verify_hash(data, expected, what)
    except ObjectCorrupt as error:
        _log.warning("%s; it is read again", error)
        data = remote.read_again(key, offset, length)
        verify_hash(data, expected, what)
    return data
