"""`plugmesh up --modules DIR`: the files of a folder are plugged in, replaced and taken away as they change."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.real_servers.ports import is_free
from tests.e2e.authors import SLOW, flow_of, greet
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

BROKEN = "from module_sdk import module\n\n@module('is.broken'\ndef f(): ...\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("authors")
    (made / "first.py").write_text(greet("is.first"))
    (made / "_private.py").write_text(greet("is.private"))
    (made / "words.py").write_text("WORD = 'a file without modules'\n")
    return made


@pytest.fixture(scope="module")
def mesh(folder: Path, tmp_path_factory: pytest.TempPathFactory, _ports: Iterator[int]) -> Iterator[RealMesh]:
    """One mesh for all tests of this file; each has a module file of its own."""
    mesh = RealMesh(tmp_path_factory.mktemp("mesh"), next(port for port in _ports if is_free(port)))
    mesh.up("--no-builtins", "--modules", str(folder))
    yield mesh
    assert mesh.stop() == 0
    until(mesh, lambda: not mesh.family())
    mesh.close()


def versions(mesh: RealMesh, name: str) -> list[str]:
    found: list[dict[str, Any]] = (mesh.ask("/api/v1/modules") or {"modules": []})["modules"]
    return next((module["live_versions"] for module in found if module["name"] == name), [])


def not_plugged_in(mesh: RealMesh) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (mesh.ask("/api/v1/modules") or {})["not_plugged_in"]
    return found


def until(mesh: RealMesh, predicate: Callable[[], object]) -> None:
    wait_until_sync(predicate, 30, message=mesh.said())


def test_files_come_change_and_go_while_the_mesh_runs(mesh: RealMesh, folder: Path) -> None:
    assert mesh.module_names() == {"is.first"}
    (folder / "second.py").write_text(greet("is.second"))
    until(mesh, lambda: mesh.module_names() == {"is.first", "is.second"})
    (folder / "second.py").write_text(greet("is.second", "0.2.0"))
    until(mesh, lambda: versions(mesh, "is.second") == ["0.2.0"])
    (folder / "second.py").unlink()
    until(mesh, lambda: mesh.module_names() == {"is.first"})


def test_a_file_with_an_error_is_named_with_its_line_and_plugged_in_once_it_is_right(
    mesh: RealMesh, folder: Path
) -> None:
    (folder / "broken.py").write_text(BROKEN)
    until(mesh, lambda: "not plugged in: broken.py" in mesh.said())
    assert 'broken.py", line 3' in mesh.said()
    (file,) = not_plugged_in(mesh)
    assert (file["file"], "SyntaxError" in file["reason"]) == (str(folder / "broken.py"), True)
    assert (mesh.ask("/readyz") or {})["ready"]
    checks = mesh.json("doctor", "--data", str(mesh.data))["checks"]
    (check,) = [check for check in checks if check["part"] == "module files"]
    assert "broken.py:3: SyntaxError: '(' was never closed" in check["found"]
    assert (check["verdict"], "correct the file" in check["todo"]) == ("warning", True)
    (folder / "broken.py").write_text(greet("is.broken"))
    until(mesh, lambda: "is.broken" in mesh.module_names())
    until(mesh, lambda: not_plugged_in(mesh) == [])


@pytest.mark.full
def test_an_error_in_a_changed_file_parks_its_steps_until_the_file_is_right(mesh: RealMesh, folder: Path) -> None:
    (folder / "third.py").write_text(greet("is.third"))
    until(mesh, lambda: "is.third" in mesh.module_names())
    (folder / "third.py").write_text(BROKEN)
    until(mesh, lambda: "not plugged in: third.py" in mesh.said() and "is.third" not in mesh.module_names())
    run = mesh.submit(flow_of("is.third", text="still wanted"))
    mesh.wait_for_step(run, "it", "parked")
    (folder / "third.py").write_text(greet("is.third"))
    mesh.finish(run)
    assert mesh.rows(run, "out") == [{"text": "still wanted"}]


def test_another_contract_under_the_same_version_is_refused_with_the_difference(mesh: RealMesh, folder: Path) -> None:
    (folder / "fourth.py").write_text(greet("is.fourth"))
    until(mesh, lambda: "is.fourth" in mesh.module_names())
    changed = greet("is.fourth").replace('text: str = "hello"', 'text: str = "hello", n: int = 1')
    (folder / "fourth.py").write_text(changed)
    until(mesh, lambda: "not plugged in: fourth.py" in mesh.said())
    assert "is.fourth@0.1.0 is refused" in mesh.said()
    assert "Give it a new version" in mesh.said()
    (file,) = [file for file in not_plugged_in(mesh) if file["file"] == str(folder / "fourth.py")]
    assert "is.fourth@0.1.0 is refused" in file["reason"]


def test_a_changed_file_takes_over_while_the_step_of_the_one_before_finishes(mesh: RealMesh, folder: Path) -> None:
    (folder / "slow.py").write_text(SLOW)
    gate = folder / "gate"
    run = mesh.submit(flow_of("slow.count@0.1.0", gate=str(gate)))
    until(mesh, lambda: Path(f"{gate}.begun").exists())
    (folder / "slow.py").write_text(SLOW.replace('"slow.count"', '"slow.count", version="0.2.0"'))
    until(mesh, lambda: versions(mesh, "slow.count") == ["0.2.0"])
    gate.touch()
    mesh.finish(run)
    assert len(Path(f"{gate}.begun").read_text().split()) == 1


@pytest.mark.full
def test_files_that_came_or_went_while_no_server_was_there_are_seen_by_the_next(mesh: RealMesh, folder: Path) -> None:
    (folder / "goes.py").write_text(greet("is.going"))
    until(mesh, lambda: "is.going" in mesh.module_names())
    first, going = mesh.child("first"), mesh.child("goes")
    assert first, mesh.said()
    assert going
    mesh.kill_server()
    (folder / "goes.py").unlink()
    (folder / "comes.py").write_text(greet("is.coming"))
    mesh.up("--no-builtins", "--modules", str(folder))
    until(mesh, lambda: "is.coming" in mesh.module_names() and "is.going" not in mesh.module_names())
    assert mesh.child("first") == first
    until(mesh, lambda: not going.alive)


def test_a_process_of_a_file_that_dies_is_started_again(mesh: RealMesh) -> None:
    first = mesh.child("first")
    assert first, mesh.said()
    first.send(signal.SIGKILL)
    until(mesh, lambda: mesh.child("first") not in {None, first} and "is.first" in mesh.module_names())
