"""The object store, tried: an object is written, read in part and whole, compared and deleted."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from plugmesh.cli.commands.doctor.trial import Doubt
from plugmesh.errors import ConfigurationError, NotReachable, ObjectCorrupt, ObjectMissing
from plugmesh.objects.local import LocalStore
from plugmesh.objects.open import open_store
from plugmesh.objects.port import ObjectStore, SweptStore
from plugmesh.runtime import Runtime

SIZE, PART = 256 * 1024, 4096
KEYS = "plugmesh-check/"
_PATIENCE_S = 5


async def try_url(url: str, runtime: Runtime) -> str:
    """Open the store at `url` as a process does, and try it. Raises `Doubt`, `ConfigurationError`, `NotReachable`,
    `ObjectCorrupt`, `StoreFull`."""
    worker = runtime.worker("objects trial")
    asked = worker.begin(_try, url, runtime)
    asked.add_done_callback(lambda _: worker.close())  # also if nobody waits for it any more
    return await asked


def _try(url: str, runtime: Runtime) -> str:
    store = _opened(url, runtime)
    try_store(store, runtime)
    check_used(store)
    return f"{SIZE // 1024} KiB were written, read in part and whole, and deleted"


def _opened(url: str, runtime: Runtime) -> SweptStore:
    """An S3 server is asked for seconds, not for a minute; a folder is neither made nor put in order."""
    parts = urlsplit(url)
    if parts.scheme == "s3" and "patience_s=" not in parts.query:
        return open_store(f"{url}{'&' if parts.query else '?'}patience_s={_PATIENCE_S}", runtime)
    if parts.scheme != "file":
        return open_store(url, runtime)
    folder = Path(unquote(parts.path))
    if not folder.is_dir():
        raise ConfigurationError(f"the setting `objects`: there is no folder {folder}")
    return LocalStore(folder, runtime, read_only=True)


def try_store(store: ObjectStore, runtime: Runtime) -> None:
    """Raises `ObjectCorrupt` where other bytes come back than were written, `NotReachable` for an object that cannot be found or
    deleted, and whatever the store raises."""
    key, data = f"{KEYS}{runtime.new_id('doctor')}", os.urandom(SIZE)
    writer = store.create(key, SIZE)
    writer.write(data)
    writer.commit()
    try:
        _compare("a part of an object", store.read(key, PART, PART), data[PART : 2 * PART])
        _compare("an object", store.read(key), data)
    except ObjectMissing as error:
        raise NotReachable(f"the store confirmed an object and does not have it: {error}") from error
    finally:
        store.delete(key)
    try:
        store.read(key)
    except ObjectMissing:
        return
    raise NotReachable(f"the store still has {key}, which was deleted: may this user delete?")


def check_used(store: SweptStore) -> None:
    """Raises `Doubt` where nothing of a mesh lies."""
    if not [folder for folder in store.folders("") if folder != KEYS.strip("/")]:
        raise Doubt(
            "it can be written and read, and nothing of a mesh lies there",
            "instances put the contracts of their modules there; if some are there, the bucket, folder or prefix in the setting "
            "`objects` is wrong",
        )


def _compare(what: str, found: memoryview, wanted: bytes) -> None:
    if hashlib.blake2b(found).digest() != hashlib.blake2b(wanted).digest():
        raise ObjectCorrupt(f"the store gave other bytes of {what} than were written: do not use it")
