"""The wheel's own command runs a mesh in a folder whose files bear the names of our server folders."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.waiting import wait_until_sync

MODULE = '''
import pyarrow as pa
from module_sdk import module, serve
from scheduler import GREETING


@module("shop.greet")
def greet() -> pa.Table:
    """Return one row with the greeting of the author's own scheduler.py."""
    return pa.table({"greeting": [GREETING]})


if __name__ == "__main__":
    serve(greet)
'''
FLOW = """
flow: shop/greeting
nodes:
  greet: {module: shop.greet}
outputs:
  greeting: greet
"""


class InstalledMesh:
    """The installed `plugmesh` command, run from the author's folder."""

    def __init__(self, bin_folder: Path, folder: Path, port: int) -> None:
        self.bin, self.folder, self.port = bin_folder, folder, port
        self.environment = {**os.environ, "PLUGMESH_URL": f"http://127.0.0.1:{port}", "PYTHONSAFEPATH": ""}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        log = (self.folder.parent / f"{len(self.started)}.log").open("w+")
        with log:
            process = subprocess.Popen(
                [str(self.bin / "plugmesh"), *arguments],
                cwd=self.folder, env=self.environment, stdout=log, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "plugmesh"), *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def modules(self) -> str:
        """What `plugmesh modules --json` says (compact JSON), or nothing while the mesh cannot be reached."""
        answer = self.ask("modules", "--json")
        return json.dumps(json.loads(answer.stdout)) if answer.returncode == 0 else ""

    def logs(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.folder.parent.glob("*.log")))

    def stop(self) -> None:
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def mesh(installed: Path, author_folder: Path, free_port: Callable[[], int], tmp_path: Path) -> Iterator[InstalledMesh]:
    mesh = InstalledMesh(installed, author_folder, free_port())
    mesh.start("up", "--port", str(mesh.port), "--data", str(tmp_path / "data"))
    try:
        yield mesh
    finally:
        mesh.stop()


@pytest.mark.full
def test_the_mesh_serves_its_built_in_modules_and_not_the_authors_folder(mesh: InstalledMesh) -> None:
    wait_until_sync(lambda: "table.filter" in mesh.modules(), within_s=60, message=mesh.logs())


@pytest.mark.full
def test_an_authors_module_imports_the_authors_own_files(mesh: InstalledMesh) -> None:
    (mesh.folder / "shop.py").write_text(MODULE)
    (mesh.folder / "greeting.yaml").write_text(FLOW)
    mesh.start("module", "serve", "shop.py")
    wait_until_sync(lambda: "shop.greet" in mesh.modules(), within_s=60, message=mesh.logs())
    out = mesh.folder / "out"
    done = mesh.ask("run", "greeting.yaml", "--follow", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr + mesh.logs()
    assert [path.name for path in out.iterdir()]
