"""What must hold of a mesh is checked on servers as in files: also by the command."""

import json

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from plugmesh.cli.app import whole_app
from plugmesh.runtime import SystemRuntime
from plugmesh.state.database import Database
from plugmesh.state.schema import event
from scheduler.invariants.places import check_places
from tests.integration.scheduler.mesh import Mesh
from tests.integration.scheduler.test_engine import chain


@pytest.fixture
async def ended(tmp_path, server_url):
    """A mesh that has ended a run; the URLs of its rows and objects."""
    mesh = await Mesh(tmp_path, url=server_url).start()
    await mesh.instance()
    await mesh.ended(await mesh.submit(chain(2)))
    await mesh.stop()
    return server_url, f"file://{tmp_path}/objects"


async def test_a_mesh_on_a_server_is_checked_and_what_is_wrong_is_found(ended, monkeypatch, tmp_path):
    state, objects = ended
    found = check_places(state, objects, SystemRuntime())
    assert found.violations == []
    assert found.counts["runs"] == 1
    monkeypatch.setenv("PLUGMESH_STATE", state)
    asked = ["doctor", "--invariants", "--json", "--data", str(tmp_path)]
    assert json.loads(CliRunner().invoke(whole_app(), asked).stdout)["ok"]
    database = Database(state)
    with database.connect() as connection:
        connection.execute(sa.delete(event).where(event.c.seq == 2))
    database.close()
    assert {one.invariant for one in check_places(state, objects, SystemRuntime()).violations}
