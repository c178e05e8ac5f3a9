"""Any order of writing, reading, holding and deleting through three views of one store, against a dictionary."""

import gc
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from plugmesh.objects.local import LocalStore

_MIB = 1024 * 1024
_POOL_BYTES = 4 * _MIB
_SIZES = (100, _MIB - 1, _MIB, _MIB + 1, _MIB + 65_536 - 64, 1_200_000)
which = st.integers(0, 2)


class Model(RuleBasedStateMachine):
    """Objects are one byte, repeated: which byte says which object."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.stores = [
            LocalStore(Path(self.folder.name), keep_free_bytes=0, pool_bytes=_POOL_BYTES if n else 3 * _MIB)
            for n in range(3)
        ]
        self.there: dict[str, bytes] = {}
        self.held: list[tuple[bytes, memoryview]] = []
        self.made = 0

    def teardown(self) -> None:
        self.held.clear()
        self.folder.cleanup()

    def data(self, size: int) -> bytes:
        self.made += 1
        return bytes([self.made % 251]) * size

    @rule(target=keys, store=which, size=st.sampled_from(_SIZES), hint=st.sampled_from((*_SIZES, None)))
    def put(self, store: int, size: int, hint: int | None) -> str:
        data = self.data(size)
        key = f"k/{self.made}"
        writer = self.stores[store].create(key, hint)
        writer.write(data[: size // 2])
        writer.write(data[size // 2 :])
        assert writer.commit().bytes == size
        self.there[key] = data
        return key

    @rule(store=which, size=st.sampled_from(_SIZES))
    def give_up(self, store: int, size: int) -> None:
        writer = self.stores[store].create("k/never", size)
        writer.write(self.data(size))
        writer.abort()

    @rule(store=which, key=consumes(keys))
    def delete(self, store: int, key: str) -> None:
        assert self.stores[store].delete(key)
        del self.there[key]

    @rule(store=which, key=keys, offset=st.integers(0, 100))
    def hold(self, store: int, key: str, offset: int) -> None:
        view = self.stores[store].read(key, offset)
        self.held.append((self.there[key][offset:], view))

    @rule()
    def let_go(self) -> None:
        if self.held:
            self.held.pop(0)
            gc.collect()

    @rule(store=which)
    def sweep(self, store: int) -> None:
        assert self.stores[store].remove_abandoned() == 0
        assert self.stores[store].free_bytes() <= _POOL_BYTES

    @rule(store=which)
    def restart(self, store: int) -> None:
        self.stores[store] = LocalStore(Path(self.folder.name), keep_free_bytes=0, pool_bytes=_POOL_BYTES)

    @invariant()
    def all_is_as_it_was_written(self) -> None:
        store = self.stores[0]
        assert {one.key: one.bytes for one in store.list("")} == {key: len(data) for key, data in self.there.items()}
        assert all(bytes(view) == data for data, view in self.held)
        assert all(bytes(store.read(key)) == data for key, data in self.there.items())
        # Each view counts what it has given, and looks at what others gave now and then: at each sweep, for one.
        assert store.free_bytes() <= len(self.stores) * _POOL_BYTES


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=4, stateful_step_count=25, deadline=None)


@pytest.mark.full
class TestModelAtLength(TestModel):  # type: ignore[misc, valid-type]
    settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
