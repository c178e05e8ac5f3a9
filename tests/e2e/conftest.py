"""Meshes of real processes: one shared by the tests of a file, or one that a test may hurt."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.real_servers.ports import is_free
from tests.e2e.real_mesh import RealMesh

MakeMesh = Callable[..., RealMesh]


@pytest.fixture
def make_mesh(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[MakeMesh]:
    """A function that starts a mesh with options of `plugmesh up`; all are ended, and checked, afterwards."""
    made: list[RealMesh] = []

    def make(*options: str) -> RealMesh:
        folder = tmp_path / f"mesh-{len(made)}"
        folder.mkdir()
        made.append(RealMesh(folder, free_port()))
        made[-1].up(*options)
        return made[-1]

    yield make
    for mesh in made:
        mesh.close()


@pytest.fixture
def mesh(make_mesh: MakeMesh) -> RealMesh:
    """A mesh of this test alone."""
    return make_mesh()


@pytest.fixture(scope="module")
def shared_mesh(tmp_path_factory: pytest.TempPathFactory, _ports: Iterator[int]) -> Iterator[RealMesh]:
    """One mesh for all tests of a file: they do not hurt it."""
    mesh = RealMesh(tmp_path_factory.mktemp("mesh"), next(port for port in _ports if is_free(port)))
    mesh.up()
    yield mesh
    mesh.close()
