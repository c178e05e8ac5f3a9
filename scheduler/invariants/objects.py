"""The data that accepted outputs name is in the store: with its length, and, if that is asked for, with its hash."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from pydantic import TypeAdapter

from plugmesh.contracts.data import DataRef, FileRef, JoinedRef, Reference, SpilledRef
from plugmesh.data.digest import content_hash
from plugmesh.data.named import named_in
from plugmesh.data.reference import resolve
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import ObjectStore

OUTPUTS: TypeAdapter[dict[str, Reference]] = TypeAdapter(dict[str, Reference])
"""Of a step: a reference for each port."""
SHOWN: TypeAdapter[dict[str, tuple[Reference, ...]]] = TypeAdapter(dict[str, tuple[Reference, ...]])
"""Of a run: the references of each flow output."""
_LISTED = 10_000
"""The objects of a run are listed at once if there are not more; else those of one attempt at a time."""
_FOLDERS = 64


class Objects:
    """Looks at objects by reference. `count` and `bytes` are what was looked at."""

    def __init__(self, store: ObjectStore, *, hashes: bool) -> None:
        self._store, self._hashes = store, hashes
        self._folders: OrderedDict[str, Mapping[str, int] | None] = OrderedDict()
        self.count = self.bytes = 0

    def wrong(self, reference: Reference) -> Iterator[str]:
        """What is not as the reference says."""
        for key, offset, length, expected in _pieces(reference):
            self.count += 1
            self.bytes += length
            text = self._wrong_bytes(key, offset, length, expected) if self._hashes else None
            yield from filter(None, (text or self._wrong_length(key, offset + length, exact=_is_whole(reference)),))
        if isinstance(reference, SpilledRef):
            yield from self._wrong_inside(reference)
        elif isinstance(reference, JoinedRef):
            for part in reference.parts:
                yield from self.wrong(part)

    def named_inside(self, spilled: Iterable[str]) -> frozenset[str] | None:
        """The objects that spilled references name; `None` if one of them cannot be read."""
        try:
            texts = [bytes(self._store.read(key)).decode() for key in spilled]
        except (PlugmeshError, UnicodeDecodeError):
            return None
        return named_in(*texts).keys

    def _wrong_inside(self, reference: SpilledRef) -> Iterator[str]:
        try:
            inside = resolve(self._store, reference)
        except (PlugmeshError, ValueError) as error:
            yield str(error)
            return
        yield from self.wrong(inside)

    def _wrong_bytes(self, key: str, offset: int, length: int, expected: str) -> str | None:
        try:
            found = content_hash(self._store.read(key, offset, length))
        except PlugmeshError as error:
            return str(error)
        if found == expected:
            return None
        return f"object {key}: its bytes from {offset} on have the hash {found}, the reference says {expected}"

    def _wrong_length(self, key: str, needed: int, *, exact: bool) -> str | None:
        found = self._length(key)
        if found is None:
            return f"object {key} is not in the store"
        if found == needed or (found > needed and not exact):
            return None
        return f"object {key} has {found:,} bytes, the reference needs {needed:,}"

    def _length(self, key: str) -> int | None:
        words = key.split("/")
        attempt = "/".join(words[:-1]) + "/"
        whole = "/".join(words[:3]) + "/" if words[0] == "data" else attempt
        for folder in dict.fromkeys((whole, attempt)):
            listed = self._listed(folder, _LISTED if folder != attempt else None)
            if listed is not None and key in listed:
                return listed[key]
        self._folders.pop(attempt, None)  # it may have been written since
        return (self._listed(attempt, None) or {}).get(key)

    def _listed(self, folder: str, most: int | None) -> Mapping[str, int] | None:
        """Lengths by key of what lies in a folder; `None` if those are more than `most`."""
        if folder not in self._folders:
            found = {one.key: one.bytes for one in islice(self._store.list(folder), most)}
            self._folders[folder] = None if len(found) == most else found
            if len(self._folders) > _FOLDERS:
                self._folders.popitem(last=False)
        self._folders.move_to_end(folder)
        return self._folders[folder]


def _pieces(reference: Reference) -> Iterator[tuple[str, int, int, str]]:
    """Key, offset, length and hash of every piece of data that a reference names."""
    if isinstance(reference, DataRef):
        for fragment in reference.fragments:
            for group in (group for group in fragment.groups if group.data is None):
                for column in group.columns:
                    yield group.key, column.offset, column.length, column.hash
    elif isinstance(reference, FileRef | SpilledRef):
        yield reference.key, 0, reference.bytes, reference.hash


def _is_whole(reference: Reference) -> bool:
    return not isinstance(reference, DataRef)
