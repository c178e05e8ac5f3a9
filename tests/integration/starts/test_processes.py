"""The same by whole processes: exit codes, and a signal while they wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from scripts.real_mesh import Member, RealMesh, Urls
from tests.integration.starts.places import AWAY, WRONG, Places
from tests.waiting import wait_until_sync

FILE = """
from module_sdk import module


@module("starts.one")
def one() -> int:
    return 1
"""
START = {
    "gateway": RealMesh.gateway,
    "scheduler": RealMesh.scheduler,
    "builtins": RealMesh.builtins,
    "modules": lambda mesh: mesh.modules(_file(mesh.folder)),
}
INTERRUPTED = {"modules": 130, "builtins": 130}
"""Exit codes of those that were stopped before they were anything, if it is not 0."""


def _file(folder: Path) -> Path:
    (folder / "starts.py").write_text(FILE)
    return folder / "starts.py"


def _started(folder: Path, places: Places, role: str, **changed: Callable[[Places], str]) -> tuple[RealMesh, Member]:
    urls = replace(Urls(**places.good), **{setting: make(places) for setting, make in changed.items()})
    folder.mkdir()
    mesh = RealMesh(folder, urls)
    return mesh, START[role](mesh)


def test_a_wrong_setting_ends_each_process_with_the_exit_code_of_settings(tmp_path: Path, places: Places) -> None:
    wrong = WRONG["objects"]["with a bucket that is not there"]
    started = [(role, *_started(tmp_path / role, places, role, objects=wrong)) for role in START]
    for role, _, member in started:
        assert member.wait(30) == 2, (role, member.last_words())
        assert "the setting objects" in member.last_words()
        assert "Traceback" not in member.last_words()


@pytest.mark.parametrize("setting", ["bus", "discovery"])
def test_a_process_that_waits_for_an_outage_to_end_can_be_stopped(tmp_path: Path, places: Places, setting: str) -> None:
    started = [(role, *_started(tmp_path / role, places, role, **{setting: AWAY[setting]})) for role in START]
    for role, _, member in started:
        wait_until_sync(partial(_says_that_it_waits, member), 30, message=member.last_words())
        assert f"the setting `{setting}`" in member.last_words() or f"setting `{setting}`" in member.last_words()
        assert member.stop(10) == INTERRUPTED.get(role, 0), member.last_words()
        assert "Traceback" not in member.last_words()


def _says_that_it_waits(member: Member) -> bool:
    return "waiting (" in member.last_words()
