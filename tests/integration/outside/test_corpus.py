"""Broken and hostile files: each ends in a table or in an error that names it, and the process that asked lives on."""

import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from modules.csv_reader import CsvOptions
from modules.formats import kind_of
from modules.io_read import DECODER
from plugmesh.data.outside.job import DecodeLimits, Job
from plugmesh.data.outside.outside import Decodings, Outside
from plugmesh.errors import DataError
from tests.integration.outside.hostile import HOSTILE
from tests.unit.data.corpus import base_files, case

QUICK, FULL = 120, 6_000
LIMITS = DecodeLimits(memory_bytes=256 * 1024**2, cpu_s=20, output_bytes=8 * 1024**2)


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    outside = Outside()
    yield outside
    outside.close()


def ending(outside: Outside, name: str, content: bytes) -> str:
    """`table`, or the code and the message of the error."""
    arguments = {
        "kind": asdict(kind_of(name, "auto")),
        "csv": asdict(CsvOptions()),
        "columns": [],
        "types": {},
        "reject": False,
        "wanted": None,
        "filters": [],
    }
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            table = (
                Decodings(outside)
                .decode(Job(DECODER, name, LIMITS, arguments), file.fileno(), lambda _: None)
                .read_all()
            )
        except DataError as error:
            return f"{error.code}: {error}"
        table.validate(full=True)
        return "table"


@pytest.mark.parametrize("name", sorted(base_files()))
def test_the_whole_file_is_a_table(outside: Outside, name: str) -> None:
    assert ending(outside, name, base_files()[name]) == "table"


def _check(outside: Outside, seeds: range) -> Counter[str]:
    found: Counter[str] = Counter()
    ending(outside, "rows.csv", b"a\n1\n")
    process, descriptors = outside.pids, len(os.listdir("/proc/self/fd"))
    for seed in seeds:
        broken = case(seed)
        said = ending(outside, broken.name, broken.content)
        assert said == "table" or broken.name in said, f"{broken}: {said}"
        assert outside.pids == process, f"{broken}: the process that forks has ended"
        found[said.partition(":")[0] if "crashed" not in said else said.partition("(")[2].partition(")")[0]] += 1
    assert len(os.listdir("/proc/self/fd")) < descriptors + 20
    return found


@pytest.mark.full
def test_broken_files_end_in_a_table_or_an_error(outside: Outside) -> None:
    found = _check(outside, range(QUICK))
    assert found["file-unreadable"] > QUICK / 4
    assert found["table"] > QUICK / 20


@pytest.mark.full
def test_thousands_of_broken_files_end_in_a_table_or_an_error(outside: Outside, request: pytest.FixtureRequest) -> None:
    start = random.Random(request.config.option.run_seed).randrange(2**40)
    print(f"corpus: seeds from {start}")
    print(f"corpus: {dict(_check(outside, range(start, start + FULL)))}")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full if HOSTILE[name].large else ()) for name in sorted(HOSTILE)]
)
def test_a_hostile_file_ends_in_its_error(outside: Outside, name: str) -> None:
    hostile = HOSTILE[name]
    said = ending(outside, hostile.name, hostile.content())
    assert re.search(hostile.says, said), said
    assert ending(outside, "rows.csv", b"a\n1\n") == "table"
