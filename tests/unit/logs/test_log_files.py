"""Log files that rotate: by size and age, so many of them, one for each process."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugmesh.errors import ConfigurationError
from plugmesh.logs.files import LogFiles

DAY_S = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_files(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., LogFiles]]:
    opened: list[LogFiles] = []

    def make(role: str = "gateway", *, most_bytes: int = 1000, days: int = 7, count: int = 3) -> LogFiles:
        files = LogFiles(tmp_path / "mesh.log", role, most_bytes=most_bytes, days=days, count=count, clock=clock)
        opened.append(files)
        return files

    yield make
    for files in opened:
        files.close()


def write(files: LogFiles, text: str, clock: Clock | None = None) -> None:
    """With a clock, the file is one of its time afterwards."""
    files.handle(logging.makeLogRecord({"msg": text, "levelno": 30}))
    if clock is not None:
        os.utime(files.path, (clock.now, clock.now))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_lines_are_written_as_they_come(tmp_path: Path, open_files: Callable[..., LogFiles]) -> None:
    files = open_files()
    write(files, "one")
    write(files, "two")
    assert (tmp_path / "mesh.gateway.log").read_text() == "one\ntwo\n"


def test_two_processes_never_write_one_file(tmp_path: Path, open_files: Callable[..., LogFiles]) -> None:
    first, second, third = open_files(), open_files(), open_files("scheduler")
    assert [one.path.name for one in (first, second, third)] == [
        "mesh.gateway.log", "mesh.gateway-2.log", "mesh.scheduler.log",
    ]  # fmt: skip
    first.close()
    assert open_files().path.name == "mesh.gateway.log"


def test_a_file_that_is_full_is_put_aside_and_only_so_many_stay(
    tmp_path: Path, open_files: Callable[..., LogFiles]
) -> None:
    files = open_files(most_bytes=100, count=2)
    for number in range(10):
        write(files, f"{number}" * 60)
    assert names(tmp_path) == ["mesh.gateway.log", "mesh.gateway.log.1", "mesh.gateway.log.2"]
    assert [(tmp_path / name).read_text()[0] for name in names(tmp_path)] == ["9", "8", "7"]


def test_a_line_longer_than_a_file_is_written_all_the_same(tmp_path: Path, open_files: Callable[..., LogFiles]) -> None:
    files = open_files(most_bytes=10)
    write(files, "x" * 50)
    write(files, "y" * 50)
    assert (tmp_path / "mesh.gateway.log").read_text() == "y" * 50 + "\n"
    assert (tmp_path / "mesh.gateway.log.1").read_text() == "x" * 50 + "\n"


def test_a_file_that_is_old_is_put_aside_also_after_a_restart(
    tmp_path: Path, clock: Clock, open_files: Callable[..., LogFiles]
) -> None:
    files = open_files(days=7)
    write(files, "old")
    files.close()
    clock.now += 6 * DAY_S
    files = open_files(days=7)
    write(files, "not yet", clock)
    assert names(tmp_path) == ["mesh.gateway.log"]
    clock.now += 2 * DAY_S
    write(files, "new")
    assert (tmp_path / "mesh.gateway.log").read_text() == "new\n"
    assert (tmp_path / "mesh.gateway.log.1").read_text() == "old\nnot yet\n"


def test_what_was_put_aside_goes_when_it_is_too_old(
    tmp_path: Path, clock: Clock, open_files: Callable[..., LogFiles]
) -> None:
    files = open_files(most_bytes=10, days=7, count=5)
    write(files, "first line", clock)
    clock.now += 3 * DAY_S
    write(files, "second line", clock)
    clock.now += 3.9 * DAY_S
    write(files, "third line", clock)
    assert names(tmp_path) == ["mesh.gateway.log", "mesh.gateway.log.1", "mesh.gateway.log.2"]
    clock.now += 0.2 * DAY_S
    open_files("scheduler")
    write(files, "3", clock)
    left = [(tmp_path / name).read_text() for name in names(tmp_path)]
    assert left == ["3\n", "third line\n", "second line\n", ""]


def test_other_files_beside_it_are_left_alone(tmp_path: Path, open_files: Callable[..., LogFiles]) -> None:
    for name in ("mesh.gateway.log.old", "mesh.gateway.log.gz", "mesh.gateway-2.log.9", "other.log.1"):
        (tmp_path / name).write_text("mine")
    files = open_files(most_bytes=10, count=1)
    for _ in range(4):
        write(files, "x" * 20)
    assert {"mesh.gateway.log.old", "mesh.gateway.log.gz", "mesh.gateway-2.log.9", "other.log.1"} < set(names(tmp_path))


def test_only_its_owner_reads_it(tmp_path: Path, open_files: Callable[..., LogFiles]) -> None:
    write(open_files(), "so")
    assert (tmp_path / "mesh.gateway.log").stat().st_mode & 0o077 == 0


def test_a_place_that_cannot_be_written_is_told_by_its_setting(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"log_file: .* cannot be written to"):
        LogFiles(tmp_path / "file" / "mesh.log", "gateway", most_bytes=10, days=1, count=1)


def test_a_full_disk_loses_lines_and_nothing_else(
    open_files: Callable[..., LogFiles], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_files()
    with monkeypatch.context() as patch, open("/dev/full", "ab", buffering=0) as full:
        patch.setattr(files, "_file", full)
        write(files, "one")
        write(files, "two")
    assert capsys.readouterr().err.count("cannot be written: No space left") == 1
    write(files, "three")
    assert files.path.read_text() == "three\n"
