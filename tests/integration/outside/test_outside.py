"""Files are decoded in a process that may crash: what comes back, and how everything that can go wrong is told."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from plugmesh.data.outside.here import Here
from plugmesh.data.outside.job import DecodeLimits, Job
from plugmesh.data.outside.outside import Decodings, Outside
from plugmesh.errors import DataError, DecoderEnded, FileUnreadable
from tests.waiting import wait_until_sync

LIMITS = DecodeLimits(memory_bytes=256 * 1024**2, cpu_s=30, output_bytes=64 * 1024**2)
Decode = Callable[..., pa.RecordBatchReader]


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    outside = Outside()
    yield outside
    outside.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_bytes(b"a,b\n1,x\n2,y\n")
    return path


@pytest.fixture
def decode(outside: Outside, file: Path) -> Decode:
    return decoder_of(Decodings(outside), file)


def decoder_of(where: Decodings | Here, file: Path) -> Decode:
    def decode(name: str, limits: DecodeLimits = LIMITS, told: Any = None, **arguments: Any) -> pa.RecordBatchReader:
        fd = os.open(file, os.O_RDONLY)
        try:
            job = Job(f"tests.integration.outside.decoders:{name}", "orders.csv", limits, arguments)
            return where.decode(job, fd, told or (lambda _: None))
        finally:
            os.close(fd)

    return decode


@pytest.fixture(params=["in a child", "here"])
def either(request: pytest.FixtureRequest, outside: Outside, file: Path) -> Decode:
    return decoder_of(Decodings(outside) if request.param == "in a child" else Here(), file)


# -- what comes back ---------------------------------------------------------------------------------------------------


def test_the_table_comes_back(either: Decode) -> None:
    assert either("rows_of_csv").read_all().to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_a_decoder_sees_the_file_as_streams_and_as_a_path(either: Decode) -> None:
    table = either("two_streams").read_all()
    assert table.column("text").to_pylist() == [b"a,b", b"a,b", b"\n1", b"a,b\n1,x\n2,y\n"]
    assert table.column("n").to_pylist() == [12] * 4


def test_what_is_told_comes_before_the_batch(either: Decode) -> None:
    told: list[Any] = []
    seen = [
        (batch.num_rows, told[index])
        for index, batch in enumerate(either("numbers", told=told.append, batches=3, rows=2))
    ]
    assert seen == [(2, {"batch": number}) for number in range(3)]


def test_a_table_without_rows_has_its_columns(either: Decode) -> None:
    reader = either("numbers", batches=1, rows=0)
    assert reader.schema.names == ["x"]
    assert reader.read_all().num_rows == 0


def test_nothing_at_all_is_an_error(either: Decode) -> None:
    with pytest.raises(FileUnreadable, match="no table in it"):
        either("silent")


def test_an_error_of_the_decoder_is_raised_as_it_is(either: Decode) -> None:
    with pytest.raises(DataError, match=r"^types: there is no column 'zap'$") as caught:
        either("unhappy")
    assert type(caught.value) is DataError


def test_an_error_that_nobody_foresaw_names_the_file(either: Decode) -> None:
    with pytest.raises(FileUnreadable, match=r"'orders.csv' cannot be read: IndexError: list index out of range"):
        either("careless")


def test_what_is_no_valid_arrow_data_is_not_handed_on(either: Decode) -> None:
    with pytest.raises(FileUnreadable, match=r"'orders.csv' cannot be read: ArrowInvalid"):
        either("invalid").read_all()


def test_more_than_may_come_out_is_an_error(either: Decode) -> None:
    limits = DecodeLimits(LIMITS.memory_bytes, LIMITS.cpu_s, output_bytes=10_000)
    with pytest.raises(FileUnreadable, match=r"12 bytes and holds more than 10,000 bytes of data.*limits: \{output"):
        either("numbers", limits, batches=100, rows=100).read_all()


# -- how a child ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        ("segfault", r"the decoder crashed \(SIGSEGV\)"),
        ("abort", r"the decoder crashed \(SIGABRT\), saying 'decoder: corrupt block 17'"),
        ("leave", "the decoder ended with code 3"),
    ],
)
def test_a_crash_is_an_error_that_names_the_file(decode: Decode, decoder: str, said: str) -> None:
    with pytest.raises(FileUnreadable, match=rf"^file: 'orders.csv' cannot be read: {said}: is it whole") as caught:
        decode(decoder)
    assert caught.value.code == "file-unreadable"


def test_a_crash_in_the_middle_is_raised_where_it_is_met(decode: Decode) -> None:
    reader = decode("killed_later")
    assert reader.read_next_batch().num_rows == 1
    with pytest.raises(FileUnreadable, match="SIGSEGV"):
        reader.read_next_batch()


@pytest.mark.parametrize("by", ["arrow", "python"])
def test_too_much_memory_is_refused(decode: Decode, by: str) -> None:
    with pytest.raises(FileUnreadable, match=r"within 268,435,456 bytes of memory .*limits: \{memory"):
        decode("greedy", by=by)


@pytest.mark.full
def test_a_decoder_that_never_ends_is_ended(decode: Decode) -> None:
    with pytest.raises(FileUnreadable, match=r"was not decoded after \d s of CPU time.*limits: \{cpu_s"):
        decode("endless", DecodeLimits(LIMITS.memory_bytes, 0.5, LIMITS.output_bytes))


def test_somebody_who_kills_the_child_is_not_the_fault_of_the_file(decode: Decode) -> None:
    with pytest.raises(DecoderEnded, match=r"ended from outside \(SIGKILL\)") as caught:
        decode("killed")
    assert (caught.value.code, caught.value.error_class) == ("decoder-ended", "transient")


def test_the_next_file_is_decoded_by_the_same_process(outside: Outside, decode: Decode) -> None:
    with pytest.raises(FileUnreadable):
        decode("segfault")
    before = outside.pids
    assert decode("rows_of_csv").read_all().num_rows == 2
    assert outside.pids == before


def test_a_process_that_is_gone_is_started_again(outside: Outside, decode: Decode) -> None:
    decode("rows_of_csv").read_all()
    for pid in outside.pids:
        os.kill(pid, signal.SIGKILL)
    assert decode("rows_of_csv").read_all().num_rows == 2


# -- batches in shared memory ------------------------------------------------------------------------------------------


def test_batches_that_are_kept_keep_their_bytes(decode: Decode) -> None:
    kept = list(decode("numbers", batches=12, rows=1000))
    gc.collect()
    assert [batch.column(0).unique().to_pylist() for batch in kept] == [[number] for number in range(12)]


def test_the_room_of_batches_that_are_gone_is_used_again(decode: Decode) -> None:
    """The shared file stays as large as what is held at a time."""
    folder = Path(f"/proc/{os.getpid()}/fd")
    others = {_target(fd) for fd in folder.iterdir()}
    largest = 0
    for _ in decode("numbers", batches=20, rows=10_000):
        found = {fd: _target(fd) for fd in folder.iterdir()}
        shared = [
            fd
            for fd, name in found.items()
            if name.endswith("(deleted)") and "memfd" not in name and name not in others
        ]
        largest = max([largest, *(fd.stat().st_size for fd in shared)])
    assert 0 < largest < 10 * 10_000 * 8


def test_no_descriptor_is_left_and_none_is_held_for_a_batch(decode: Decode) -> None:
    before = len(os.listdir("/proc/self/fd"))
    kept = list(decode("numbers", batches=20, rows=1000))
    assert len(kept) == 20
    assert len(os.listdir("/proc/self/fd")) <= before


def _target(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except OSError:
        return ""


# -- ends --------------------------------------------------------------------------------------------------------------


def test_what_told_raises_ends_the_decoding(decode: Decode) -> None:
    def full(_: Any) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        decode("numbers", told=full, batches=2, rows=1)


def test_a_reader_that_is_dropped_ends_the_child(decode: Decode) -> None:
    reader = decode("waiting")
    pid = reader.read_next_batch().column(0)[0].as_py()
    del reader
    gc.collect()
    wait_until_sync(lambda: not Path(f"/proc/{pid}").exists(), 10)


def test_the_end_of_an_attempt_ends_what_it_decodes(outside: Outside, file: Path) -> None:
    decodings = Decodings(outside)
    reader = decoder_of(decodings, file)("waiting")
    pid = reader.read_next_batch().column(0)[0].as_py()
    decodings.close()
    wait_until_sync(lambda: not Path(f"/proc/{pid}").exists(), 10)
    with pytest.raises(DecoderEnded):
        reader.read_next_batch()


def test_the_children_end_with_the_one_who_asked(file: Path) -> None:
    outside = Outside()
    reader = decoder_of(Decodings(outside), file)("waiting")
    pid = reader.read_next_batch().column(0)[0].as_py()
    outside.close()
    wait_until_sync(lambda: not Path(f"/proc/{pid}").exists(), 10)
    del reader
