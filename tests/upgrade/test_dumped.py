"""A database of the version before, whose mesh was killed with runs in every state, is upgraded and worked off by this one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.upgrade.dumps import load
from tests.upgrade.make_dump import NAME
from tests.upgrade.mesh import VersionedMesh
from tests.upgrade.story import end

pytestmark = pytest.mark.full

MakeMesh = Callable[..., VersionedMesh]


def test_every_run_of_the_version_before_ends_as_it_should(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    runs = load(NAME, mesh.data)
    mesh.up("--slots", "2")
    end(mesh, runs)
