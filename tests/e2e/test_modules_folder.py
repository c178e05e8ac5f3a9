"""`plugmesh up --modules DIR`: the files of a folder are plugged in, replaced and taken away as they change."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.authors import SLOW, flow_of, greet
from tests.e2e.conftest import MakeMesh
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

BROKEN = "from module_sdk import module\n\n@module('is.broken'\ndef f(): ...\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "authors"
    made.mkdir()
    return made


@pytest.fixture
def mesh(make_mesh: MakeMesh, folder: Path) -> RealMesh:
    (folder / "first.py").write_text(greet("is.first"))
    (folder / "_private.py").write_text(greet("is.private"))
    (folder / "words.py").write_text("WORD = 'a file without modules'\n")
    return make_mesh("--no-builtins", "--modules", str(folder))


def versions(mesh: RealMesh, name: str) -> list[str]:
    found: list[dict[str, Any]] = (mesh.ask("/api/v1/modules") or {"modules": []})["modules"]
    return next((module["live_versions"] for module in found if module["name"] == name), [])


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
    assert mesh.stop() == 0
    until(mesh, lambda: not mesh.family())


def test_a_file_with_an_error_is_named_with_its_line_and_plugged_in_once_it_is_right(
    mesh: RealMesh, folder: Path
) -> None:
    (folder / "broken.py").write_text(BROKEN)
    until(mesh, lambda: "not plugged in: broken.py" in mesh.said())
    assert 'broken.py", line 3' in mesh.said()
    (folder / "broken.py").write_text(greet("is.broken"))
    until(mesh, lambda: "is.broken" in mesh.module_names())


def test_an_error_in_a_changed_file_parks_its_steps_until_the_file_is_right(mesh: RealMesh, folder: Path) -> None:
    (folder / "first.py").write_text(BROKEN)
    until(mesh, lambda: "not plugged in: first.py" in mesh.said() and mesh.module_names() == set())
    run = mesh.submit(flow_of("is.first", text="still wanted"))
    mesh.wait_for_step(run, "it", "parked")
    (folder / "first.py").write_text(greet("is.first"))
    mesh.finish(run)
    assert mesh.rows(run, "out") == [{"text": "still wanted"}]


def test_another_contract_under_the_same_version_is_refused_with_the_difference(mesh: RealMesh, folder: Path) -> None:
    (folder / "first.py").write_text(
        greet("is.first").replace('text: str = "hello"', 'text: str = "hello", n: int = 1')
    )
    until(mesh, lambda: "not plugged in: first.py" in mesh.said())
    assert "refused" in mesh.said()
    assert "Give it a new version" in mesh.said()


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


def test_files_that_changed_or_went_while_no_server_was_there_are_seen_by_the_next(
    mesh: RealMesh, folder: Path
) -> None:
    (folder / "second.py").write_text(greet("is.second"))
    until(mesh, lambda: mesh.module_names() == {"is.first", "is.second"})
    first, second = mesh.child("first"), mesh.child("second")
    assert first
    assert second
    mesh.kill_server()
    (folder / "second.py").unlink()
    (folder / "third.py").write_text(greet("is.third"))
    mesh.up("--no-builtins", "--modules", str(folder))
    until(mesh, lambda: mesh.module_names() == {"is.first", "is.third"})
    assert mesh.child("first") == first
    until(mesh, lambda: not second.alive)


def test_a_process_of_a_file_that_dies_is_started_again(mesh: RealMesh) -> None:
    first = mesh.child("first")
    assert first
    first.send(signal.SIGKILL)
    until(mesh, lambda: mesh.child("first") not in {None, first} and "is.first" in mesh.module_names())
