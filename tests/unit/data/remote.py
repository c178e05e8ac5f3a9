"""A store on another machine, as far as anybody can tell: bytes may be wrong on their way, and requests are counted."""

from pathlib import Path

from plugmesh.objects.local import LocalStore
from plugmesh.objects.port import Compression, Writer


class RemoteStore:
    """Over files. `damaged`: so many of the next reads give wrong bytes."""

    name = "s3://bucket at http://there"
    is_mapped = False

    def __init__(self, folder: Path, compression: Compression | None = None) -> None:
        self.store, self.compression = LocalStore(folder), compression
        self.damaged = 0
        self.created: list[str] = []
        self.asked: list[str] = []
        self.delete, self.list = self.store.delete, self.store.list

    @property
    def remote(self) -> "RemoteStore":
        return self

    def create(self, key: str, bytes: int | None = None) -> Writer:
        self.created.append(key)
        return self.store.create(key, bytes)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        self.asked.append("read")
        data = self.store.read(key, offset, length)
        if not self.damaged:
            return data
        self.damaged -= 1
        return memoryview(bytes([data[0] ^ 1]) + data[1:])

    def read_again(self, key: str, offset: int, length: int) -> memoryview:
        data = self.read(key, offset, length)
        self.asked[-1] = "read again"
        return data
