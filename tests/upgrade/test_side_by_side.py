"""Servers and modules of this version and of the version before on one mesh, under load."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugmesh import __version__
from tests.upgrade.mesh import NOW, VersionedMesh
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.full

OLD = "0.1.0"
FLOW = {
    "flow": "upgrade/busy",
    "params": {"n": 0},
    "nodes": {
        "work": {"module": "busy.work", "map": [0, 1, 2], "params": {"n": "${params.n}"}},
        "then": {"module": "table.limit", "in": "work", "params": {"rows": 10}},
    },
    "outputs": {"out": "then"},
}


class Load:
    """Submits a run after the other until it is stopped; who is away is asked again, with the same key."""

    def __init__(self, mesh: VersionedMesh) -> None:
        self._mesh, self._stop = mesh, threading.Event()
        self.runs: list[str] = []
        self._thread = threading.Thread(target=self._submit)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _submit(self) -> None:
        number = 0
        while not self._stop.wait(0.25):
            run = self._mesh.post_run(FLOW, {"n": number}, key=f"run-{number}")
            if run is not None:
                self.runs.append(run)
                number += 1

    def sdks(self, number: int) -> set[str]:
        """The versions of the SDK that did the work of a run, which ends as it should."""
        self._mesh.finish(self.runs[number])
        rows = self._mesh.rows(self.runs[number], "out")
        assert [row["n"] for row in rows] == [number] * 3
        return {row["sdk"] for row in rows}

    def wait_for_both(self) -> None:
        """Until runs that were submitted from now on were done by modules of both versions."""
        number, seen = len(self.runs), set[str]()

        def both() -> bool:
            nonlocal number
            if len(self.runs) > number:
                seen.update(self.sdks(number))
                number += 1
            return seen == {OLD, __version__}

        wait_until_sync(both, 90, message=f"not both work{self._mesh.said()}")


def test_runs_go_on_while_servers_change_their_version_and_back(
    before: Path, make_mesh: Callable[..., VersionedMesh]
) -> None:
    mesh = make_mesh(before)
    options = ("--slots", "1")
    mesh.up(*options)
    assert mesh.ask("/healthz")["version"] == OLD
    old = mesh.serve("busy_module.py", slots=2)
    mesh.bin = NOW
    new = mesh.serve("busy_module.py", slots=2)
    load = Load(mesh)
    with load.running():
        load.wait_for_both()
        assert mesh.stop() == 0
        mesh.up(*options)
        assert mesh.ask("/healthz")["version"] == __version__
        load.wait_for_both()
        mesh.kill_server()
        mesh.bin = before
        mesh.up(*options)
        load.wait_for_both()
        new.send_signal(signal.SIGTERM)
        assert new.wait(60) == 0
        mesh.bin = NOW
        mesh.serve("busy_module.py", slots=2)
        load.wait_for_both()
        assert mesh.stop() == 0
        mesh.up(*options)
        load.wait_for_both()
        old.send_signal(signal.SIGTERM)
        assert old.wait(60) == 0
    for run in load.runs:
        mesh.finish(run)
