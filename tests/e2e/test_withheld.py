"""Modules that `plugmesh up` starts never see the database, nor the variables that only its URL names."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.authors import greet
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync


@pytest.mark.full
def test_modules_do_not_inherit_the_variables_of_the_databases_url(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    (tmp_path / "authors").mkdir()
    (tmp_path / "authors" / "first.py").write_text(greet("is.first"))
    state = f"sqlite:///{tmp_path}/${{STATE_PASSWORD}}.db"
    variables = {"PLUGMESH_STATE": state, "STATE_PASSWORD": "of-the-database", "STORE_PASSWORD": "of-the-store"}
    mesh = RealMesh(tmp_path, free_port(), variables)
    try:
        mesh.up("--modules", str(tmp_path / "authors"))
        wait_until_sync(lambda: "is.first" in mesh.module_names(), 30, message=mesh.said())
        assert (tmp_path / "of-the-database.db").exists()
        for name in ("builtins", "first"):
            child = mesh.child(name)
            assert child is not None
            inherited = Path(f"/proc/{child.pid}/environ").read_bytes()
            assert b"STORE_PASSWORD" in inherited
            assert b"STATE_PASSWORD" not in inherited
    finally:
        mesh.close()
