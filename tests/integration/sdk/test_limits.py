"""What a user is told of attempts that go beyond their limits. After each the next attempt goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from module_sdk.supervisor.settings import Settings
from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.messages import Done
from plugmesh.contracts.module import Limits
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass
from tests.integration.sdk.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
BAD = Path(__file__).with_name("bad_modules.py")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    settings = Settings(look_s=0.05, progress_s=0.05)
    house = House(tmp_path_factory.mktemp("limits"), file=BAD, settings=settings)
    await house.open()
    yield house
    await house.close()


async def error_of(house: House, module: str, limits: Limits | None = None, **params: Any) -> StepError:
    given: dict[str, Any] = {} if limits is None else {"limits": limits}
    failed = await house.failed(await house.assign(module, params=params, **given))
    await house.done(await house.assign("b.fine"))
    return failed.error


@pytest.mark.parametrize("what", ["python", "numpy", "arrow", "child", "abort", "raise"])
async def test_who_eats_memory_is_told_of_the_limit(house: House, what: str) -> None:
    error = await error_of(house, "b.eats", what=what)
    assert error.code == "memory-limit"
    assert (
        "b.eats@0.1.0: the attempt needed more than its memory limit of 500 MB (set by limits= of the module (memory))"
        in error.message
    ) or what == "abort"
    assert error.error_class is ErrorClass.FATAL


async def test_less_memory_than_the_limit_is_fine(house: House) -> None:
    done = await house.done(await house.assign("b.eats", params={"what": "python", "bytes": 200_000_000}))
    assert done.stats is not None
    assert done.stats.peak_memory_bytes > 200_000_000


async def test_an_executor_that_has_more_than_the_limit_is_replaced_by_a_fresh_one(house: House) -> None:
    grown = await house.done(await house.assign("b.eats", params={"what": "python", "bytes": 20_000_000}))
    assert grown.stats is not None
    assert grown.stats.peak_memory_bytes > 0
    error = await error_of(house, "b.fine", Limits(memory_bytes=1_000_000))
    assert error.code == "memory-limit"
    assert "(its process needs more before the module begins)" in error.message
    assert "set by limits: of the flow's node (memory) or by the mesh's setting attempt_memory_bytes" in error.message


async def test_cpu_time_is_limited_and_the_place_is_told(house: House) -> None:
    error = await error_of(house, "b.computes")
    assert error.code == "cpu-limit"
    assert "b.computes@0.1.0: the attempt used more than its limit of 0.3 s of CPU time" in error.message
    assert error.where.startswith(f"{BAD}:")


async def test_what_an_attempt_used_is_told_although_its_process_was_ended(house: House) -> None:
    failed = await house.failed(await house.assign("b.computes"))
    assert failed.stats is not None
    assert 0.3 <= failed.stats.cpu_s <= failed.stats.wall_s + 1.0
    assert failed.stats.peak_memory_bytes > 1_000_000
    assert failed.stats.read is None


async def test_open_files_are_limited(house: House) -> None:
    error = await error_of(house, "b.opens")
    assert error.code == "open-files-limit"
    assert "b.opens@0.1.0: the attempt had more than 32 files and sockets open, which is its limit" in error.message


async def test_files_that_hold_inputs_do_not_count(house: House) -> None:
    tables = [house.table({"x": list(range(5_000))}) for _ in range(80)]
    done = await house.done(await house.assign("b.many_maps", {"tables": tables}))
    assert isinstance(done, Done)


async def test_the_next_attempt_may_open_as_many_files_as_ever(house: House) -> None:
    await error_of(house, "b.opens")
    done = await house.done(await house.assign("b.opens", limits=None))
    assert isinstance(done, Done)


async def test_files_that_earlier_attempts_left_open_do_not_count(house: House) -> None:
    for _ in range(4):
        assert isinstance(await house.done(await house.assign("b.hoards", params={"files": 40})), Done)


async def test_a_process_without_room_for_another_file_gets_no_other_attempt(house: House) -> None:
    error = await error_of(house, "b.hoards", files=100)
    assert error.code == "open-files-limit"
    done = await house.done(await house.assign("b.hoards", params={"files": 1}))
    assert isinstance(value := done.outputs["out"], ValueRef)
    assert value.value == {"kept": 1}


async def test_output_is_limited_and_nothing_of_it_is_kept(house: House) -> None:
    assign = await house.assign("b.writes", params={"mib": 2.0})
    failed = await house.failed(assign)
    assert failed.error.code == "output-limit"
    assert "b.writes@0.1.0: the attempt wrote more than its output limit of 1 MB" in failed.error.message
    kept = [stored.key for stored in house.store.list(assign.prefix + "/")]
    assert kept == [artifact.key for artifact in failed.artifacts]
    assert [artifact.name for artifact in failed.artifacts] == ["why.txt"]


async def test_less_output_than_the_limit_is_fine(house: House) -> None:
    done = await house.done(await house.assign("b.writes", params={"mib": 0.5}))
    assert set(done.outputs) == {"first", "second"}


async def test_who_shows_no_sign_of_life_is_stuck(house: House) -> None:
    error = await error_of(house, "b.hangs")
    assert error.code == "stuck"
    assert error.error_class is ErrorClass.TRANSIENT
    assert "for 0.4 s it used no CPU, logged nothing and reported no progress" in error.message
    line = next(n for n, text in enumerate(BAD.read_text().splitlines(), 1) if "the line that hangs" in text)
    assert error.where == f"{BAD}:{line}"


@pytest.mark.parametrize(
    "how", ["child", "progress", *(pytest.param(how, marks=pytest.mark.full) for how in ("log", "compute"))]
)
async def test_every_sign_of_life_counts(house: House, how: str) -> None:
    done = await house.done(await house.assign("b.busy", params={"how": how}))
    assert isinstance(done, Done)
