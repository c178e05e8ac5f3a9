"""The object store that docs/howto/write-a-driver.md writes, installed beside Plugmesh and used by a mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime
from tests.docs.blocks import blocks_of
from tests.e2e.real_mesh import RealMesh

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "write-a-driver.md"
MODULE = """
import pyarrow as pa
from module_sdk import module

@module("numbers.double")
def double(rows: pa.Table) -> pa.Table:
    return rows.append_column("twice", pa.array([2 * n for n in rows["n"].to_pylist()]))
"""
FLOW = """
flow: numbers/twice
inputs: {numbers: {kind: file}}
nodes:
  read: {module: io.read, params: {file: "${inputs.numbers}"}}
  double: {module: numbers.double, in: {rows: read}}
outputs: {twice: double}
"""


def installed(folder: Path) -> Path:
    """What `pip install` makes of the page's package: its file, and the record of its entry point."""
    blocks = {block.file: block.text for block in blocks_of(PAGE.read_text()) if block.file}
    record = folder / "plugmesh_cabinet-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: plugmesh-cabinet\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[plugmesh.objects]\ncabinet = cabinet:open_cabinet\n")
    (folder / "cabinet.py").write_text(blocks["cabinet/cabinet.py"])
    return folder


@pytest.fixture
def mesh(tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[RealMesh]:
    packages = installed(tmp_path / "packages")
    monkeypatch.syspath_prepend(packages)
    folder = tmp_path / "mesh"
    folder.mkdir()
    variables = {"PYTHONPATH": str(packages), "PLUGMESH_OBJECTS": f"cabinet://{tmp_path}/objects.db"}
    mesh = RealMesh(folder, free_port(), variables)
    mesh.up()
    yield mesh
    mesh.close()


@pytest.mark.full
def test_a_mesh_keeps_its_data_in_the_store_of_another_package(mesh: RealMesh, tmp_path: Path) -> None:
    (mesh.folder / "numbers.py").write_text(MODULE)
    (mesh.folder / "numbers.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(20_000)))
    mesh.start("module", "serve", "numbers.py")
    run = mesh.submit(FLOW, "--input", "numbers=numbers.csv")
    mesh.finish(run)
    assert mesh.rows(run, "twice")[:3] == [{"n": 0, "twice": 0}, {"n": 1, "twice": 2}, {"n": 2, "twice": 4}]
    store = open_store(f"cabinet://{tmp_path}/objects.db", SystemRuntime())
    keys = [stored.key for stored in store.list(f"data/numbers/{run}/")]
    assert {key.split("/")[3] for key in keys} == {"read", "double"}
