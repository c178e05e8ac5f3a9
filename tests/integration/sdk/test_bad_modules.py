"""What a user is told of modules that go wrong. After each the supervisor, and the next attempt, go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.messages import Done, Failed
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass
from tests.integration.sdk.house import House, is_alive

pytestmark = pytest.mark.asyncio(loop_scope="module")
BAD = Path(__file__).with_name("bad_modules.py")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    house = House(tmp_path_factory.mktemp("bad"), file=BAD)
    await house.open()
    yield house
    await house.close()


async def error_of(house: House, module: str, timeout_s: float | None = None, **params: Any) -> StepError:
    failed = await house.failed(await house.assign(module, params=params, timeout_s=timeout_s))
    await after(house)
    return failed.error


async def after(house: House) -> dict[str, Any]:
    """The next attempt, and what it sees."""
    done = await house.done(await house.assign("b.fine"))
    value = done.outputs["out"]
    assert isinstance(value, ValueRef)
    assert isinstance(value.value, dict)
    return value.value


def line_of(text: str) -> str:
    number = next(number for number, line in enumerate(BAD.read_text().splitlines(), 1) if text in line)
    return f"{BAD}:{number}"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("none", "it returned nothing for the output 'out', expected a table: is a `return` missing?"),
        ("list", "what it returned for the output 'out' is no table"),
        ("object", "what it returned for the output 'out' is no table"),
        ("columns", "n"),
        ("types", "int64"),
    ],
)
async def test_a_wrong_return_names_the_output(house: House, what: str, words: str) -> None:
    error = await error_of(house, "b.returns", what=what)
    assert words in error.message
    assert "b.returns@0.1.0" in error.message
    assert error.where == line_of('"b.returns"') or what == "list"
    assert error.port == "out"


@pytest.mark.parametrize(("what", "words"), [("huge", "number out of range"), ("deep", "recursion limit exceeded")])
async def test_a_value_that_nobody_could_read_again_is_refused(house: House, what: str, words: str) -> None:
    error = await error_of(house, "b.values", what=what)
    assert error.code == "wrong-return"
    assert "b.values@0.1.0" in error.message
    assert "for the output 'out' that cannot be read as JSON again" in error.message
    assert words in error.message


async def test_a_value_with_a_number_that_json_cannot_hold_is_refused(house: House) -> None:
    error = await error_of(house, "b.values", what="nan")
    assert (error.code, error.port) == ("wrong-return", "out")
    assert "with NaN in it, which JSON has no number for: return None or text in its place" in error.message


async def test_wrong_columns_and_types_say_what_was_expected_and_found(house: House) -> None:
    missing = await error_of(house, "b.returns", what="columns")
    assert (missing.column, missing.expected) == ("n", "int64")
    other = await error_of(house, "b.returns", what="types")
    assert (other.column, other.expected, other.found) == ("n", "int64", "string")


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        ("plain", "ValueError", "just so"),
        ("unsayable", "Unsayable", "(its message cannot be shown: KeyboardInterrupt)"),
        ("cause", "ValueError", "after it"),
        ("base", "Odd", "of its own kind"),
        ("long", "ValueError", "xxx"),
        ("halves", "ValueError", "half a character: ?"),
        ("exit", "SystemExit", "the module called sys.exit(3); raise an exception, or return"),
        ("interrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
async def test_whatever_is_raised_is_told(house: House, what: str, kind: str, words: str) -> None:
    error = await error_of(house, "b.raises", what=what)
    assert error.type == kind
    assert words in error.message
    assert len(error.message) <= 4000
    assert error.where.startswith(str(BAD))
    assert len(error.traceback) < 13_000


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("exit", "it exited with code 3"),
        ("abort", "it was killed by signal 6 (SIGABRT)"),
        ("kill", "it was killed by signal 9 (SIGKILL, as the system does when memory runs out)"),
        ("segfault", "it was killed by signal 11 (SIGSEGV)"),
    ],
)
async def test_a_death_is_told_and_the_log_is_kept(house: House, how: str, words: str) -> None:
    failed = await house.failed(await house.assign("b.ends", params={"how": how}))
    assert words in failed.error.message
    assert failed.convicting
    assert "last words" in house.log(failed.log)
    if how in ("abort", "segfault"):
        assert failed.error.where.startswith(str(BAD))
    await after(house)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            "numpy",
            "assignment destination is read-only. Inputs are read-only, since other steps and processes have the same",
        ),
        ("ctypes", "it wrote into a read-only input there (by ctypes, numba"),
    ],
)
async def test_a_write_into_an_input_changes_nothing_and_names_the_way_out(house: House, how: str, words: str) -> None:
    rows = house.table({"x": list(range(20_000))})
    failed = await house.failed(await house.assign("b.scribbles", {"rows": [rows]}, params={"how": how}))
    assert words in failed.error.message
    assert failed.error.where.startswith(f"{BAD}:")
    assert failed.convicting is (how == "ctypes")
    if how == "ctypes":
        assert f" at {failed.error.where}: " in failed.error.message
    assert house.read(rows)["x"].to_pylist() == list(range(20_000))


@pytest.mark.parametrize("how", ["spin", "sleep"])
async def test_an_endless_loop_says_where_it_is(house: House, how: str) -> None:
    error = await error_of(house, "b.loops", 0.3, how=how)
    assert error.code == "timeout"
    assert "b.loops@0.1.0 ran longer than its 0.3 s and was ended: give the node a larger timeout" in error.message
    assert error.where.startswith(f"{BAD}:")
    assert "in loops" in error.traceback


@pytest.mark.parametrize("what", ["lines", "one", "raw"])
async def test_a_hundred_megabytes_of_print_are_capped(house: House, what: str) -> None:
    done = await house.done(await house.assign("b.prints", params={"what": what}))
    assert done.log is not None
    assert done.log.bytes < 2_000_000
    text = house.log(done.log)
    assert "the end" in text
    assert "cut here" in text
    await after(house)


async def test_lines_that_never_end_and_garbage_are_logged(house: House) -> None:
    unended = await house.done(await house.assign("b.prints", params={"what": "unended"}))
    assert "no newline, " in house.log(unended.log)
    garbage = await house.done(await house.assign("b.prints", params={"what": "garbage"}))
    assert "after garbage" in house.log(garbage.log)
    await after(house)


@pytest.mark.parametrize("how", ["daemon", "ignoring", "pipes", "returns"])
async def test_what_an_attempt_forks_ends_with_it(house: House, tmp_path: Path, how: str) -> None:
    before = await after(house)
    marker = tmp_path / "pid"
    done = await house.done(await house.assign("b.forks", params={"how": how, "marker": str(marker)}))
    assert isinstance(done, Done)
    assert not is_alive(int(marker.read_text()))
    assert (await after(house))["pid"] == before["pid"]


@pytest.mark.parametrize(("most", "same"), [(3, True), (1000, False)])
async def test_code_that_closes_all_descriptors_harms_only_its_process(house: House, most: int, same: bool) -> None:
    before = await after(house)
    done = await house.done(await house.assign("b.closes", params={"most": most}))
    assert isinstance(done.outputs["out"], ValueRef)
    assert ((await after(house))["pid"] == before["pid"]) is same
    talk = await house.done(await house.assign("b.prints", params={"what": "garbage"}))
    assert "after garbage" in house.log(talk.log)


async def test_code_that_closes_even_the_highest_descriptors_ends_its_process(house: House) -> None:
    error = await error_of(house, "b.closes", most=1_000_000)
    assert error.code == "executor-died"


@pytest.mark.parametrize(
    "what",
    [
        "cwd",
        "umask",
        "environment",
        "cleared",
        "locale",
        "signals",
        "alarm",
        "stdout",
        "closed_stdout",
        "excepthook",
        "file_size",
    ],
)
async def test_the_next_attempt_finds_its_process_as_it_was(house: House, what: str) -> None:
    before = await after(house)
    await house.done(await house.assign("b.changes", params={"what": what}))
    assert await after(house) == before
    talk = await house.done(await house.assign("b.prints", params={"what": "garbage"}))
    assert "after garbage" in house.log(talk.log)


@pytest.mark.parametrize("what", ["raises_later", "never_ends", "atexit", "logging", "recursion", "hard_limits"])
async def test_what_is_left_behind_does_not_hold_up_the_next_attempt(house: House, what: str) -> None:
    await house.done(await house.assign("b.changes", params={"what": what}))
    await after(house)


async def test_a_patched_sdk_costs_one_process(house: House) -> None:
    failed = await house.failed(await house.assign("b.changes", params={"what": "patched"}))
    assert failed.error.code == "executor-died"
    assert "NoneType" in house.log(failed.log)
    await after(house)


async def test_a_removed_workspace_is_no_matter(house: House) -> None:
    done = await house.done(await house.assign("b.removes"))
    assert isinstance(done.outputs["out"], ValueRef)
    await after(house)


async def test_an_error_names_the_class_that_decides_on_another_try(house: House) -> None:
    assert (await error_of(house, "b.raises", what="plain")).error_class is ErrorClass.FATAL
    assert (await error_of(house, "b.ends", how="exit")).error_class is ErrorClass.TRANSIENT


async def test_a_bad_attempt_leaves_the_other_slot_alone(tmp_path: Path) -> None:
    house = House(tmp_path, slots=2, file=BAD)
    await house.open()
    try:
        spinning = await house.assign("b.loops", params={"how": "sleep"}, timeout_s=60.0)
        results = [
            await house.result(await house.assign("b.ends", params={"how": how})) for how in ("exit", "segfault")
        ]
        assert all(isinstance(result, Failed) for result in results)
        assert house.results(spinning) == []
        assert spinning.attempt in {attempt.id for attempt in house.supervisor._attempts.running.values()}
    finally:
        await house.close()
