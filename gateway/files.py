"""Files: a name is a pointer that moves, a version an object that never changes."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from gateway.paging import number_of
from gateway.uploads import Uploads, check_name, check_namespace, object_key
from gateway.views import file_document
from plugmesh.errors import NotFound
from plugmesh.flows.problem import did_you_mean
from plugmesh.runtime import Runtime
from plugmesh.state.files import delete_file, file_version, file_versions, list_files, newest_file
from plugmesh.state.records import StoredFile
from plugmesh.state.store import State

_SEARCHED = 1000
"""So many names are looked at for one that is similar."""


class Files:
    """What can be done with files. Names and namespaces are checked here: `BadRequest` says what is wrong with one."""

    def __init__(self, runtime: Runtime, state: State, uploads: Uploads) -> None:
        self._runtime, self._state, self._uploads = runtime, state, uploads

    async def put(
        self, namespace: str, name: str, body: AsyncIterable[bytes], media_type: str, actor: str
    ) -> dict[str, Any]:
        """Store a body as the newest version of a name. Raises `LimitExceeded`, `StoreFull`; nothing is there then."""
        return file_document(await self._uploads.put(namespace, name, body, media_type, actor))

    async def find(self, namespace: str, name: str, version: str | None = None) -> StoredFile:
        """A version of a file, the newest if none is named. Raises `NotFound`."""
        namespace, name = check_namespace(namespace), check_name(name)
        if version is None:
            return await find_newest(self._state, (namespace,), name)
        found = await self._state.read(file_version, namespace, name, object_key(namespace, version))
        if found is None:
            await find_newest(self._state, (namespace,), name)
            raise _no_version(namespace, name, version)
        return found

    async def list_files(self, namespace: str, prefix: str, cursor: str | None, limit: int) -> dict[str, Any]:
        """One page of files by name, each with its newest version."""
        namespace = check_namespace(namespace)
        found = await self._state.read(list_files, namespace, prefix=prefix, after=cursor, limit=limit + 1)
        following = found[limit - 1].name if len(found) > limit else None
        return {"files": [file_document(file) for file in found[:limit]], "next_cursor": following}

    async def versions(self, namespace: str, name: str, cursor: str | None, limit: int) -> dict[str, Any]:
        """One page of a file's versions, newest first. Raises `NotFound`."""
        namespace, name = check_namespace(namespace), check_name(name)
        before = None if cursor is None else number_of(cursor)
        found = await self._state.read(file_versions, namespace, name, before=before, limit=limit + 1)
        if not found:
            await find_newest(self._state, (namespace,), name)
        following = str(found[limit - 1][0]) if len(found) > limit else None
        return {"versions": [file_document(file) for _, file in found[:limit]], "next_cursor": following}

    async def delete(self, namespace: str, name: str, version: str | None = None) -> None:
        """Delete a name with all its versions, or one version. Runs that have not ended keep theirs. Raises `NotFound`."""
        namespace, name = check_namespace(namespace), check_name(name)
        key = None if version is None else object_key(namespace, version)
        if await self._state.write(delete_file, namespace, name, key, self._runtime.wall()):
            return
        await find_newest(self._state, (namespace,), name)
        if version is not None:
            raise _no_version(namespace, name, version)
        raise NotFound(
            f"there was no file {name!r} to delete, and it was uploaded at the same time: delete it once more"
        )


async def find_newest(state: State, namespaces: tuple[str, ...], name: str) -> StoredFile:
    """The newest version of a file in the first of `namespaces` that has it. Raises `NotFound`, with the nearest name."""
    for namespace in namespaces:
        stored = await state.read(newest_file, namespace, name)
        if stored is not None:
            return stored
    others: list[str] = []
    for namespace in namespaces:
        others += [file.name for file in await state.read(list_files, namespace, limit=_SEARCHED)]
    hint = did_you_mean(name, others) or "PUT /api/v1/files/NAME uploads one"
    raise NotFound(f"there is no file {name!r} in namespace {' or '.join(namespaces)} ({hint})")


def _no_version(namespace: str, name: str, version: str) -> NotFound:
    there = f"GET /api/v1/files/NAME/versions?namespace={namespace} lists them"
    return NotFound(f"file {name!r} has no version {version[:60]!r} ({there})")
