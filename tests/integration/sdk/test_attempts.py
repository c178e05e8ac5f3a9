"""One attempt on a real executor: what goes in, what comes out, what is written."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from plugmesh.contracts.data import DataRef, FileRef, SpilledRef, ValueRef
from plugmesh.contracts.messages import Returned
from plugmesh.data.reference import spill
from plugmesh.data.table import write_table
from plugmesh.errors import ErrorClass
from tests.integration.sdk.house import AUTHORED, House, is_alive
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_table_that_is_handed_through_keeps_its_reference(shared_house: House) -> None:
    ref = shared_house.table()
    done = await shared_house.done(await shared_house.assign("t.same", {"rows": [ref]}))
    assert done.outputs == {"out": ref}
    assert done.stats is not None
    assert (done.stats.rows_in, done.stats.rows_out, done.stats.rows_passed, done.stats.bytes_written) == (3, 3, 3, 0)
    assert done.log is None


async def test_only_the_new_column_is_written_and_only_declared_ones_are_handed_over(shared_house: House) -> None:
    ref = shared_house.table()
    assign = await shared_house.assign("t.double", {"rows": [ref]})
    done = await shared_house.done(assign)
    out = done.outputs["out"]
    assert shared_house.read(out).to_pydict() == {"x": [1, 2, 3], "y": ["a", "b", "c"], "double": [2, 4, 6]}
    assert isinstance(out, DataRef)
    keys = {span.name: group.key for group in out.fragments[0].groups for span in group.columns}
    assert keys["x"] == keys["y"] == ref.fragments[0].groups[0].key
    assert keys["double"].startswith(assign.prefix + "/")
    assert done.stats is not None
    assert done.stats.read == {"rows": ("x",)}
    assert done.stats.written == {"out": ("double",)}
    assert done.stats.passed == {"out": ("x", "y")}
    assert done.stats.rows_passed == 3


async def test_renaming_dropping_and_copying_columns_writes_nothing(shared_house: House) -> None:
    done = await shared_house.done(await shared_house.assign("t.rename", {"rows": [shared_house.table()]}))
    assert shared_house.read(done.outputs["out"]).to_pydict() == {
        "why": ["a", "b", "c"],
        "x": [1, 2, 3],
        "copy": [1, 2, 3],
    }
    assert done.stats is not None
    assert done.stats.bytes_written == 0


async def test_an_executor_holds_no_input_of_an_attempt_that_has_ended(shared_house: House) -> None:
    source = await shared_house.done(await shared_house.assign("t.source"))
    (pid,) = shared_house.read(source.outputs["out"])["pid"].to_pylist()
    ref = shared_house.table({"x": range(100_000)})
    await shared_house.done(await shared_house.assign("t.double", {"rows": [ref]}))
    key, maps = ref.fragments[0].groups[0].key, Path(f"/proc/{pid}/maps")
    await wait_until(lambda: key not in maps.read_text(), message=f"{key} is mapped no more")


async def test_columns_of_many_fragments_stay_where_they_are(shared_house: House) -> None:
    table = pa.table({"x": range(1000), "y": ["t"] * 1000})
    ref = write_table(shared_house.store, "in/many", table, max_rows_per_fragment=300)
    done = await shared_house.done(await shared_house.assign("t.double", {"rows": [ref]}))
    assert shared_house.read(done.outputs["out"]).column("double").to_pylist() == [2 * n for n in range(1000)]
    out = done.outputs["out"]
    assert isinstance(out, DataRef)
    assert [fragment.rows for fragment in out.fragments] == [300, 300, 300, 100]


async def test_bound_columns_come_back_under_their_own_names(shared_house: House) -> None:
    ref = shared_house.table({"unit": [1, 2], "y": ["a", "b"]})
    done = await shared_house.done(await shared_house.assign("t.double", {"rows": [ref]}, bind={"x": "unit"}))
    assert shared_house.read(done.outputs["out"]).to_pydict() == {"unit": [1, 2], "y": ["a", "b"], "double": [2, 4]}


async def test_a_missing_column_fails_with_its_place(shared_house: House) -> None:
    failed = await shared_house.failed(
        await shared_house.assign("t.double", {"rows": [shared_house.table({"z": [1]})]})
    )
    error = failed.error
    assert (error.port, error.column, error.expected, error.found) == ("rows", "x", "int64", "no such column")
    assert (error.error_class, error.code) == (ErrorClass.DATA, "data-mismatch")
    assert not failed.convicting


async def test_a_returned_column_of_another_type_fails_with_its_place(shared_house: House) -> None:
    failed = await shared_house.failed(await shared_house.assign("t.wrong", {"rows": [shared_house.table()]}))
    error = failed.error
    assert (error.port, error.column, error.expected, error.found) == ("out", "n", "int64", "string")
    first = next(n for n, line in enumerate(AUTHORED.read_text().splitlines(), 1) if '"t.wrong"' in line)
    assert error.where == f"{AUTHORED}:{first}"


async def test_an_exception_says_where_it_was_raised(shared_house: House) -> None:
    failed = await shared_house.failed(await shared_house.assign("t.raises", {"rows": [shared_house.table()]}))
    error = failed.error
    assert (error.type, error.message, error.error_class) == ("ValueError", "no good", ErrorClass.FATAL)
    assert error.code == "module-failed"
    assert "authored.py:" in error.where
    assert 'raise ValueError("no good")' in error.traceback
    assert "module_sdk" not in error.traceback


async def test_error_classes_and_exits_are_told_apart(shared_house: House) -> None:
    rows = {"rows": [shared_house.table()]}
    data = await shared_house.failed(await shared_house.assign("t.raises", rows, params={"how": "data"}))
    transient = await shared_house.failed(await shared_house.assign("t.raises", rows, params={"how": "transient"}))
    exited = await shared_house.failed(await shared_house.assign("t.raises", rows, params={"how": "exit"}))
    wrong = await shared_house.failed(await shared_house.assign("t.raises", rows, params={"how": 1, "colour": "red"}))
    assert (data.error.error_class, data.error.code) == (ErrorClass.DATA, "data")
    assert (transient.error.error_class, transient.error.code) == (ErrorClass.TRANSIENT, "transient")
    away = await shared_house.failed(await shared_house.assign("t.raises", rows, params={"how": "connection"}))
    assert (away.error.error_class, away.error.code) == (ErrorClass.CONNECTION, "connection")
    fatal = await shared_house.failed(await shared_house.assign("t.raises", rows, params={"how": "fatal"}))
    assert (fatal.error.error_class, fatal.error.code) == (ErrorClass.FATAL, "fatal")
    assert "sys.exit(3)" in exited.error.message
    assert wrong.error.code == "invalid-params"
    assert "colour" in wrong.error.message


async def test_a_stream_is_read_and_written_batch_by_batch(shared_house: House) -> None:
    done = await shared_house.done(await shared_house.assign("t.batches", {"rows": [shared_house.table()]}))
    assert shared_house.read(done.outputs["out"]).to_pydict() == {"x": [1, 2, 3]}
    assert done.stats is not None
    assert (done.stats.rows_out, done.stats.rows_passed) == (3, 0)


async def test_a_stream_that_loses_rows_breaks_its_promise(shared_house: House) -> None:
    failed = await shared_house.failed(await shared_house.assign("t.loses_rows", {"rows": [shared_house.table()]}))
    assert failed.error.code == "wrong-return"
    assert "3 rows" in failed.error.message
    assert failed.error.port == "out"


async def test_files_are_read_and_made(shared_house: House) -> None:
    writer = shared_house.store.create("in/doc")
    writer.write(b"hello")
    writer.commit()
    ref = FileRef(name="doc.txt", key="in/doc", bytes=5, hash="xxh3:0")
    assign = await shared_house.assign("t.files", {"doc": [ref]})
    done = await shared_house.done(assign)
    copy, path = done.outputs["copy"], done.outputs["path"]
    assert isinstance(copy, FileRef)
    assert (copy.name, copy.media_type) == ("copy.txt", "text/plain")
    assert bytes(shared_house.store.read(copy.key)) == b"HELLO"
    assert copy.key.startswith(assign.prefix + "/")
    assert isinstance(path, ValueRef)
    assert not Path(str(path.value)).exists()


async def test_a_spilled_reference_is_followed_and_passed_on_as_it_is(shared_house: House) -> None:
    spilled = spill(shared_house.store, "in/spilled", shared_house.table(), limit_bytes=1)
    assert isinstance(spilled, SpilledRef)
    done = await shared_house.done(await shared_house.assign("t.same", {"rows": [spilled]}))
    assert done.outputs == {"out": spilled}


async def test_variadic_ports_and_the_context(shared_house: House) -> None:
    assign = await shared_house.assign(
        "t.many", {"tables": [shared_house.table(), shared_house.table()]}, step="outer.3"
    )
    first = await shared_house.done(assign)
    again = await shared_house.assign("t.many", assign.inputs, epoch=2, step="outer.3")
    second = await shared_house.done(again)
    assert isinstance(first.outputs["out"], ValueRef)
    assert isinstance(first.outputs["out"].value, dict)
    assert (first.outputs["out"].value["rows"], first.outputs["out"].value["step"]) == (6, "outer.3")
    assert first.outputs == second.outputs  # the sink key is the same for every attempt on the same content


async def test_a_module_that_is_not_served_is_returned(shared_house: House) -> None:
    message = (await shared_house.assign("t.same", {"rows": [shared_house.table()]})).model_copy(
        update={"module": "t.other", "step": "other"}
    )
    await shared_house.send(message)
    result = await shared_house.result(message)
    assert isinstance(result, Returned)
    assert result.reason == "unknown-module"


async def test_everything_that_is_printed_or_logged_is_in_the_log(shared_house: House) -> None:
    done = await shared_house.done(await shared_house.assign("t.talks", {"rows": [shared_house.table()]}))
    text = shared_house.log(done.log)
    for words in ("printed 0", "to stderr, no newline", "author: logged 1", "raw bytes", "from a child", "from C"):
        assert words in text
    assert '"level": "warning"' in text
    assert done.log is not None
    assert not done.log.truncated
    quiet = await shared_house.done(await shared_house.assign("t.same", {"rows": [shared_house.table()]}))
    assert quiet.log is None


async def test_a_long_log_keeps_its_head_and_tail(shared_house: House) -> None:
    done = await shared_house.done(
        await shared_house.assign("t.talks", {"rows": [shared_house.table()]}, params={"lines": 50_000})
    )
    text = shared_house.log(done.log)
    assert done.log is not None
    assert done.log.truncated
    assert done.log.bytes < 600_000
    assert "printed 0" in text
    assert "printed 49999" in text
    assert "bytes were cut here" in text


async def test_what_an_attempt_started_does_not_outlive_it(shared_house: House) -> None:
    done = await shared_house.done(await shared_house.assign("t.leaves", {"rows": [shared_house.table()]}))
    value = done.outputs["out"]
    assert isinstance(value, ValueRef)
    assert isinstance(value.value, dict)
    assert not any(is_alive(int(str(pid))) for pid in value.value.values())
