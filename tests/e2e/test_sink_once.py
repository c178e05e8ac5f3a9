"""`sql.write` on a real mesh: each row once, whoever is killed and however often the run is run again."""

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

ROWS = 200_000
T = TypeVar("T")
STORE = """\
flow: e2e/store
inputs: {data: file}
nodes:
  read: {module: io.read, params: {file: "${inputs.data}"}}
  store: {module: sql.write, in: {rows: read}, params: {url: "sqlite:///sink.db", table: numbers}}
outputs: {stored: store}
"""


def database(mesh: RealMesh) -> Path:
    return mesh.data / "databases" / "sink.db"


def with_database(mesh: RealMesh, do: Callable[[sqlite3.Connection], T]) -> T:
    with closing(sqlite3.connect(database(mesh), isolation_level=None, timeout=60)) as connection:
        return do(connection)


def counted(connection: sqlite3.Connection) -> int:
    try:
        return int(connection.execute("SELECT count(*) FROM numbers").fetchone()[0])
    except sqlite3.OperationalError:  # there is no table yet
        return 0


def submitted(mesh: RealMesh) -> str:
    (mesh.folder / "numbers.csv").write_text("n\n" + "\n".join(map(str, range(ROWS))))
    return mesh.submit(STORE, "-i", "data=numbers.csv")


def stored(mesh: RealMesh) -> Any:
    question = "SELECT count(*), count(DISTINCT n), min(n), max(n) FROM numbers"
    return with_database(mesh, lambda connection: connection.execute(question).fetchone())


@pytest.mark.full
def test_a_sink_that_is_killed_in_the_middle_has_each_row_once(mesh: RealMesh) -> None:
    run = submitted(mesh)
    wait_until_sync(database(mesh).exists, 60, every_s=0.001)

    def kill_in_the_middle(connection: sqlite3.Connection) -> int:
        wait_until_sync(lambda: counted(connection) > 0, 60, every_s=0.0005)
        victim = mesh.builtins()
        executors = [int(child) for child in Path(f"/proc/{victim.pid}/task/{victim.pid}/children").read_text().split()]
        for executor in executors:
            os.kill(executor, signal.SIGSTOP)  # nobody writes now
        before = counted(connection)
        victim.send(signal.SIGKILL)
        wait_until_sync(lambda: not victim.alive)
        for executor in executors:
            with suppress(ProcessLookupError):
                os.kill(executor, signal.SIGKILL)
        return before

    before = with_database(mesh, kill_in_the_middle)
    assert 0 < before < ROWS, "it was not killed in the middle"
    [step] = [step for step in mesh.finish(run)["steps"] if step["id"] == "store"]
    assert step["losses"] == 1
    assert stored(mesh) == (ROWS, ROWS, 0, ROWS - 1)


@pytest.mark.full
def test_a_run_that_is_run_again_writes_nothing_again(mesh: RealMesh) -> None:
    run = submitted(mesh)
    mesh.finish(run)
    again = str(mesh.json("rerun", run, "--start")["id"])
    document = mesh.finish(again)
    assert document["outputs"]["stored"]["value"] == {"rows": ROWS, "written": 0, "skipped": ROWS}
    assert stored(mesh) == (ROWS, ROWS, 0, ROWS - 1)
    mesh.finish(mesh.submit(STORE, "-i", "data=numbers.csv"))
    assert stored(mesh)[0] == 2 * ROWS, "another run is another effect"
