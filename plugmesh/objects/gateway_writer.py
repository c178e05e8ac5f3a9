"""Writing through a gateway: kept here until all is known, then sent whole, as often as it takes."""

from __future__ import annotations

import errno
import http.client
import json
import tempfile
from functools import partial
from typing import IO, cast

from plugmesh.errors import Conflict, StoreFull
from plugmesh.objects.gateway_client import GatewayClient
from plugmesh.objects.paths import OBJECTS_PATH
from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime

IN_MEMORY_BYTES = 4 * 1024 * 1024
"""More than this is kept in a file of the temporary folder."""
_COMPARED_BYTES = 8 * 1024 * 1024


class GatewayWriter:
    """`Writer` of one object; `expected` is about how many bytes will come."""

    def __init__(self, client: GatewayClient, runtime: Runtime, key: str, expected: int) -> None:
        self._client, self._runtime, self._key = client, runtime, key
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  closed by commit and abort
        self._size = 0
        self._finished = False
        if expected > IN_MEMORY_BYTES:
            self._file.rollover()

    def write(self, data: bytes | memoryview) -> int:
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            self._file.write(view)
        except OSError as error:
            self.abort()
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StoreFull(
                    f"object {self._key}: no room in {tempfile.gettempdir()}, where it is kept until it is sent: make "
                    "room there, or set TMPDIR to a folder with more"
                ) from error
            raise
        self._size += len(view)
        return len(view)

    def commit(self) -> Stored:
        self._check_open()
        unknown: list[bool] = []
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(self._size)}
        path = f"{OBJECTS_PATH}/{self._key}"
        try:
            answer = self._client.ask(
                "PUT",
                path,
                http.client.HTTPResponse.read,
                headers=lambda: headers,
                body=cast("IO[bytes]", self._file),
                failed=partial(unknown.append, True),
            )
            return Stored(**json.loads(answer))
        except Conflict:
            if not unknown or (stored := self._stored()) is None:
                raise
            return stored  # a try whose answer was lost has written it
        finally:
            self.abort()

    def abort(self) -> None:
        self._finished = True
        self._file.close()

    def _check_open(self) -> None:
        if self._finished:
            raise Conflict(f"object {self._key}: its writer is finished, and takes no more")

    def _stored(self) -> Stored | None:
        """What lies under the key, if it is these very bytes."""
        path = f"{OBJECTS_PATH}/{self._key}"
        size = self._client.ask("HEAD", path, lambda answer: int(answer.headers["content-length"]))
        if size != self._size:
            return None
        self._file.seek(0)
        for start in range(0, size, _COMPARED_BYTES):
            end = min(size, start + _COMPARED_BYTES)
            span = {"Range": f"bytes={start}-{end - 1}"}
            found = self._client.ask("GET", path, http.client.HTTPResponse.read, headers=lambda: span)  # noqa: B023
            if found != self._file.read(end - start):
                return None
        return Stored(self._key, size, self._runtime.wall())
