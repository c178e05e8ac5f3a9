"""Real processes that end themselves by `kill -9` at a crash point of a chain; the others go on, and the run ends.

All points share one mesh: it has to survive them one after another.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from plugmesh.runtime_loader import VARIABLE as RUNTIME
from tests.conftest import _is_free
from tests.crash.killing_runtime import VARIABLE as TRAP
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

MODULES = '''
import pyarrow as pa
import pyarrow.compute as pc
from module_sdk import module, serve


@module("crash.start")
def start() -> pa.Table:
    """Three rows."""
    return pa.table({"n": [1, 2, 3]})


@module("crash.double")
def double(rows: pa.Table) -> pa.Table:
    """Twice as much."""
    return pa.table({"n": pc.multiply(rows["n"], 2)})


if __name__ == "__main__":
    serve(start, double)
'''
CHAIN = {
    "flow": "crash/chain",
    "nodes": {
        "one": {"module": "crash.start"},
        "two": {"module": "crash.double", "in": "one"},
        "three": {"module": "crash.double", "in": "two"},
    },
    "outputs": {"result": "three"},
}
WITHIN_S = 60


class TrappedMesh:
    """A mesh whose processes die at the trap, and are started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.trap = folder / "trap"
        self.mesh = RealMesh(folder, port)
        (folder / "steps.py").write_text(MODULES)
        self.module: subprocess.Popen[bytes]

    def up(self) -> None:
        """Start the server and the module."""
        self.mesh.up("--no-builtins")
        self._serve()
        self._wait_for_module()

    def _serve(self) -> None:
        self.module = self.mesh.start("module", "serve", "steps.py", "--slots", "1")

    def _wait_for_module(self) -> None:
        wait_until_sync(lambda: "crash.start" in self.mesh.module_names(), WITHIN_S, message=self.mesh.said())

    def set(self, point: str, nth: int) -> None:
        """Set the trap; it appears all at once."""
        draft = self.trap.with_name("draft")
        draft.write_text(f"{point} {nth}")
        draft.rename(self.trap)

    def look_after(self) -> None:
        """Start again whatever has died."""
        if self.mesh.server.poll() is not None:
            self.mesh.up("--no-builtins")
        if self.module.poll() is not None:
            self._serve()

    def run_chain(self) -> str:
        """Submit the chain until there is an answer, and see it to its end, looking after the processes; its id."""
        key = uuid.uuid4().hex
        run = wait_until_sync(lambda: self._submit(key), WITHIN_S, message=self.mesh.said())
        assert run is not None
        wait_until_sync(lambda: self._ended(run), WITHIN_S, message=f"{self.mesh.show(run)}{self.mesh.said()}")
        return run

    def rows(self, run: str) -> list[dict[str, int]] | None:
        """What the run's output holds; `None` while the server is not there."""
        self.look_after()
        return None if self.mesh.show(run) is None else self.mesh.rows(run, "result")

    def _submit(self, key: str) -> str | None:
        self.look_after()
        request = urllib.request.Request(
            f"{self.mesh.url}/api/v1/runs",
            data=json.dumps({"flow": CHAIN}).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": key},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        answer = None
        with suppress(OSError), opener.open(request, timeout=30) as response:  # also 503: the outcome is unknown
            answer = str(json.loads(response.read())["id"])
        return answer

    def _ended(self, run: str) -> bool:
        self.look_after()
        document = self.mesh.ask(f"/api/v1/runs/{run}?wait_s=1")
        if document is None or document["state"] in {"queued", "running"}:
            return False
        assert document["state"] == "succeeded", f"{document}{self.mesh.said()}"
        return True


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory, _ports: Iterator[int]) -> Iterator[TrappedMesh]:
    folder = tmp_path_factory.mktemp("trapped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNTIME, f"{Path(__file__).with_name('killing_runtime.py')}:make")
        patch.setenv(TRAP, str(folder / "trap"))
        trapped = TrappedMesh(folder, next(port for port in _ports if _is_free(port)))
    trapped.up()
    yield trapped
    trapped.mesh.close()  # checks the invariants


QUICK = [
    ("state.commit.before_commit", 1),
    ("state.commit.after_commit", 2),
    ("engine.effects.between", 1),
    ("supervisor.before-publish", 2),
    ("supervisor.after-publish", 1),
]
FULL = [
    (point, nth)
    for point in (
        "state.commit.before_commit", "state.commit.after_commit", "state.renew.before_commit",
        "state.renew.after_commit", "engine.effects.before", "engine.effects.between", "engine.effects.after",
        "supervisor.before-publish", "supervisor.after-publish",
    )
    for nth in (1, 2, 3)
    if (point, nth) not in QUICK
]  # fmt: skip


@pytest.mark.parametrize(
    ("point", "nth"), QUICK + [pytest.param(point, nth, marks=pytest.mark.full) for point, nth in FULL]
)
def test_a_chain_ends_right_although_a_process_kills_itself(trapped: TrappedMesh, point: str, nth: int) -> None:
    trapped.look_after()
    trapped.set(point, nth)
    run = trapped.run_chain()
    wait_until_sync(lambda: not trapped.trap.exists(), WITHIN_S, message=f"nobody passed {point}")
    wait_until_sync(lambda: trapped.rows(run) == [{"n": 4}, {"n": 8}, {"n": 12}], WITHIN_S)
