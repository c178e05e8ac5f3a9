"""New modules, and trials of modules without a mesh."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk import Column, module
from plugmesh.cli.commands.authoring.commands import test_file_of as file_of_test
from plugmesh.cli.commands.authoring.commands import write_new
from plugmesh.cli.commands.authoring.sample import inputs_for, made_values, params_for, read_file
from plugmesh.cli.commands.authoring.template import Frame, Kind, new_module
from plugmesh.cli.commands.authoring.trial import Trial
from plugmesh.cli.commands.authoring.watching import Watched
from plugmesh.data.types import parse_type
from plugmesh.errors import ConfigurationError, NotFound
from tests.waiting import wait_until_sync

ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}


def try_out(folder: Path, name: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = Trial(str(folder / name), **options).command()
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)


RUN_TESTS = """
import inspect, pathlib, runpy, sys, tempfile
for file in sys.argv[1:]:
    found = runpy.run_path(file)
    for test in [value for name, value in found.items() if name.startswith("test_")]:
        with tempfile.TemporaryDirectory() as folder:
            wants = inspect.signature(test).parameters
            test(**({"tmp_path": pathlib.Path(folder)} if wants else {}))
            print("ok")
"""


def test_every_new_module_passes_its_own_tests(tmp_path: Path) -> None:
    made = [write_new(f"my.{kind}_{frame}", kind, frame, tmp_path) for kind in Kind for frame in Frame]
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN_TESTS, *(one["test"] for one in made)],
        capture_output=True, text=True, check=False, env={**ENVIRONMENT, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "ok\n" * 18), done.stderr


@pytest.mark.parametrize("name", ["Orders.total", "orders.", "orders..x", "1.x", "a b", "", "../x", "x/y"])
def test_a_name_that_no_module_can_have_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"orders\.price_total"):
        new_module(name, Kind.SOURCE, Frame.ARROW)


@pytest.mark.parametrize("name", ["x" * 101, ".".join(["x" * 90] * 3)])
def test_a_name_that_is_too_long_is_refused_before_a_file_gets_it(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"too long for the name of a module: at most 200 characters"):
        new_module(name, Kind.SOURCE, Frame.ARROW)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,10}(\.[a-z][a-z0-9_]{0,10}){0,2}", fullmatch=True))
def test_every_name_of_a_module_gives_python(name: str) -> None:
    for kind in Kind:
        compile(new_module(name, kind, Frame.PANDAS).text, "new.py", "exec")
        compile(new_module(name, kind, Frame.PANDAS).test, "test_new.py", "exec")


@pytest.mark.parametrize("name", ["data.import", "x.pd", "x.run", "x.json"])
def test_a_word_that_python_or_the_file_uses_gets_an_underscore(name: str) -> None:
    assert new_module(name, Kind.SINK, Frame.PANDAS).function == f"{name.rpartition('.')[2]}_"


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_total.py").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"test_total\.py is there already"):
        write_new("orders.total", Kind.SOURCE, Frame.ARROW, tmp_path)
    assert not (tmp_path / "total.py").exists()


@pytest.mark.parametrize(
    "kind",
    ["int64", "uint8", "float32", "bool", "string", "large_string", "binary", "date32", "timestamp[us, tz=UTC]",
     "time64[us]", "duration[ms]", "decimal128(10, 2)", "list<int64>", "struct<a: int64, b: string>",
     "dictionary<values=string, indices=int32>"],
)  # fmt: skip
def test_a_sample_has_the_type_that_a_port_asks_for(kind: str) -> None:
    wanted = parse_type(kind)
    assert wanted is not None
    values = made_values(wanted)
    assert values.type == wanted
    assert values.null_count == 1


POINTS = Column("points")


@module("t.by", inputs={"rows": {"team": "string"}})
def by(rows: pa.Table, *, by: Column = POINTS, top: int) -> pa.Table:
    """By."""
    return rows


def test_a_sample_has_the_columns_of_the_contract_and_those_that_params_name() -> None:
    params = params_for(by.contract, {"top": "3"})
    assert params == {"top": 3}
    assert inputs_for(by.contract, {}, params)["rows"].column_names == ["team", "points"]


def test_a_param_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="--param top=VALUE"):
        params_for(by.contract, {})
    with pytest.raises(ConfigurationError, match="has no input 'row'; it has: rows"):
        inputs_for(by.contract, {"row": "x.csv"}, {})
    with pytest.raises(NotFound, match=r"rows=nope\.csv"):
        inputs_for(by.contract, {"rows": "nope.csv"}, {})


def test_a_file_is_read_by_its_ending(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,m\n1,2\n")
    (tmp_path / "a.jsonl").write_text('{"n": 1}\n')
    (tmp_path / "a.json").write_text('[{"n": 1}]')
    (tmp_path / "a.xyz").write_text("")
    assert read_file(tmp_path / "a.csv").column_names == ["n", "m"]
    assert read_file(tmp_path / "a.jsonl").num_rows == read_file(tmp_path / "a.json").num_rows == 1
    with pytest.raises(ConfigurationError, match=r"known are \.csv"):
        read_file(tmp_path / "a.xyz")


GOOD = "import pyarrow as pa\nfrom module_sdk import module\nfrom beside import WORD\n\n@module('a.b')\ndef b() -> pa.Table:\n"
RETURN = "    print('said')\n    return pa.table({'word': [WORD]})\n"


def test_a_trial_shows_outputs_and_what_was_printed(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WORD = 'hi'")
    (tmp_path / "b.py").write_text(GOOD + RETURN)
    done = try_out(tmp_path, "b.py")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "said"
    assert "out: 1 row (word string)" in done.stdout
    document = json.loads(try_out(tmp_path, "b.py", as_json=True).stdout)
    assert document["trials"][0]["outputs"]["out"]["first"] == [{"word": "hi"}]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("x = (\n", 1, "b.py:1: SyntaxError"),
        ("import nowhere_at_all\n", 1, "b.py:1: ModuleNotFoundError"),
        ("x = 1\n", 2, "decorate a function with @module"),
        (GOOD.replace("beside", "os").replace("WORD", "sep") + "    return 1 // 0\n", 1, "b.py:7: ZeroDivisionError"),
        (GOOD.replace("beside", "os").replace("WORD", "sep") + "    return None\n", 1, "nothing"),
    ],
)
def test_a_mistake_is_shown_at_the_authors_line(tmp_path: Path, text: str, code: int, words: str) -> None:
    (tmp_path / "b.py").write_text(text)
    done = try_out(tmp_path, "b.py")
    assert done.returncode == code
    assert words in done.stderr
    assert "plugmesh/cli" not in done.stderr, "none of our own lines"


def test_a_test_is_found_beside_the_file_or_in_tests(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    assert file_of_test(file) is None
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").touch()
    assert file_of_test(file) == tmp_path / "tests" / "test_a.py"


def test_a_file_that_is_away_for_a_moment_has_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    watched = Watched([str(file)])
    file.unlink()
    assert watched.changed() == []
    file.write_text("12")
    assert watched.changed() == [str(file)]
    assert watched.changed() == []


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    (tmp_path / "beside.py").write_text("WORD = 'first'")
    (tmp_path / "b.py").write_text(GOOD + RETURN)
    with (tmp_path / "said").open("wb") as said:
        command = [str(Path(sys.prefix) / "bin" / "plugmesh"), "module", "dev", "b.py"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=said, stderr=said, env=ENVIRONMENT)
    yield process, tmp_path
    process.kill()
    process.wait()


@pytest.mark.full
def test_dev_runs_again_when_an_imported_file_is_saved(dev: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, folder = dev

    def said(words: str) -> bool:
        return words in (folder / "said").read_text()

    wait_until_sync(lambda: said("watching b.py and 1 more file"), 30)
    (folder / "beside.py").write_text("WORD = 'second thoughts'")
    wait_until_sync(lambda: said("second thoughts"), 30)
    (folder / "beside.py").write_text("WORD = ")
    wait_until_sync(lambda: said("SyntaxError"), 30)
    (folder / "beside.py").write_text("WORD = 'third time lucky'")
    wait_until_sync(lambda: said("third time lucky"), 30)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not said("Traceback")


@pytest.mark.full
def test_dev_ends_a_module_that_loops_when_it_is_saved(dev: tuple[subprocess.Popen[bytes], Path]) -> None:
    _, folder = dev
    wait_until_sync(lambda: "watching" in (folder / "said").read_text(), 30)
    (folder / "b.py").write_text(GOOD + "    print('loops')\n    while True: pass\n")
    wait_until_sync(lambda: "loops" in (folder / "said").read_text(), 30)
    (folder / "b.py").write_text(GOOD + "    print('ends')\n" + RETURN)
    wait_until_sync(lambda: "ends" in (folder / "said").read_text(), 30)
