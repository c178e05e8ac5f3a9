"""Which version a run stays at: the first one, an older one that it went back to, and none that it only recovered."""

from __future__ import annotations

import itertools
from copy import copy

import pytest

from plugmesh.contracts.run import Recovered, Rerun
from scheduler.events import Assigned, AttemptDone, Begin, Recover
from scheduler.walk import advance
from tests.unit.scheduler.walking import OUT, flow_of, new_run


def run_with(*versions):
    """Steps a, b, c, … of one module, done one after the other with these versions."""
    names = "abcdef"[: len(versions)]
    run = new_run(flow_of(dict.fromkeys(names, ())))
    advance(run, Begin(1.0))
    for name, version in zip(names, versions, strict=True):
        advance(run, Assigned(2.0, name, "i", version))
    return run


def pin(run):
    return run.pins.get(run.plan.nodes[0].node.module)


@pytest.mark.parametrize(
    ("versions", "pinned"),
    [(("1.1.0",), "1.1.0"), (("1.1.0", "1.0.0"), "1.0.0"), (("1.10.0", "1.9.0"), "1.9.0")],
)
def test_a_run_that_went_back_stays_there_also_after_a_restart(versions, pinned):
    run = run_with(*versions)
    assert pin(run) == pinned
    for order in itertools.permutations(run.steps.values()):
        again = new_run(run.plan.flow)
        again.restore_steps([copy(step) for step in order])
        assert pin(again) == pinned


def test_what_ends_later_with_the_version_that_was_left_does_not_bring_it_back():
    run = run_with("1.1.0", "1.0.0")
    advance(run, AttemptDone(3.0, "a", 1, "i", OUT))
    assert pin(run) == "1.0.0"


def test_a_recovered_step_pins_nothing():
    run = new_run(flow_of({"a": (), "b": ("a",)}))
    recovered = Recovered(step="a", version="1.1.0", outputs=OUT)
    advance(run, Recover(1.0, Rerun(origin="r-0", root="r-0", recovered=(recovered,))))
    assert run.pins == {}
