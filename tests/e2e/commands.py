"""Commands in the process of the test: a process for each would take most of a test's time."""

import json
from contextlib import chdir
from typing import Any

from typer.testing import CliRunner, Result

from plugmesh.cli.app import whole_app
from tests.e2e.real_mesh import RealMesh


class Command:
    """The `plugmesh` command, in the mesh's folder."""

    def __init__(self, mesh: RealMesh) -> None:
        self._mesh = mesh
        self._app = whole_app()

    def cli(self, *arguments: str, code: int = 0) -> Result:
        """Run a command to its end, which must be `code`."""
        with chdir(self._mesh.folder):
            done = CliRunner(env={"PLUGMESH_URL": self._mesh.url}).invoke(self._app, arguments, prog_name="plugmesh")
        assert done.exit_code == code, f"{arguments}: {done.exit_code} {done.exception!r}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What a command answers with `--json`."""
        return json.loads(self.cli(*arguments, "--json", code=code).stdout)
