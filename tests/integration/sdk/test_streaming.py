"""Tables larger than the memory that an attempt may have go through modules that take and return batches."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import pytest_asyncio

from module_sdk.supervisor.settings import Settings
from plugmesh.contracts.data import DataRef, JoinedRef, Reference
from plugmesh.contracts.module import Limits
from plugmesh.data.reference import cut, join, resolve, slice_ref, spill
from plugmesh.data.table import read_batches, write_table
from tests.integration.sdk.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODULES = Path(__file__).with_name("streaming.py")
BATCH_ROWS, COLUMNS = 250_000, 6
BATCH_BYTES = BATCH_ROWS * COLUMNS * 8


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    house = House(tmp_path_factory.mktemp("streaming"), file=MODULES, settings=Settings(look_s=0.05, progress_s=0.05))
    await house.open()
    yield house
    await house.close()


def make(house: House, name: str, size: int) -> DataRef:
    """A table of `size` bytes; the same batch again and again."""
    dice = np.random.default_rng(1)
    batch = pa.record_batch({f"c{number}": dice.random(BATCH_ROWS) for number in range(COLUMNS)})
    return write_table(house.store, f"in/{name}", (batch for _ in range(size // BATCH_BYTES)), schema=batch.schema)


class Peak:
    """Most bytes that any executor had: anonymous, and of mapped files."""

    anonymous = mapped = 0

    def look(self, house: House) -> None:
        for pid in list(house.processes.live):
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            sizes = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
            if sizes:
                self.anonymous = max(self.anonymous, int(sizes["RssAnon"]) * 1024)
                self.mapped = max(self.mapped, (int(sizes["RssFile"]) + int(sizes["RssShmem"])) * 1024)


@contextmanager
def watched(house: House) -> Iterator[Peak]:
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            peak.look(house)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def total(house: House, ref: DataRef, columns: list[str]) -> float:
    found = 0.0
    for batch in read_batches(house.store, ref, columns):
        found += sum(pc.sum(column).as_py() for column in batch.columns)
    return found


async def goes_through(house: House, module: str, ref: DataRef, limit: int, **params: float) -> tuple[DataRef, Peak]:
    """What a module makes of a table under a limit of memory; the executor is a fresh one."""
    given: Reference = spill(house.store, f"{ref.fragments[0].groups[0].key}-{module}-ref", ref)
    with watched(house) as peak:
        assign = await house.assign(module, {"rows": [given]}, limits=Limits(memory_bytes=limit), params=params)
        result = await house.result(assign, within_s=240)
    assert result.type == "done", result.error
    out = resolve(house.store, result.outputs["out"])
    assert isinstance(out, DataRef)
    return out, peak


async def test_a_table_of_twice_the_memory_goes_through_batch_by_batch(house: House) -> None:
    ref = make(house, "small", 300_000_000)
    out, peak = await goes_through(house, "s.sums", ref, 150_000_000)
    assert out.rows == ref.rows
    assert len(out.fragments) > 1
    assert peak.anonymous < 150_000_000
    assert peak.mapped < 200_000_000


async def test_batches_with_one_more_column_write_that_column_alone(house: House) -> None:
    ref = make(house, "adds", 60_000_000)
    done = await house.done(await house.assign("s.adds", {"rows": [ref]}))
    assert done.stats is not None
    assert done.stats.written == {"out": ("total",)}
    assert done.stats.bytes_written < 12_000_000
    assert done.stats.bytes_passed > 59_000_000
    found, before = house.read(done.outputs["out"]), house.read(ref)
    assert found.select(before.column_names).equals(before)
    names = [f"c{number}" for number in range(COLUMNS)]
    assert np.allclose(found["total"].to_numpy(), sum(before[name].to_numpy() for name in names))


async def test_parts_that_were_spilled_are_read_as_one_table(house: House) -> None:
    ref = make(house, "parts", 3 * BATCH_BYTES)
    parts = [slice_ref(ref, start, 300_000) for start in range(0, ref.rows, 300_000)]
    joined = join([spill(house.store, f"in/part-{number}", part, limit_bytes=0) for number, part in enumerate(parts)])
    assert isinstance(joined, JoinedRef)
    done = await house.done(await house.assign("s.sums", {"rows": [cut(joined, 1, 500_000)]}))
    expected = house.read(slice_ref(ref, 1, 500_000))
    assert np.allclose(house.read(done.outputs["out"])["total"], sum(column.to_numpy() for column in expected.columns))


async def test_a_stream_stands_beside_columns_in_longer_fragments_that_are_not_read(house: House) -> None:
    rows = 3_000_000
    table = pa.table({"c0": np.arange(rows, dtype="float64"), "c1": np.arange(rows), "c2": np.arange(rows) * 3})
    ref = write_table(house.store, "in/beside", table)
    assert len(ref.fragments) == 1
    out, _ = await goes_through(house, "s.beside", ref, 200_000_000)
    found = house.read(out)
    assert found.column_names == ["c0", "c1", "c2", "twice"]
    assert found.select(["c0", "c1", "c2"]).equals(table)
    assert found["twice"].to_numpy().tolist()[-2:] == [2.0 * (rows - 2), 2.0 * (rows - 1)]
    assert len(out.fragments) > 1


async def test_a_stream_that_lost_rows_breaks_its_promise(house: House) -> None:
    ref = make(house, "loses", 2 * BATCH_BYTES)
    failed = await house.failed(await house.assign("s.loses", {"rows": [ref]}))
    assert 'it promises rows="same", but its input has 500000 rows' in failed.error.message


@pytest.mark.full
@pytest.mark.parametrize(("module", "most"), [("s.sums", None), ("s.keeps", 0.05)])
async def test_six_gigabytes_go_through_six_hundred_megabytes(house: House, module: str, most: float | None) -> None:
    ref = make(house, f"large-{module}", 6_000_000_000)
    params = {} if most is None else {"most": most}
    out, peak = await goes_through(house, module, ref, 600_000_000, **params)
    if most is None:
        names = [f"c{number}" for number in range(COLUMNS)]
        assert out.rows == ref.rows
        assert total(house, out, ["total"]) == pytest.approx(total(house, ref, names))
        assert len(out.fragments) >= 10, "they are written as they come"
    else:
        assert 0.04 < out.rows / ref.rows < 0.06
    assert peak.anonymous < 300_000_000
    assert peak.mapped < 300_000_000
    house.store.delete(ref.fragments[0].groups[0].key)
    house.store.delete(out.fragments[0].groups[0].key)
