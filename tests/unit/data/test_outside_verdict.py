"""How a child ended, in words, and how much a file may take."""

import signal

import pytest

from plugmesh.data.outside.job import DecodeLimits, Job, limits_for
from plugmesh.data.outside.verdict import Ending, verdict
from plugmesh.errors import DecoderEnded, FileUnreadable

JOB = Job("m:f", "a.parquet", DecodeLimits(memory_bytes=1000, cpu_s=5, output_bytes=10))
GIB = 1024**3


def ended(number: int, cpu_s: float = 0.1, said: str = "") -> Ending:
    return Ending(-number, cpu_s, 1000, said)


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        (ended(signal.SIGSEGV), "the decoder crashed (SIGSEGV): is it whole"),
        (ended(signal.SIGBUS), "the decoder crashed (SIGBUS)"),
        (ended(signal.SIGABRT, said="a\nthrift: invalid length\n\n"), "(SIGABRT), saying 'thrift: invalid length'"),
        (ended(signal.SIGABRT, said="memory allocation of 99 bytes failed"), "within 1,000 bytes of memory"),
        (ended(signal.SIGABRT, said="terminate called after throwing std::bad_alloc"), "within 1,000 bytes of memory"),
        (ended(signal.SIGXCPU, 5.2), "was not decoded after 5 s of CPU time"),
        (ended(signal.SIGKILL, 10.0), "was not decoded after 10 s of CPU time"),
        (ended(40), "the decoder crashed (signal 40)"),
        (Ending(1, 0.0, 0), "the decoder ended with code 1"),
    ],
)
def test_the_file_is_named_with_what_happened(ending: Ending, says: str) -> None:
    error = verdict(JOB, ending)
    assert isinstance(error, FileUnreadable)
    assert str(error).startswith("file: 'a.parquet' ")
    assert says in str(error)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_who_was_ended_by_somebody_says_so(number: int) -> None:
    assert isinstance(verdict(JOB, ended(number)), DecoderEnded)


def test_limits_of_the_attempt_come_first_but_for_bombs() -> None:
    own = limits_for(100 * 1024**2, memory_bytes=7, cpu_s=8, output_bytes=9)
    assert (own.memory_bytes, own.cpu_s, own.output_bytes) == (7, 8, 9)
    assert limits_for(1000, output_bytes=50 * GIB).output_bytes == 8 * GIB
    assert limits_for(GIB, output_bytes=50 * GIB).output_bytes == 50 * GIB


def test_a_larger_file_may_take_longer_and_become_larger() -> None:
    small, large = limits_for(1024), limits_for(100 * GIB)
    assert small.cpu_s == pytest.approx(60, abs=0.1)
    assert large.cpu_s > 100 * 1024
    assert large.output_bytes > small.output_bytes == 8 * GIB


def test_a_job_survives_its_document() -> None:
    assert Job.of(JOB.document()) == JOB
