"""The harness must be able to fail: each patch breaks one rule of the protocol, and the simulation must notice.

A patch that no longer applies has to be made anew for the present code; that it still breaks the rule is what the
test then shows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("plugmesh", "module_sdk", "registry", "scheduler", "gateway")
VIOLATED = re.compile(r"^E +([a-z]+): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the simulation said about a copy of the project."""

    failed: bool
    checks: frozenset[str]
    output: str


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the simulation runs, free to be broken."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ("tests/conftest.py", "tests/checker.py", "pyproject.toml"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copytree(ROOT / "tests/sim", tmp_path / "tests/sim", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _break(copy: Path, patch: str) -> None:
    command = ["git", "apply", "--unsafe-paths", f"--directory={copy}", str(ROOT / "tests/mutants" / patch)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{patch} no longer applies to the code; make it anew:\n{done.stderr}"


def _simulate(copy: Path) -> Verdict:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/sim/test_scenarios.py"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, f"the simulation could not run:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return Verdict(done.returncode == 1, frozenset(VIOLATED.findall(done.stdout)), done.stdout[-4000:])


def test_the_copy_passes_as_it_is(copy: Path) -> None:
    verdict = _simulate(copy)
    assert not verdict.failed, verdict.output


@pytest.mark.parametrize(
    ("patch", "check"),
    [
        pytest.param("no-lease-expiry.patch", "progress", marks=pytest.mark.full),
        ("attempt-epoch-ignored.patch", "visible"),
        pytest.param("accepted-after-cancel.patch", "cancelled", marks=pytest.mark.full),
        pytest.param("memory-kept-after-failed-commit.patch", "transitions", marks=pytest.mark.full),
    ],
)
def test_a_mutant_is_caught(copy: Path, patch: str, check: str) -> None:
    _break(copy, patch)
    verdict = _simulate(copy)
    assert verdict.failed, f"{patch} was not caught:\n{verdict.output}"
    assert check in verdict.checks, f"{patch} was caught by {set(verdict.checks)}:\n{verdict.output}"


def test_every_patch_is_used() -> None:
    patches = {path.name for path in (ROOT / "tests/mutants").glob("*.patch")}
    used = set(re.findall(r'"([a-z-]+\.patch)"', Path(__file__).read_text()))
    assert patches == used
