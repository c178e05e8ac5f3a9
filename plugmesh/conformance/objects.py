"""What every driver of an object store (`SweptStore`) must do.

class TestMyStore(ObjectStoreConformance):
    @pytest.fixture
    def store(self) -> SweptStore:
        return MyStore(...)   # empty
"""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugmesh.errors import ConfigurationError, Conflict, ObjectCorrupt, ObjectMissing
from plugmesh.objects.port import ObjectStore, SweptStore

BAD_KEYS = ("", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a b", "a\\b", "ä", "a\n", "a\0", "x" * 513)
GOOD_KEYS = ("a", "a/b/c", "A-Z_0.9=x/..a/b..", "x" * 255, "/".join(["word"] * 100))


def put(store: ObjectStore, key: str, data: bytes) -> None:
    """Write one object in one piece."""
    writer = store.create(key)
    writer.write(data)
    writer.commit()


class ObjectStoreConformance:
    """The suite. A subclass has a fixture `store`: an empty store of its driver."""

    def test_reads_back_what_was_committed(self, store: ObjectStore) -> None:
        put(store, "a/b", b"hello")
        assert bytes(store.read("a/b")) == b"hello"

    def test_writes_append(self, store: ObjectStore) -> None:
        writer = store.create("pieces")
        counts = [writer.write(b"one "), writer.write(memoryview(b"two ")), writer.write(b""), writer.write(b"three")]
        stored = writer.commit()
        assert counts == [4, 4, 0, 5]
        assert (stored.key, stored.bytes) == ("pieces", 13)
        assert bytes(store.read("pieces")) == b"one two three"

    def test_write_takes_views_of_wider_items(self, store: ObjectStore) -> None:
        writer = store.create("wide")
        assert writer.write(memoryview(bytes(64)).cast("q")) == 64
        assert writer.commit().bytes == 64

    def test_large_object_comes_back_whole(self, store: ObjectStore) -> None:
        data = bytes(range(256)) * 24_576  # more than a part of those that are sent in parts
        put(store, "large", data)
        assert store.read("large") == data

    @pytest.mark.parametrize("hint", [0, 10, 3_000_000, 1 << 24])
    def test_a_hint_of_the_length_is_only_a_hint(self, store: ObjectStore, hint: int) -> None:
        for turn in range(3):
            data = f"{turn}".encode() * 2_500_001
            writer = store.create(f"hinted/{turn}", hint)
            for start in range(0, len(data), 700_000):
                writer.write(data[start : start + 700_000])
            assert writer.commit().bytes == len(data)
            assert bytes(store.read(f"hinted/{turn}")) == data
            assert [item.bytes for item in store.list("hinted/")] == [len(data)]
            with pytest.raises(ObjectCorrupt):
                store.read(f"hinted/{turn}", len(data), 1)
            assert store.delete(f"hinted/{turn}")

    def test_who_holds_a_large_object_keeps_it_when_others_come_and_go(self, store: ObjectStore) -> None:
        held: list[tuple[int, memoryview]] = []
        for turn in range(6):
            writer = store.create(f"turn/{turn}", 1_200_000)
            writer.write(bytes([turn]) * (1_200_000 + turn))
            writer.commit()
            held.append((turn, store.read(f"turn/{turn}", 1)))
            store.delete(f"turn/{turn}")
            held = held[-3:]
            gc.collect()
            assert all(bytes(view) == bytes([number]) * (1_199_999 + number) for number, view in held)

    def test_empty_object(self, store: ObjectStore) -> None:
        assert store.create("empty").commit().bytes == 0
        assert bytes(store.read("empty")) == b""
        assert bytes(store.read("empty", 0, 0)) == b""

    @pytest.mark.parametrize(
        ("offset", "length"), [(0, 10), (1, 7), (99_990, 10), (4096, 50_000), (5, None), (100_000, 0)]
    )
    def test_range_is_exactly_what_was_asked_for(self, store: ObjectStore, offset: int, length: int | None) -> None:
        data = bytes(range(250)) * 400
        put(store, "k", data)
        end = None if length is None else offset + length
        assert bytes(store.read("k", offset, length)) == data[offset:end]

    @pytest.mark.parametrize(("offset", "length"), [(0, 6), (5, 1), (6, None), (6, 0), (-1, 2), (0, -1)])
    def test_range_outside_the_object_is_corrupt(self, store: ObjectStore, offset: int, length: int | None) -> None:
        put(store, "k", b"12345")
        with pytest.raises(ObjectCorrupt, match="k"):
            store.read("k", offset, length)

    @pytest.mark.parametrize("size", [10, 100_000])
    def test_bytes_are_read_only(self, store: ObjectStore, size: int) -> None:
        put(store, "k", bytes(size))
        view = store.read("k")
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 1

    @pytest.mark.parametrize("size", [10, 100_000])
    def test_who_holds_bytes_keeps_them_after_delete(self, store: ObjectStore, size: int) -> None:
        put(store, "k", b"x" * size)
        view = store.read("k")[5:]
        assert store.delete("k")
        put(store, "other", b"y" * size)
        gc.collect()
        assert bytes(view) == b"x" * (size - 5)

    def test_missing_object(self, store: ObjectStore) -> None:
        put(store, "a/b", b"")
        for key in ("nothing", "a", "a/c", "a/b/c"):
            with pytest.raises(ObjectMissing, match=key):
                store.read(key)

    def test_uncommitted_object_is_invisible(self, store: ObjectStore) -> None:
        writer = store.create("k")
        writer.write(b"half")
        with pytest.raises(ObjectMissing):
            store.read("k")
        assert list(store.list("")) == []
        writer.abort()

    def test_aborted_object_is_gone(self, store: ObjectStore) -> None:
        writer = store.create("k")
        writer.write(b"half")
        writer.abort()
        writer.abort()
        assert list(store.list("")) == []
        put(store, "k", b"whole")
        assert bytes(store.read("k")) == b"whole"

    def test_abort_after_commit_does_nothing(self, store: ObjectStore) -> None:
        writer = store.create("k")
        writer.write(b"whole")
        writer.commit()
        writer.abort()
        assert bytes(store.read("k")) == b"whole"

    def test_finished_writer_refuses_more(self, store: ObjectStore) -> None:
        writer = store.create("k")
        writer.commit()
        with pytest.raises(Conflict, match="k"):
            writer.write(b"more")
        with pytest.raises(Conflict, match="k"):
            writer.commit()

    def test_existing_key_is_never_overwritten(self, store: ObjectStore) -> None:
        put(store, "a/k", b"first")
        with pytest.raises(Conflict, match="a/k"):
            put(store, "a/k", b"second")
        assert bytes(store.read("a/k")) == b"first"

    def test_of_concurrent_commits_of_one_key_exactly_one_wins(self, store: ObjectStore) -> None:
        def attempt(number: int) -> bool:
            try:
                put(store, "raced/k", str(number).encode())
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = [number for number, ok in enumerate(pool.map(attempt, range(16))) if ok]
        assert [str(number).encode() for number in won] == [bytes(store.read("raced/k"))]

    def test_delete_tells_whether_it_was_there(self, store: ObjectStore) -> None:
        put(store, "a/b", b"1")
        assert not store.delete("a")
        assert not store.delete("a/b/c")
        assert store.delete("a/b")
        assert not store.delete("a/b")
        with pytest.raises(ObjectMissing):
            store.read("a/b")

    def test_list_knows_every_object_below_a_prefix(self, store: ObjectStore) -> None:
        for key in ("a/x", "a/b/y", "ab/z", "top"):
            put(store, key, key.encode())
        assert {item.key for item in store.list("")} == {"a/x", "a/b/y", "ab/z", "top"}
        assert {item.key: item.bytes for item in store.list("a/")} == {"a/x": 3, "a/b/y": 5}
        assert {item.key for item in store.list("a/b/")} == {"a/b/y"}
        assert list(store.list("none/")) == []
        assert list(store.list("top/")) == []

    def test_list_gives_the_time_of_writing(self, store: ObjectStore) -> None:
        put(store, "first", b"")
        put(store, "second", b"")
        times = {item.key: item.modified for item in store.list("")}
        assert 1.6e9 < times["first"] <= times["second"] + 1

    def test_prefix_is_whole_words(self, store: ObjectStore) -> None:
        for prefix in ("a", "../", "/", "a//"):
            with pytest.raises(ConfigurationError):
                list(store.list(prefix))

    def test_folders_are_the_next_words_of_longer_keys(self, store: SweptStore) -> None:
        for key in ("a/run-2/x", "a/run-1/step/0/y", "a/top", "ab/z"):
            put(store, key, b"1")
        assert store.folders("a/") == ["run-1", "run-2"]
        assert store.folders("") == ["a", "ab"]
        assert store.folders("a/run-1/") == ["step"]
        assert store.folders("none/") == store.folders("a/top/") == []
        store.delete("a/run-2/x")
        assert store.folders("a/") == ["run-1"]

    def test_a_living_writer_is_not_abandoned(self, store: SweptStore) -> None:
        writer = store.create("k")
        writer.write(b"half")
        assert store.remove_abandoned() == 0
        writer.write(b" whole")
        writer.commit()
        assert bytes(store.read("k")) == b"half whole"

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_key_is_refused(self, store: ObjectStore, key: str) -> None:
        for refused in (store.create, store.read, store.delete):
            with pytest.raises(ConfigurationError, match="object key"):
                refused(key)

    @pytest.mark.parametrize("key", GOOD_KEYS)
    def test_good_key_is_taken(self, store: ObjectStore, key: str) -> None:
        put(store, key, b"1")
        assert [item.key for item in store.list("")] == [key]
        assert store.delete(key)
