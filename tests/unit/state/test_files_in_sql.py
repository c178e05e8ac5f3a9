"""Versions of files."""

import pytest

from plugmesh.runtime import SystemRuntime
from plugmesh.state.files import delete_file, file_version, file_versions, list_files, newest_file
from plugmesh.state.records import StoredFile
from plugmesh.state.store import State


@pytest.fixture
async def state(database_url):
    opened = await State.open(database_url, SystemRuntime())
    yield opened
    await opened.close()


async def put(state, name, number=0):
    key = f"files/default/{name}-{number}"
    await state.put_file(StoredFile("default", name, key, number, "xxh3:0", "text/csv", "me", 1.0))
    return key


async def names(state, **wanted):
    return [file.name for file in await state.read(list_files, "default", limit=10, **wanted)]


async def test_a_name_points_at_its_newest_version(state):
    for number in (1, 2):
        await put(state, "a", number)
    assert (await state.read(newest_file, "default", "a")).bytes == 2
    assert await names(state) == ["a"]
    assert await state.read(newest_file, "other", "a") is None


async def test_without_its_newest_version_a_name_points_at_the_one_before(state):
    keys = [await put(state, "a", number) for number in (1, 2)]
    assert await state.write(delete_file, "default", "a", keys[1], 9.0) == 1
    assert (await state.read(newest_file, "default", "a")).bytes == 1
    assert await state.read(file_version, "default", "a", keys[1]) is None
    assert await state.write(delete_file, "default", "a", keys[1], 9.0) == 0


async def test_a_deleted_name_is_gone_with_all_versions_until_it_is_put_again(state):
    for number in (1, 2):
        await put(state, "a", number)
    assert await state.write(delete_file, "default", "a", None, 9.0) == 2
    assert await names(state) == []
    await put(state, "a", 3)
    assert [file.bytes for _, file in await state.read(file_versions, "default", "a", before=None, limit=9)] == [3]


async def test_names_are_listed_by_prefix_page_by_page(state):
    for name in ("b1", "B2", "b2", "b3", "c", "b%"):
        await put(state, name)
    assert await names(state, prefix="b") == ["b%", "b1", "b2", "b3"]
    assert await names(state, prefix="b", after="b1") == ["b2", "b3"]
    assert await names(state, prefix="b%") == ["b%"]


async def test_versions_come_newest_first_in_pages(state):
    for number in range(3):
        await put(state, "a", number)
    first = await state.read(file_versions, "default", "a", before=None, limit=2)
    second = await state.read(file_versions, "default", "a", before=first[-1][0], limit=2)
    assert [file.bytes for _, file in first + second] == [2, 1, 0]
