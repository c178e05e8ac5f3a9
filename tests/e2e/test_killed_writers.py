"""Processes are killed in the middle of writing large tables into files that are used again, while a hasty sweeper frees them:
every run reads what was written for it, and in the end nothing is left but free files."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugmesh.runtime_loader import VARIABLE as RUNTIME
from tests.crash import killing_runtime
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

ROWS = 400_000
COLUMN_BYTES = ROWS * 8

AUTHOR = f"""
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from module_sdk import module, serve


@module("big.make")
def make(*, seed: int) -> pa.Table:
    return pa.table({{"c0": np.arange(seed, seed + {ROWS})}})


@module("big.add")
def add(table: pa.Table) -> pa.Table:
    return table.append_column(f"c{{table.num_columns}}", pc.add(table.column(table.num_columns - 1), 1))


@module("big.check")
def check(table: pa.Table, *, seed: int) -> pa.Table:
    for number, column in enumerate(table.columns):
        expected = np.arange(seed + number, seed + number + {ROWS})
        if not (column.to_numpy() == expected).all():
            raise ValueError(f"wrong bytes in column {{number}}")
    return pa.table({{"columns": [table.num_columns]}})


if __name__ == "__main__":
    serve(make, add, check)
"""
RETRY = {"attempts": 10, "delay": "50ms", "max_delay": "100ms"}
HASTY = ("retention_data_s=0.2", "retention_grace_s=0.2", "sweep_every_s=0.2", "retention_logs_s=0.2")
POINTS = [
    ("executor", "objects.commit.before_rename", 1),
    ("executor", "objects.commit.after_rename", 2),
    ("executor", "objects.commit.before_rename", 3),
    ("supervisor", "supervisor.before-publish", 2),
    ("supervisor", "supervisor.after-publish", 3),
]


def flow(seed: int) -> str:
    nodes: dict[str, object] = {"make": {"module": "big.make", "params": {"seed": seed}, "retry": RETRY}}
    before = "make"
    for name in ("one", "two", "three"):
        nodes[name] = {"module": "big.add", "in": before, "retry": RETRY}
        before = name
    nodes["check"] = {"module": "big.check", "in": before, "params": {"seed": seed}, "retry": RETRY}
    return json.dumps({"flow": "big", "nodes": nodes, "outputs": {"out": "check"}})


class Killed:
    """A mesh whose writers die at a trap."""

    def __init__(self, folder: Path, port: int) -> None:
        self.trap = folder / "trap"
        runtime = f"{Path(killing_runtime.__file__)}:make"
        self.mesh = RealMesh(folder, port, {RUNTIME: runtime, killing_runtime.VARIABLE: str(self.trap)})
        (folder / "big.py").write_text(AUTHOR)
        settings = [word for setting in HASTY for word in ("--set", setting)]
        self.mesh.up("--no-builtins", *settings)
        self.objects = self.mesh.data / "objects"
        self._serve()

    def run(self, seed: int) -> None:
        """A run that must succeed, whoever is killed; starts again who was."""
        run = self.mesh.submit(flow(seed))
        wait_until_sync(lambda: self._ended(run), 60, message=f"{run} does not end{self.mesh.said()}")
        self.mesh.finish(run)

    def _serve(self) -> None:
        self.serving = self.mesh.start("module", "serve", "big.py", "--slots", "1")
        wait_until_sync(lambda: "big.check" in self.mesh.module_names(), 30, message=self.mesh.said())

    def _ended(self, run: str) -> bool:
        if self.serving.poll() is not None:
            self._serve()
        for module in (self.mesh.ask("/api/v1/modules") or {"modules": ()})["modules"]:
            if module.get("disabled"):
                self.mesh.cli("modules", "enable", module["name"])
        return bool((self.mesh.show(run) or {}).get("ended_at"))

    def kinds(self) -> list[str]:
        return sorted(os.listdir(self.objects / "objects"))

    def files(self, folder: str) -> list[Path]:
        found = os.walk(self.objects / folder)  # which, unlike `rglob`, does not mind what goes meanwhile
        return [Path(where) / name for where, _, names in found for name in names]


@pytest.fixture
def killed(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Killed]:
    killed = Killed(tmp_path, free_port())
    yield killed
    killed.mesh.close()


@pytest.mark.full
def test_nothing_is_lost_mixed_up_or_left_behind(killed: Killed) -> None:
    killed.run(0)
    wait_until_sync(lambda: killed.files("free"), 30, message=killed.mesh.said())
    for number, (role, point, nth) in enumerate(POINTS, 1):
        killed.trap.write_text(f"{role} {point} {nth}")
        killed.run(number * 1_000_000)
        assert not killed.trap.exists(), f"nobody passed {point}"
        killed.run(number * 1_000_000 + 500_000)
    # Folders without files go, too, but a moment later.
    wait_until_sync(lambda: killed.kinds() == ["contracts", "mesh"], 60, message=f"{killed.files('objects/data')}")
    wait_until_sync(lambda: not killed.files("tmp"), 60, message=f"{killed.files('tmp')}")
    free = killed.files("free")
    assert 0 < len(free) < 4 * 2 * len(POINTS)
    for path in free:
        assert path.stat().st_nlink == 1
        assert path.stat().st_size >= COLUMN_BYTES
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
