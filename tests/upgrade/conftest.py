"""Meshes of several versions."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.upgrade.mesh import NOW, VersionedMesh
from tests.upgrade.versions import NoHistory, environment_before


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the version before."""
    try:
        return environment_before(tmp_path_factory.mktemp("before") / "env")
    except NoHistory as error:
        said = f"the version before cannot be built: this checkout has not its commit ({error})"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)


@pytest.fixture
def make_mesh(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., VersionedMesh]]:
    """A function that makes a mesh, of which nothing runs yet; it is checked at the end of the test."""
    made: list[VersionedMesh] = []

    def make(bin: Path = NOW) -> VersionedMesh:
        made.append(VersionedMesh(tmp_path / f"mesh-{len(made)}", free_port(), bin))
        return made[-1]

    yield make
    for mesh in made:
        mesh.close()
