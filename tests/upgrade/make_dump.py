"""Makes the dump of the version before anew: tells the story to it, and kills all of it in the middle.

python -m tests.upgrade.make_dump
"""

import tempfile
from pathlib import Path

from scripts.real_mesh.mesh import free_port
from tests.upgrade.dumps import save
from tests.upgrade.mesh import VersionedMesh
from tests.upgrade.story import tell
from tests.upgrade.versions import environment_before

NAME = "v0.1.0"


def main() -> None:
    """Make it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mesh = VersionedMesh(folder / "mesh", free_port(), environment_before(folder / "before"))
        try:
            mesh.up("--slots", "2")
            runs = tell(mesh)
        except BaseException:
            print(mesh.said())
            raise
        finally:
            mesh.kill_all()
        save(mesh.data, runs, NAME)


if __name__ == "__main__":
    main()
