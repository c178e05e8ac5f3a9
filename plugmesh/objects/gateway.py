"""`gateway+http://host:port`: objects through a gateway, for modules on hosts that cannot reach the store.

Reads are ranges, taken up where they broke off. What is written is kept in a temporary file until `commit`, which
sends it: so it can be sent again, and is there whole or not at all. `?token_file=PATH` is what is shown to the gateway,
read again for each request, since it is replaced while it is used.
"""

from __future__ import annotations

import errno
import http.client
import json
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, quote

from plugmesh.errors import ConfigurationError, ObjectCorrupt, ObjectMissing
from plugmesh.objects.gateway_client import GatewayClient
from plugmesh.objects.gateway_writer import GatewayWriter
from plugmesh.objects.keys import check_key, check_prefix
from plugmesh.objects.paths import OBJECTS_PATH, TICKETS_PATH, is_gateway_url
from plugmesh.objects.port import Compression, Stored
from plugmesh.runtime import Runtime
from plugmesh.token_file import read_token

_MAPPED_BYTES = 64 * 1024
"""From this size on bytes get pages of their own, which the system has back at once."""


def open_gateway(url: str, runtime: Runtime, token: Callable[[], str] | None = None) -> GatewayStore:
    """The store at `url`; `token` goes before the file that it names. Raises `ConfigurationError`."""
    address, _, query = url.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    file = options.pop("token_file", "")
    if options or not is_gateway_url(address):
        raise ConfigurationError(
            "objects through a gateway: write gateway+http://host:port, with ?token_file=… and no other option"
        )
    shown = token or (partial(read_token, Path(file)) if file else str)
    return GatewayStore(GatewayClient(address.removeprefix("gateway+"), shown), runtime)


class GatewayStore:
    """`SweptStore` behind a gateway, which keeps it in order itself."""

    def __init__(self, client: GatewayClient, runtime: Runtime) -> None:
        self._client = client
        self._runtime = runtime

    def create(self, key: str, bytes: int | None = None) -> GatewayWriter:
        return GatewayWriter(self._client, self._runtime, check_key(key), bytes or 0)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        check_key(key)
        if offset < 0 or (length is not None and length < 0):
            raise ObjectCorrupt(f"object {key}: {length} bytes from {offset} on were asked for: there is no such place")
        if not length:
            size = self.size(key)
            if offset > size:
                raise ObjectCorrupt(f"object {key} has {size} bytes, and was asked for those from {offset} on")
            length = size - offset if length is None else 0
        return _Fetch(key, offset, length).run(self._client) if length else memoryview(b"")

    @property
    def remote(self) -> GatewayStore:
        """Its bytes come from another machine."""
        return self

    @property
    def name(self) -> str:
        return f"the store of the gateway at {self._client.url}"

    @property
    def compression(self) -> Compression | None:
        return None

    @property
    def is_mapped(self) -> bool:
        return False

    def read_again(self, key: str, offset: int, length: int) -> memoryview:
        if not length:
            return self.read(key, offset, length)
        return _Fetch(check_key(key), offset, length, {"Cache-Control": "no-cache"}).run(self._client)

    def size(self, key: str) -> int:
        """Bytes of an object. Raises `ObjectMissing`."""
        return self._client.ask("HEAD", path_of(check_key(key)), _length)

    def delete(self, key: str) -> bool:
        tried_before: list[bool] = []
        try:
            path = path_of(check_key(key))
            self._client.ask("DELETE", path, _nothing, failed=partial(tried_before.append, True))
        except ObjectMissing:
            return bool(tried_before)  # the try whose answer was lost has removed it
        return True

    def list(self, prefix: str) -> Iterator[Stored]:
        query = f"?prefix={quote(check_prefix(prefix))}" if prefix else ""
        lines = self._client.ask("GET", OBJECTS_PATH + query, http.client.HTTPResponse.read).splitlines()
        return iter([Stored(**json.loads(line)) for line in lines])

    def folders(self, prefix: str) -> Sequence[str]:
        below = [one.key[len(prefix) :].split("/", 1) for one in self.list(prefix)]
        return sorted({words[0] for words in below if len(words) > 1})

    def remove_abandoned(self) -> int:
        return 0

    def free_bytes(self) -> int:
        return 0

    def close(self) -> None:
        """End the connections that are kept."""
        self._client.close()

    def ticket(self, instance: str) -> tuple[str, float]:
        """What executors of `instance` may show here instead of the join token (empty: nothing), and for how many seconds."""
        body = json.dumps({"instance": instance}).encode()
        headers = {"Content-Type": "application/json"}
        answer = json.loads(
            self._client.ask("POST", TICKETS_PATH, http.client.HTTPResponse.read, headers=lambda: headers, body=body)
        )
        return str(answer["ticket"]), float(answer["valid_s"])


def path_of(key: str) -> str:
    """Where a checked key is served: its characters need no quoting."""
    return f"{OBJECTS_PATH}/{key}"


class _Fetch:
    """One range on its way in; a try goes on where the last one broke off."""

    def __init__(self, key: str, offset: int, length: int, headers: Mapping[str, str] | None = None) -> None:
        self._key, self._offset, self._length = key, offset, length
        self._headers = headers or {}
        self._bytes: memoryview | None = None
        self._got = 0

    def run(self, client: GatewayClient) -> memoryview:
        client.ask("GET", path_of(self._key), self._take, headers=self._range)
        assert self._bytes is not None
        return self._bytes.toreadonly()

    def _range(self) -> Mapping[str, str]:
        return {**self._headers, "Range": f"bytes={self._offset + self._got}-{self._offset + self._length - 1}"}

    def _take(self, answer: http.client.HTTPResponse) -> None:
        wanted, told = self._length - self._got, _length(answer)
        if told != wanted:
            raise ObjectCorrupt(
                f"object {self._key} is shorter than was asked for: there are {told} of {wanted} bytes from "
                f"{self._offset + self._got} on"
            )
        if self._bytes is None:
            self._bytes = _room(self._length)
        while self._got < self._length:
            count = answer.readinto(self._bytes[self._got :])
            if not count:
                raise http.client.IncompleteRead(b"", self._length - self._got)
            self._got += count


def _room(size: int) -> memoryview:
    if size < _MAPPED_BYTES:
        return memoryview(bytearray(size))
    try:
        return memoryview(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError(f"no memory for {size:,} bytes of an object") from None
        raise


def _length(answer: http.client.HTTPResponse) -> int:
    return int(answer.headers["content-length"])


def _nothing(answer: http.client.HTTPResponse) -> None:
    """A good answer says all."""
