"""A step's log: records and raw bytes in one file, cut in the middle."""

import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk.executor.output import FileSink, LineStream, MemorySink
from module_sdk.steplog import COMPACT_BYTES, HEAD_BYTES, TAIL_BYTES, as_lines, give_back_room, read_log, record


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "log", os.O_RDWR | os.O_APPEND | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def texts(data: bytes) -> list[str]:
    return [json.loads(line)["text"] for line in data.splitlines()]


def test_records_and_raw_bytes_keep_their_order() -> None:
    data = record(1.5, "info", "stdout", "one") + b"raw\nhalf" + record(2.0, "warning", "log", "two") + b"rest"
    log = as_lines(data)
    assert texts(log.data) == ["one", "raw", "half", "two", "rest"]
    assert log.lines == 5
    assert json.loads(log.data.splitlines()[0]) == {"at": 1.5, "level": "info", "stream": "stdout", "text": "one"}


@given(st.lists(st.one_of(st.binary(max_size=30), st.text(max_size=20).map(lambda t: record(0, "info", "stdout", t)))))
def test_whatever_is_written_becomes_json_lines(parts: list[bytes]) -> None:
    log = as_lines(b"".join(parts))
    assert log.lines == log.data.count(b"\n")
    for line in log.data.splitlines():
        assert set(json.loads(line)) == {"at", "level", "stream", "text"}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=20))
def test_printed_lines_come_back_whole(lines: list[str]) -> None:
    sink = MemorySink()
    stream = LineStream("stdout", 1, lambda: sink, lambda: 0.0)
    lines = [line.replace("\n", " ") for line in lines]
    for line in lines:
        print(line, file=stream)
    log = sink.take()
    assert (texts(log.data) if log else []) == lines


def test_nothing_written_is_no_log(fd: int) -> None:
    assert read_log(fd) is None
    assert FileSink(fd).take() is None
    assert MemorySink().take() is None


def test_a_large_file_keeps_its_head_and_tail(fd: int) -> None:
    total = 0
    while total <= HEAD_BYTES + TAIL_BYTES + 100_000:
        total += os.write(fd, record(0, "info", "stdout", f"line {total}"))
    log = read_log(fd)
    assert log is not None
    assert log.cut
    shown = texts(log.data)
    assert shown[0] == "line 0"
    assert any("bytes were cut here" in text for text in shown)
    assert len(log.data) <= HEAD_BYTES + TAIL_BYTES + 1000


def test_a_file_that_grows_for_ever_gives_its_middle_back_to_the_disk(fd: int) -> None:
    os.write(fd, b"first\n")
    while os.fstat(fd).st_size <= 2 * COMPACT_BYTES:
        os.write(fd, b"x" * 100_000 + b"\n")
    os.write(fd, b"last\n")
    assert give_back_room(fd, os.fstat(fd).st_size)
    assert os.fstat(fd).st_blocks * 512 < COMPACT_BYTES
    log = read_log(fd)
    assert log is not None
    assert log.cut
    assert (texts(log.data)[0], texts(log.data)[-1]) == ("first", "last")


def test_a_sink_is_empty_after_it_was_taken(fd: int) -> None:
    sink = FileSink(fd)
    sink.write(record(0, "info", "stdout", "one"))
    assert texts(sink.take().data) == ["one"]  # type: ignore[union-attr]
    os.write(fd, b"two\n")  # appended at the new end
    assert texts(sink.take().data) == ["two"]  # type: ignore[union-attr]


def test_a_memory_sink_keeps_head_and_tail() -> None:
    sink = MemorySink()
    for number in range(20_000):
        sink.write(record(0, "info", "stdout", f"{number} {'x' * 80}"))
    log = sink.take()
    assert log is not None
    assert log.cut
    shown = texts(log.data)
    assert shown[0].startswith("0 ")
    assert shown[-1].startswith("19999 ")


def test_the_line_that_was_not_ended_comes_out_with_the_attempt() -> None:
    with tempfile.TemporaryFile("ab+", buffering=0) as file:
        sink = FileSink(file.fileno())
        stream = LineStream("stderr", 2, lambda: sink, lambda: 0.0)
        print("no newline", end="", file=stream)
        assert sink.take() is None
        stream.end_line()
        assert texts(sink.take().data) == ["no newline"]  # type: ignore[union-attr]


def test_bytes_are_logged_as_lines_too() -> None:
    sink = MemorySink()
    stream = LineStream("stdout", 1, lambda: sink, lambda: 0.0)
    stream.buffer.write(b"bytes \xff\n")
    with io.TextIOWrapper(stream.buffer, encoding="utf-8") as wrapped:  # type: ignore[type-var]
        wrapped.write("wrapped\n")
    stream.buffer.write(b"again\n")
    log = sink.take()
    assert log is not None
    assert texts(log.data) == ["bytes \ufffd", "wrapped", "again"]
