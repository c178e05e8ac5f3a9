"""Whether a process can use the files of the gateway's object store, or must go through the gateway.

A folder of the same name proves nothing, nor does a copy of it, nor the same folder through a network file system, where
locks and maps mean something else. So a server puts an object with a name that nobody can guess into its store at each
start; it holds the id of the boot of the machine's kernel. Who reads that very object, under that very kernel, is at home.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from plugmesh.errors import PlugmeshError
from plugmesh.objects.local import LocalStore
from plugmesh.objects.paths import gateway_url
from plugmesh.objects.port import ObjectStore, SweptStore
from plugmesh.runtime import Runtime

_MARKERS = "mesh/marker/"
KEPT_S = 30 * 86_400.0
"""A server that runs longer than this has put its marker in vain: a mesh of several servers is started again more often."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_log = logging.getLogger(__name__)


def put_marker(store: SweptStore, runtime: Runtime) -> str:
    """Put a fresh marker into the store and remove old ones; returns its key, empty if the store takes none now.

    Other servers may use the store, and their modules look for the markers of those: one that is gone only means the way
    through the gateway.
    """
    try:
        before = [one.key for one in store.list(_MARKERS) if one.modified < runtime.wall() - KEPT_S]
        key = _MARKERS + runtime.new_id("here")
        writer = store.create(key)
        writer.write(_kernel())
        writer.commit()
        for old in before:
            store.delete(old)
    except (PlugmeshError, OSError) as error:
        _log.warning("modules cannot find out whether they share the files of the object store: %s", error)
        return ""
    return key


def reachable_objects(objects: str, marker: str, mesh_url: str) -> str:
    """The URL of the store for a process of this host: `objects`, as the mesh at `mesh_url` tells it, or its gateway's."""
    if not objects:  # a store whose URL is not for others
        return gateway_url(mesh_url)
    parts = urlsplit(objects)
    if parts.scheme != "file" or not marker or _is_here(Path(unquote(parts.path)), marker):
        return objects
    return gateway_url(mesh_url)


def _is_here(root: Path, marker: str) -> bool:
    if not os.access(root, os.W_OK | os.X_OK):
        return False
    with suppress(PlugmeshError, OSError):
        store: ObjectStore = LocalStore(root, read_only=True)
        return bytes(store.read(marker)) == _kernel()
    return False


def _kernel() -> bytes:
    try:
        return _BOOT_ID.read_bytes().strip()
    except OSError:
        return os.uname().nodename.encode()
