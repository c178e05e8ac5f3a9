"""Data that is not what was written, and files that crash whoever decodes them: typed errors, and nobody is convicted."""

import random
import struct
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from module_sdk.supervisor.usage import family
from plugmesh.contracts.data import DataRef, FileRef
from plugmesh.contracts.messages import Cancel, Done, Failed
from tests.integration.sdk.conftest import Open
from tests.integration.sdk.house import INSTANCE, SHARD, House
from tests.unit.data.corpus import MUTATIONS
from tests.waiting import wait_until


@pytest.fixture
async def house(open_house: Open) -> House:
    return await open_house(file=Path(__file__).with_name("damaged.py"))


def texts(house: House) -> DataRef:
    return house.table({"y": ["first", "second", "third"]})


def harm(house: House, ref: DataRef, old: bytes, new: bytes) -> None:
    path = house.folder / "store/objects" / ref.fragments[0].groups[0].key
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


async def test_a_crash_over_damaged_data_is_no_fault_of_the_module(house: House) -> None:
    ref = texts(house)
    harm(house, ref, struct.pack("<4i", 0, 5, 11, 16), struct.pack("<4i", 0, 2_000_000_000, 11, 16))
    failed = await house.failed(await house.assign("d.texts", {"rows": [ref]}))
    assert (failed.error.code, failed.error.type, failed.convicting) == ("object-corrupt", "ObjectCorrupt", False)
    assert (
        "d.texts@0.1.0 crashed over an input that is damaged: input 'rows', column 'y' in object in/"
        in failed.error.message
    )
    assert isinstance(await house.result(await house.assign("d.texts", {"rows": [texts(house)]})), Done)


async def test_an_object_that_is_cut_short_is_an_error_before_the_module_runs(house: House) -> None:
    ref = texts(house)
    path = house.folder / "store/objects" / ref.fragments[0].groups[0].key
    path.write_bytes(path.read_bytes()[:-50])
    failed = await house.failed(await house.assign("d.texts", {"rows": [ref]}))
    assert (failed.error.code, failed.convicting) == ("object-corrupt", False)


@pytest.mark.full
async def test_objects_that_were_changed_anyhow_convict_nobody(house: House) -> None:
    good = {"y": [f"text {number % 40}" for number in range(300)]}
    ended = 0
    for seed in range(60):
        ref = house.table(good)
        path = house.folder / "store/objects" / ref.fragments[0].groups[0].key
        draw = random.Random(seed)
        path.write_bytes(bytes(draw.choice(MUTATIONS)(draw, bytearray(path.read_bytes()))))
        result = await house.result(await house.assign("d.texts", {"rows": [ref]}, step=f"m{seed}"))
        assert isinstance(result, Done) or (isinstance(result, Failed) and not result.convicting), (seed, result)
        ended += isinstance(result, Failed)
    assert ended > 10


def file_params(house: House) -> dict[str, object]:
    """A file, as a param."""
    writer = house.store.create("files/default/bad")
    writer.write(b"a,b\n1,2\n")
    writer.commit()
    ref = FileRef(name="bad.csv", key="files/default/bad", bytes=8, hash="", media_type="text/csv")
    return {"file": ref.model_dump(mode="json")}


async def test_a_file_that_crashes_its_decoder_ends_neither_the_executor_nor_the_module(house: House) -> None:
    params = file_params(house)
    failed = await house.failed(await house.assign("d.decode", params={**params, "how": "segfault"}))
    assert (failed.error.code, failed.error.error_class, failed.convicting) == ("file-unreadable", "data", False)
    assert failed.error.message.startswith("file: 'bad.csv' cannot be read: the decoder crashed (SIGSEGV)")
    executors = set(house.processes.live)
    done = await house.done(await house.assign("d.decode", params={**params, "how": "rows_of_csv"}))
    assert house.read(done.outputs["out"]).to_pydict() == {"a": [1], "b": [2]}
    assert set(house.processes.live) == executors


async def test_the_private_folder_of_a_process_that_died_is_removed(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))  # of the executor, which inherits it
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    failed = await house.failed(await house.assign("d.leaves", {"rows": [texts(house)]}))
    assert failed.error.code == "executor-died"
    assert f"{folder}/plugmesh-step-" in house.log(failed.log)
    await wait_until(lambda: not list(folder.glob("plugmesh-step-*")))


async def test_a_cancel_ends_what_is_decoded_and_keeps_the_executor(house: House) -> None:
    assign = await house.assign("d.decode", params={**file_params(house), "how": "waiting"})
    await wait_until(lambda: decoders_waiting(house), 20)
    executors = set(house.processes.live)
    message = Cancel(instance=INSTANCE, shard=SHARD, term=1, attempt=assign.attempt, reason="not needed", grace_s=10.0)
    await house.send(message)
    assert (await house.failed(assign)).error.code == "cancelled"
    await wait_until(lambda: not decoders_waiting(house))
    assert set(house.processes.live) == executors


def decoders_waiting(house: House) -> list[str]:
    """Processes below the executors that call themselves so."""
    found = []
    for executor in house.processes.live:
        for pid in family(executor):
            with suppress(OSError):
                found.append(Path(f"/proc/{pid}/comm").read_text())
    return [name for name in found if "waiting" in name]
