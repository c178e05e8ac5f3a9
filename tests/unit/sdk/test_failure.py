"""Where an error happened, for its author."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from module_sdk.executor.failure import step_error
from module_sdk.loading import load_file
from module_sdk.supervisor.answers import ended, used
from module_sdk.supervisor.attempts import Ending, Head, Held
from module_sdk.supervisor.executor import Exit
from plugmesh.errors import PlugmeshError
from plugmesh.objects.local import LocalStore


def test_an_error_of_our_own_checks_is_placed_at_the_function(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, keep_free_bytes=0)
    with pytest.raises(PlugmeshError) as raised:
        store.read("in/absent")
    assert raised.value.__traceback__ is not None
    own = raised.value.with_traceback(raised.value.__traceback__.tb_next)  # without the line of this test
    assert own.__traceback__ is not None
    error = step_error(own, "a.b@1.0.0", "/mine/f.py", 7)
    assert (error.where, error.traceback) == ("/mine/f.py:7", "")


def test_an_error_in_a_library_is_placed_at_the_authors_call() -> None:
    with pytest.raises(ValueError, match="Expecting") as raised:
        json.loads("nothing")
    error = step_error(raised.value, "a.b@1.0.0", "/mine/f.py", 7)
    assert error.where.startswith(f"{__file__}:")
    assert "decoder.py" in error.traceback


@pytest.mark.parametrize("write", [lambda array: array.fill(0), lambda array: array.setflags(write=True)])
def test_a_write_into_an_input_names_the_way_out(write: Callable[[Any], None]) -> None:
    with pytest.raises(ValueError, match=r"read-only|WRITEABLE") as raised:
        write(np.frombuffer(b"12345678", np.int64))
    assert "array = array.copy()" in step_error(raised.value, "a.b@1.0.0").message


def test_a_syntax_error_is_placed_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "f.py"
    file.write_text("x = 1\ndef (:\n")
    with pytest.raises(SyntaxError) as raised:
        load_file(str(file))
    assert step_error(raised.value, "a.b@1.0.0", str(file)).where == f"{file}:2"


def test_a_timeout_names_the_key_of_the_flow_file() -> None:
    head = Head(type="assign", instance="i", module="a.one", version="0.1.0", timeout_s=3)
    attempt = Held(("r", "s", 1), head, 1, b"", 0.0, concurrent=False, ending=Ending.TIMED_OUT)
    assert "a larger timeout, or" in ended(attempt, Exit("")).message


def test_nobody_knows_what_one_of_several_attempts_in_a_process_used() -> None:
    head, last = Head(type="assign", instance="i"), Exit("", peak_bytes=9, cpu_s=2.0)
    alone = used(Held(("r", "s", 1), head, 1, b"", 0.0, concurrent=False, started_at=5.0), last, 8.0)
    assert alone is not None
    assert (alone.wall_s, alone.cpu_s, alone.peak_memory_bytes) == (3.0, 2.0, 9)
    assert used(Held(("r", "s", 1), head, 1, b"", 0.0, concurrent=True, started_at=5.0), last, 8.0) is None


def test_an_error_in_a_compiled_library_is_placed_at_the_authors_call() -> None:
    with pytest.raises(ArithmeticError) as raised:
        exec(compile("1 / 0", "pyarrow/error.pxi", "exec"))
    assert step_error(raised.value, "a.b@1.0.0", "/mine/f.py", 7).where.startswith(f"{__file__}:")
