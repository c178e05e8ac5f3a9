"""A next version beside this one, on database servers: it adds to the schema while this one works, and takes over."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugmesh.state.migrate import HEAD
from scripts.real_mesh import Member, RealMesh, Urls
from tests.upgrade.mesh import GATES, HERE, NOW
from tests.upgrade.versions import next_version
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.servers

NEXT, LATER = int(HEAD) + 1, int(HEAD) + 2
STATE = "PLUGMESH_STATE"


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version that comes next; this one may go on beside it."""
    folder = tmp_path_factory.mktemp("next")
    return next_version(folder / "tree", NEXT, int(HEAD), folder / "env")


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version after that one; this one may not go on beside it."""
    folder = tmp_path_factory.mktemp("later")
    return next_version(folder / "tree", LATER, NEXT, folder / "env")


class Rolled(RealMesh):
    """A mesh whose members are of the version that `bin` names when they are started."""

    bin = NOW

    def _add(self, role: str, name: str, *command: str, port: int = 0) -> Member:
        return super()._add(role, name, str(self.bin / Path(command[0]).name), *command[1:], port=port)

    def become(self, member: Member, bin: Path) -> None:
        """Stop a process in order, and start it as another version."""
        assert member.stop() == 0, member.last_words()
        member.command = (str(bin / Path(member.command[0]).name), *member.command[1:])
        member.start()

    def db(self, bin: Path, *arguments: str, code: int = 0) -> Any:
        """What `plugmesh db` of a version says."""
        done = self.db_process(bin, *arguments)
        out, err = done.communicate(timeout=120)
        assert done.returncode == code, out + err
        return json.loads(err if code else out)

    def db_process(self, bin: Path, *arguments: str) -> subprocess.Popen[str]:
        command = [str(bin / "plugmesh"), "db", *arguments, "--data", str(self.data), "--json"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def refused(self, bin: Path) -> str:
        """What a gateway of a version says that cannot be started."""
        command = [str(bin / "plugmesh"), "serve", "gateway", "--port", "0", "--data", str(self.data)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stderr

    def load(self, runs: int) -> list[str]:
        work = {"module": "busy.work", "params": {"n": 1}}
        return [
            self.submit({"flow": "upgrade/busy", "nodes": {"a": work, "b": {**work, "after": "a"}}})
            for _ in range(runs)
        ]


@pytest.fixture
def mesh(tmp_path: Path, postgres_url: str) -> Iterator[Rolled]:
    mesh = Rolled(tmp_path / "mesh", Urls(postgres_url))
    with mesh:
        mesh.gateway()
        mesh.wait_until_answers()
        mesh.scheduler()
        mesh.scheduler()
        mesh.python(HERE / "busy_module.py")
        mesh.wait_until_ready("busy.work")
        yield mesh
        assert not mesh.close()


def test_a_mesh_goes_on_while_its_database_is_upgraded_and_its_processes_are_replaced(
    mesh: Rolled, following: Path, later: Path
) -> None:
    gateway, first, second = (mesh.members[name] for name in ("gateway-1", "scheduler-1", "scheduler-2"))
    runs = mesh.load(5)
    assert f"this Plugmesh needs {NEXT:04}: run `plugmesh db upgrade`" in mesh.refused(following)
    status = mesh.db(following, "status")
    assert [one["revision"] for one in status["missing"]] == [f"{NEXT:04}"]
    assert [(one["role"], one["goesOn"]) for one in status["processes"]] == [
        ("gateway", True), ("scheduler", True), ("scheduler", True),
    ]  # fmt: skip
    both = [mesh.db_process(following, "upgrade") for _ in range(2)]
    done = [json.loads(one.communicate(timeout=120)[0])["done"] for one in both]
    assert sorted(map(len, done)) == [0, 1]
    assert mesh.db(NOW, "status")["works"]
    runs += mesh.load(5)
    mesh.become(first, NOW)  # started anew beside the upgraded database
    mesh.become(second, following)
    mesh.wait_until_ready("busy.work")
    runs += mesh.load(5)
    refusal = mesh.db(later, "upgrade", code=1)["error"]["message"]
    assert f"schema {LATER:04} is for processes that know {NEXT:04}" in refusal
    assert refusal.count(f"schema {HEAD})") == 2
    mesh.become(first, following)
    mesh.become(gateway, following)
    mesh.wait_until_ready("busy.work")
    runs += mesh.load(5)
    assert [one["revision"] for one in mesh.db(later, "upgrade")["done"]] == [f"{LATER:04}"]
    assert f"this Plugmesh knows {HEAD}: start it with a newer version" in mesh.refused(NOW)
    runs += mesh.load(5)
    for run in runs:
        mesh.finish(run)


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_an_upgrade_that_is_killed_halfway_hurts_nobody_and_is_ended_by_the_next_one(
    request: pytest.FixtureRequest, tmp_path: Path, following: Path, kind: str
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    with Rolled(tmp_path / "mesh", Urls(url), {GATES: str(tmp_path)}) as mesh:
        mesh.db(NOW, "upgrade")
        hold = tmp_path / "hold"
        hold.touch()
        killed = mesh.db_process(following, "upgrade")
        wait_until_sync((tmp_path / "held").exists, 60, message="the upgrade does not come to its middle")
        other = mesh.db_process(following, "upgrade")  # waits for the first one
        assert mesh.db(NOW, "status")["works"]
        killed.kill()
        killed.communicate()
        hold.unlink()
        out, err = other.communicate(timeout=60)
        assert other.returncode == 0, err
        assert len(json.loads(out)["done"]) == 1
        status = mesh.db(following, "status")
        assert (status["schema"], status["missing"], status["works"]) == (f"{NEXT:04}", [], True)
        assert mesh.db(NOW, "status")["works"]
