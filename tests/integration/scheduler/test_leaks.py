"""The leak checker of the tests of whole processes finds what it is to find, and nothing else."""

import asyncio
import fcntl
from pathlib import Path

from tests.e2e.leaks import leaks
from tests.integration.scheduler.sweep_house import House


def build(folder: Path, *strays: str) -> Path:
    """A mesh that has stopped, with a run, a file, and objects that no row names."""

    async def write() -> None:
        house = House(folder)
        await house.start()
        await house.run("run-1")
        for key in strays:
            house.put(key)
        await house.state.close()

    asyncio.run(write())
    return folder


def test_a_mesh_in_order_leaks_nothing(tmp_path: Path) -> None:
    assert leaks(build(tmp_path), tmp_path / "tmp", killed=False) == []


def test_what_killed_processes_left_is_swept_and_no_leak(tmp_path: Path) -> None:
    data = build(tmp_path, "data/default/run-1/a/2/n-late", "data/default/gone/a/1/n-out", "files/default/cut-off")
    (data / "objects/tmp/1-1").write_bytes(b"half")
    assert leaks(data, tmp_path / "tmp", killed=True) == []
    assert not (data / "objects/tmp/1-1").exists()


def test_what_the_sweeper_does_not_find_is_a_leak(tmp_path: Path) -> None:
    data = build(tmp_path, "data/odd")
    assert leaks(data, tmp_path / "tmp", killed=True) == ["nobody names data/odd"]


def test_what_an_orderly_end_leaves_unfinished_is_a_leak(tmp_path: Path) -> None:
    data = build(tmp_path)
    (data / "objects/tmp/1-1").write_bytes(b"half")
    (tmp_path / "tmp/plugmesh-step-1-2-x").mkdir(parents=True)
    found = leaks(data, tmp_path / "tmp", killed=False)
    assert [line.partition(":")[0] for line in found] == ["unfinished", "temporary"]


def test_a_lock_that_is_held_is_a_leak(tmp_path: Path) -> None:
    data = build(tmp_path)
    path = next((data / "objects/objects").rglob("*-out"))
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert leaks(data, tmp_path / "tmp", killed=False) == [f"lock: {path} is locked"]
