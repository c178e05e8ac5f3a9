"""A module file becomes part of a running mesh, and flows use it."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.authors import FAILING, SLOW, flow_of, greet
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync


@pytest.fixture
def author(shared_mesh: RealMesh) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = shared_mesh.folder / name
        path.write_text(text)
        return path

    return write


def test_a_module_that_is_started_appears_and_leaves_when_it_ends(
    shared_mesh: RealMesh, author: Callable[[str, str], Path]
) -> None:
    process = shared_mesh.start("module", "serve", str(author("hello.py", greet("hello.world"))))
    wait_until_sync(lambda: "hello.world" in shared_mesh.module_names(), 30, message=shared_mesh.said())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    wait_until_sync(lambda: "hello.world" not in shared_mesh.module_names())
    assert "hello.world" in shared_mesh.module_names(live=False)


def test_a_parked_run_goes_on_when_its_module_is_started(
    shared_mesh: RealMesh, author: Callable[[str, str], Path]
) -> None:
    run = shared_mesh.submit(flow_of("late.comer", text="at last"))
    shared_mesh.wait_for_step(run, "it", "parked")
    process = shared_mesh.start("module", "serve", str(author("late.py", greet("late.comer"))))
    shared_mesh.finish(run)
    assert shared_mesh.rows(run, "out") == [{"text": "at last"}]
    process.terminate()
    assert process.wait(timeout=30) == 0


def test_an_authors_script_serves_itself(shared_mesh: RealMesh, author: Callable[[str, str], Path]) -> None:
    process = shared_mesh.start_python(author("itself.py", greet("serves.itself")))
    run = shared_mesh.submit(flow_of("serves.itself"))
    shared_mesh.finish(run)
    process.terminate()
    assert process.wait(timeout=30) == 0


def test_a_failing_module_shows_its_error_its_place_and_its_log(
    shared_mesh: RealMesh, author: Callable[[str, str], Path]
) -> None:
    shared_mesh.start("module", "serve", str(author("bad.py", FAILING)))
    run = shared_mesh.submit(flow_of("bad.divide"))
    document = shared_mesh.finish(run, "failed")
    [step] = document["steps"]
    assert step["error"]["type"] == "ZeroDivisionError"
    assert "bad.py:10" in step["error"]["where"] + step["error"]["traceback"]
    shown = shared_mesh.cli("show", run).stdout
    assert "ZeroDivisionError" in shown
    assert "about to divide" in shared_mesh.cli("logs", run, "it").stdout
    assert "it: " in shared_mesh.cli("logs", run).stdout


def test_a_cancelled_run_ends_while_its_step_runs(shared_mesh: RealMesh, author: Callable[[str, str], Path]) -> None:
    shared_mesh.start("module", "serve", str(author("slow.py", SLOW)))
    gate = shared_mesh.folder / "never"
    run = shared_mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: Path(f"{gate}.begun").exists(), 30, message=shared_mesh.said())
    begun = time.monotonic()
    shared_mesh.cli("cancel", run, "--reason", "no need")
    document = shared_mesh.finish(run, "cancelled")
    assert "no need" in document["reason"]
    assert time.monotonic() - begun < 30
