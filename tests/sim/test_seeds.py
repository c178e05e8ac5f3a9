"""The whole mesh under faults: every accepted run ends, and as it must; the invariants hold; nothing is left over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.seeds import world_of
from tests.sim.workload import SUCCEEDED, Job, chain, diamond, fan_out, mapped
from tests.sim.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")  # the trace tells what happened; logs of a hundred crashes do not


def test_every_run_ends_right_whatever_goes_wrong(sim_seed: int) -> None:
    world = world_of(sim_seed)
    if world.run():
        pytest.fail(f"{world.report()}\nagain: scripts/test tests/sim --sim-seed {sim_seed}", pytrace=False)


@pytest.mark.parametrize("with_hub", [False, True], ids=["log", "hub"])
def test_without_faults_every_step_is_executed_once(with_hub: bool) -> None:
    flows = [chain(5), diamond(0.1), fan_out(8), mapped(6, 0.1)]
    good = frozenset({SUCCEEDED})
    world = World(7, [Job(str(n), flow, good, n / 10) for n, flow in enumerate(flows)], with_hub=with_hub)
    assert world.run() == [], world.report()
    assert world.beyond.executions == 5 + 4 + 9 + 8


@pytest.mark.full
def test_the_same_seed_is_the_same_simulation_in_any_process() -> None:
    here = [world_of(4), world_of(5)]
    for world in here:
        world.run()
    expected = "".join(f"{world.seed} {world.trace.digest}\n" for world in here)
    assert _digests(["4", "5"], hash_seed="1") == expected  # the one of this process is another one


def _digests(seeds: list[str], hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-m", "tests.sim.seeds", *seeds]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
