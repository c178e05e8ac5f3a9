"""A large table through a rowwise module: two processes share it, and what was accepted survives the death of one."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

ROWS, PIECE = 6 * 2**20, 2**20
MODULES = f"""
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from module_sdk import module, serve


@module("cut.made")
def made() -> pa.Table:
    return pa.table({{"n": np.arange({ROWS})}})


@module(
    "cut.double", inputs={{"rows": {{"n": "int64"}}}}, outputs={{"out": {{"...": "rows", "double": "int64"}}}},
    rows="same", rowwise=True,
)
def double(rows: pa.Table, *, gate: str) -> pa.Table:
    first = rows["n"][0].as_py()
    with Path(gate + ".begun").open("a") as begun:
        begun.write(f"{{os.getppid()}} {{first}}\\n")
    while first >= {ROWS // 2} and not Path(gate).exists():
        time.sleep(0.02)
    return rows.append_column("double", pc.multiply(rows["n"], 2))


@module("cut.total")
def total(rows: pa.Table) -> pa.Table:
    wrong = pc.sum(pc.not_equal(rows["double"], pc.multiply(rows["n"], 2))).as_py()
    in_order = rows["n"].equals(pa.chunked_array([np.arange({ROWS})]))
    return pa.table({{"rows": [rows.num_rows], "wrong": [wrong], "in_order": [in_order]}})


if __name__ == "__main__":
    serve(made, double, total, slots=1)
"""


def begun(gate: Path) -> list[tuple[int, int]]:
    """Which supervisor began a piece, and its number, in the order of time."""
    notes = Path(f"{gate}.begun")
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [(int(pid), int(first) // PIECE) for pid, first in map(str.split, lines)]


@pytest.mark.full
def test_two_processes_share_a_table_and_the_pieces_of_one_that_is_killed_are_done_again(mesh: RealMesh) -> None:
    file, gate = mesh.folder / "cut.py", mesh.folder / "gate"
    file.write_text(MODULES)
    for _ in range(2):
        mesh.start_python(file)
    wait_until_sync(lambda: sum("cut.double@0.1.0" in one["modules"] for one in mesh.instances()) == 2, 30)
    nodes = {
        "made": {"module": "cut.made"},
        "double": {"module": "cut.double", "in": "made", "params": {"gate": str(gate)}},
        "total": {"module": "cut.total", "in": "double"},
    }
    run = mesh.submit(json.dumps({"flow": "test/cut", "nodes": nodes, "outputs": {"out": "total"}}))

    def states() -> dict[str, str]:
        return {step["id"]: step["state"] for step in mesh.show(run)["steps"]}

    first = [f"double.{number}" for number in range(3)]
    for step in first:
        mesh.wait_for_step(run, step, "succeeded")
    wait_until_sync(lambda: len({pid for pid, number in begun(gate) if number >= 3}) == 2, 30, message=mesh.said())
    document = mesh.show(run)
    assert document["nodes"]["double"]["succeeded"] == 3
    assert sum(document["nodes"]["double"].values()) == 6
    assert states()["double"] == "pending"
    victim = next(pid for pid, number in begun(gate) if number >= 3)
    os.kill(victim, signal.SIGKILL)
    mesh.killed = True
    gate.touch()
    mesh.finish(run)
    assert mesh.rows(run, "out") == [{"rows": ROWS, "wrong": 0, "in_order": True}]
    times = Counter(number for _, number in begun(gate))
    assert times.keys() == set(range(6))
    assert {number: times[number] for number in range(3)} == {0: 1, 1: 1, 2: 1}, "what was accepted is not done again"
    assert max(times.values()) == 2
    step = mesh.step(run, "double")
    assert step["outputs"]["out"]["rows"] == ROWS
    assert step["reason"] == "6 pieces"
