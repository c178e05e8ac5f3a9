"""Each test tries to make the sweeper delete, or the next writer overwrite, what somebody still reads or refers to.

Tables are large enough for their files to be written again. `press` is the next writer: it takes every file that it can
get and fills it with other bytes.
"""

import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plugmesh.contracts.data import DataRef
from plugmesh.contracts.run import Rerun
from plugmesh.data.reference import attach, rename, select
from plugmesh.data.table import read_batches, read_table, write_table
from plugmesh.errors import ObjectMissing
from plugmesh.objects.local import LocalStore
from plugmesh.state.borrowing import borrow
from plugmesh.state.pins import unpin_run
from tests.integration.scheduler.sweep_house import DAY, Crash, House

ROWS = 200_000


def table_of(seed: int, name: str = "x") -> pa.Table:
    return pa.table({name: np.random.default_rng(seed).integers(0, 1 << 60, ROWS)})


class Life(House):
    """Runs that make large tables."""

    pressed = 0

    async def made(self, run: str, seed: int, *, beside: DataRef | None = None, **more: Any) -> DataRef:
        """A run whose step wrote one column, and put it beside those of another table."""
        ref = write_table(self.store, f"data/default/{run}/a/1/n-table", table_of(seed, f"c{seed}"))
        if beside is not None:
            ref = attach(beside, ref, [f"c{seed}"])
        await self.run(run, refs=[ref], **more)
        return ref

    def press(self) -> None:
        """Another process writes as much as it finds files for, and then some."""
        other = LocalStore(self.folder / "objects", self.machine, keep_free_bytes=0)
        for _ in range(len(self.free()) + 2):
            self.pressed += 1
            write_table(other, f"data/default/press/a/1/{self.pressed}", table_of(1_000 + self.pressed))

    def free(self) -> list[str]:
        return sorted(os.listdir(self.folder / "objects" / "free"))

    def inode(self, ref: DataRef) -> int:
        """Which file the last column of a table is in."""
        key = ref.fragments[0].groups[-1].key
        return os.stat(f"{self.folder}/objects/objects/{key}").st_ino

    def is_whole(self, ref: DataRef, *seeds: int) -> bool:
        found = read_table(self.store, ref, verify=True)
        return [found.column(n).to_numpy().sum() for n in range(len(seeds))] == [
            table_of(seed).column(0).to_numpy().sum() for seed in seeds
        ]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Life]:
    house = Life(tmp_path)
    await house.start()
    yield house
    await house.state.close()


async def test_what_is_swept_is_written_again(house: Life) -> None:
    ref = await house.made("r-1", 1)
    file = house.inode(ref)
    await house.sweep()
    await house.sweep(11, rounds=2)
    assert [name.partition("-")[2] for name in house.free()] == [str(file)]
    assert (await house.sweeper.usage())["free_bytes"] > ROWS * 8
    again = await house.made("r-2", 2)
    assert house.inode(again) == file
    with pytest.raises(ObjectMissing):
        read_table(house.store, ref)
    assert house.is_whole(again, 2)


async def test_borrowed_columns_stay_as_long_as_the_last_run_that_has_them(house: Life) -> None:
    first = await house.made("r-1", 1)
    house.machine.ahead += 4 * DAY
    second = await house.made("r-2", 2, beside=first)
    house.machine.ahead += 4 * DAY
    third = await house.made("r-3", 3, beside=rename(select(second, ["c1", "c2"]), {"c1": "old"}))
    await house.sweep(3, rounds=3)  # the first one's time is over
    house.press()
    assert house.is_whole(third, 1, 2, 3)
    await house.sweep(4, rounds=4)  # the second one's, too
    house.press()
    assert house.is_whole(third, 1, 2, 3)
    await house.sweep(4, rounds=5)
    assert {key for key in house.there() if "/r-" in key and "log" not in key} == set()
    assert len(house.free()) >= 3


async def test_a_column_that_a_kept_run_no_longer_has_goes_with_its_run(house: Life) -> None:
    first = await house.made("r-1", 1)
    house.machine.ahead += 9 * DAY
    second = await house.made("r-2", 2, beside=first)
    await house.run("r-3", refs=[select(second, ["c2"])])
    await house.sweep(2, rounds=3)
    house.press()
    assert house.is_whole(second, 1, 2)
    await house.sweep(9, rounds=5)
    assert "data/default/r-1/a/1/n-table" not in house.there()


async def test_who_has_mapped_a_table_keeps_its_bytes_when_its_run_is_swept(house: Life) -> None:
    ref = await house.made("r-1", 1)
    mapped = read_table(house.store, ref)
    sliced = mapped.slice(150_000, 7).column(0)
    reader = read_batches(LocalStore(house.folder / "objects"), ref)
    batch = reader.read_next_batch()
    expected = table_of(1)
    await house.sweep()
    await house.sweep(11, rounds=2)
    assert house.free()
    house.press()
    assert mapped.column(0).equals(expected.column(0))
    assert batch.column(0).equals(expected.column(0).slice(0, len(batch)).combine_chunks())
    del mapped
    gc.collect()
    house.press()
    assert sliced.equals(expected.slice(150_000, 7).column(0))
    assert len(house.free()) == 1  # whose slice is held
    del sliced, batch, reader
    gc.collect()
    house.press()
    assert house.free() == []


async def test_a_pinned_run_keeps_what_it_borrows(house: Life) -> None:
    first = await house.made("r-1", 1)
    second = await house.made("r-2", 2, beside=first)
    await house.pin("r-2")
    await house.sweep()
    await house.sweep(100, rounds=4)
    house.press()
    assert house.is_whole(second, 1, 2)
    await house.state.write(unpin_run, "r-2")
    await house.sweep(rounds=5)
    with pytest.raises(ObjectMissing):
        read_table(house.store, second)


@pytest.mark.parametrize("finished", [False, True])
async def test_what_a_rerun_takes_over_stays(house: Life, finished: bool) -> None:
    first = await house.made("r-1", 1)
    await house.sweep()
    house.machine.ahead += 11 * DAY
    assert await house.state.write(borrow, "r-2", ["r-1"], house.machine.wall()) == frozenset()
    await house.sweep(rounds=2)
    house.press()
    again = Rerun(origin="r-1", root="r-1")
    second = await house.made("r-2", 2, beside=first, rerun=again, ended=finished)
    await house.sweep(1, rounds=3)
    house.press()
    assert house.is_whole(second, 1, 2)


async def test_what_a_rerun_came_too_late_for_is_said_to_be_gone_before_it_is(house: Life) -> None:
    ref = await house.made("r-1", 1)
    await house.sweep()
    await house.sweep(11)
    assert await house.state.write(borrow, "r-2", ["r-1"], house.machine.wall()) == {"r-1"}
    assert house.is_whole(ref, 1)  # marked only: who reads it has the whole grace
    await house.sweep(rounds=2)
    assert house.free()


async def test_inputs_of_a_run_that_goes_on_stay_while_files_come_and_go(house: Life) -> None:
    given = await house.made("r-1", 1)
    await house.run("r-2", inputs={"x": given}, ended=False)
    for turn in range(4):
        await house.made(f"r-{turn + 3}", turn + 3)
        await house.sweep(15, rounds=3)
        house.press()
        assert house.is_whole(given, 1)
    await house.end("r-2")
    await house.sweep(rounds=5)
    with pytest.raises(ObjectMissing):
        read_table(house.store, given)


async def test_data_of_stale_attempts_goes_and_its_file_is_used_again(house: Life) -> None:
    ref = await house.made("r-1", 1)
    stale = write_table(house.store, "data/default/r-1/a/0/lost", table_of(9))
    file = house.inode(stale)
    slow = house.store.create("data/default/r-1/a/0/slow", ROWS * 8)  # its writer does not know yet that it is too late
    slow.write(bytes(ROWS * 4))
    await house.sweep()
    await house.sweep(0.1, rounds=2)
    assert [name.partition("-")[2] for name in house.free()] == [str(file)]
    house.press()
    assert house.is_whole(ref, 1)
    slow.write(bytes(ROWS * 4))
    slow.commit()
    future = house.machine.wall()
    os.utime(house.folder / "objects/objects/data/default/r-1/a/0/slow", (future, future))
    await house.sweep(0.1, rounds=3)
    assert not {key for key in house.there() if "/0/" in key}
    assert house.is_whole(ref, 1)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("sweep.marked", marks=pytest.mark.full),
        pytest.param("sweep.before_release", marks=pytest.mark.full),
        "sweep.deleted",
        pytest.param("sweep.after_release", marks=pytest.mark.full),
    ],
)
async def test_a_sweeper_that_is_killed_overwrites_nothing_that_is_held(house: Life, point: str) -> None:
    first = await house.made("r-1", 1)
    house.machine.ahead += 8 * DAY
    second = await house.made("r-2", 2, beside=first)
    await house.made("r-3", 3)
    await house.pin("r-2")
    house.machine.crash_at = point
    died = False
    for days in (0, 0, 20, 0, 0, 0):
        try:
            await house.sweep(days)
        except Crash:
            died = True
            house.again()
        house.press()
        assert house.is_whole(second, 1, 2)
    assert died
    assert "data/default/r-3/a/1/n-table" not in house.there()


async def test_a_dry_run_gives_no_file_away(house: Life) -> None:
    ref = await house.made("r-1", 1)
    await house.sweep()
    await house.sweep(11)
    house.machine.ahead += DAY
    await house.sweeper.collect(dry_run=True)
    house.press()
    assert house.free() == []
    assert house.is_whole(ref, 1)
