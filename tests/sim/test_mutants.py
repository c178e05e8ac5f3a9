"""The harness must be able to fail: each patch breaks one rule of the protocol, and the simulation must notice.

A patch that no longer applies has to be made anew for the present code; that it still breaks the rule is what the
test then shows. `checks` are the invariants of which one is violated, whatever else goes wrong with it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.broken_code import ROOT, break_code, copy_code

SCENARIOS = "tests/sim/test_scenarios.py"
VIOLATED = re.compile(r"^E +([a-z]+): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken rule, and the stories in which it shows. `in_quick`: also in the quick suite."""

    name: str
    stories: tuple[str, ...]
    checks: frozenset[str]
    in_quick: bool = False


MUTANTS = (
    Mutant(
        "no-lease-expiry",
        ("test_steps_of_a_vanished_instance_are_tried_elsewhere_when_their_leases_end[hub]",),
        frozenset({"progress"}),
    ),
    Mutant(
        "attempt-epoch-ignored",
        ("test_a_result_of_an_earlier_attempt_on_the_same_instance_is_not_accepted[log]",),
        frozenset({"visible"}),
        in_quick=True,
    ),
    Mutant(
        "stale-results-accepted",
        ("test_a_result_that_comes_after_its_lease_is_not_accepted[hub]",),
        frozenset({"accepted", "visible"}),
    ),
    Mutant(
        "shard-term-not-checked",
        ("test_a_server_that_was_stopped_writes_nothing_for_shards_that_another_one_has_taken",),
        frozenset({"owner"}),
    ),
    Mutant(
        "effects-before-commit",
        ("test_a_submit_is_not_answered_before_it_is_written[hub]",),
        frozenset({"submitted"}),
    ),
    Mutant(
        "offset-before-work",
        ("test_a_result_is_not_forgotten_before_what_it_caused_is_written[4]",),
        frozenset({"repeated"}),
    ),
    Mutant(
        "result-lost-with-hub",
        ("test_modules_work_on_while_the_server_is_gone_and_their_results_count[hub]",),
        frozenset({"repeated"}),
    ),
    Mutant(
        "attempt-in-sink-key",
        ("test_an_idempotent_sink_that_is_tried_again_applies_each_effect_once[hub]",),
        frozenset({"effects"}),
    ),
    Mutant(
        "retry-without-backoff",
        ("test_a_step_that_failed_is_tried_again_when_its_policy_says[hub]",),
        frozenset({"retries"}),
    ),
    Mutant(
        "accepted-after-cancel",
        ("test_a_result_that_was_under_way_when_the_run_was_cancelled_is_not_accepted[hub]",),
        frozenset({"cancelled"}),
    ),
    Mutant(
        "memory-kept-after-failed-commit",
        ("test_one_late_module_wakes_its_step_although_a_commit_failed_just_then[hub]",),
        frozenset({"transitions"}),
    ),
)


def _marked(mutant: Mutant) -> object:
    return pytest.param(mutant, id=mutant.name, marks=() if mutant.in_quick else pytest.mark.full)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the simulation runs, free to be broken. What is compiled comes with it, and is valid as long as its
    source is."""
    copy_code(tmp_path)
    (tmp_path / "tests").mkdir()
    for path in ("pyproject.toml", *(f"tests/{shared.name}" for shared in ROOT.glob("tests/*.py"))):
        shutil.copy(ROOT / path, tmp_path / path)
    for folder in ("tests/sim", "scripts/real_servers"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.pyc.*"))
    return tmp_path


def _simulate(copy: Path, stories: tuple[str, ...]) -> str | None:
    """Run these stories until the first one fails; what it said, or `None`."""
    nodes = [f"{SCENARIOS}::{story}" for story in stories]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--all", "-p", "no:cacheprovider", *nodes]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, f"the simulation could not run:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout if done.returncode else None


@pytest.mark.full
def test_the_copy_passes_as_it_is(copy: Path) -> None:
    stories = tuple(dict.fromkeys(story for mutant in MUTANTS for story in mutant.stories))
    said = _simulate(copy, stories)
    assert said is None, said


@pytest.mark.parametrize("mutant", [_marked(mutant) for mutant in MUTANTS])
def test_a_mutant_is_caught(copy: Path, mutant: Mutant) -> None:
    break_code(copy, mutant.name)
    said = _simulate(copy, mutant.stories)
    assert said is not None, f"{mutant.name} was not caught"
    found = set(VIOLATED.findall(said))
    assert found & mutant.checks, f"{mutant.name} was caught by {found}, not {set(mutant.checks)}:\n{said[-4000:]}"


def test_every_patch_is_used() -> None:
    patches = {path.stem for path in (ROOT / "tests/mutants").glob("*.patch")}
    assert patches == {mutant.name for mutant in MUTANTS}
