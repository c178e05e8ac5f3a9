"""What event rows keep of a change."""

from __future__ import annotations

import json

import pytest

from plugmesh.contracts.run import StepState
from scheduler.changes import Outputs, StepChange, changes_json, read_changes


@pytest.mark.parametrize("outputs", [None, {}])
def test_a_step_without_outputs_is_read_back_as_it_was(outputs: Outputs | None) -> None:
    """A sink has none: its row says so, and so must its events."""
    change = StepChange("sink", StepState.SUCCEEDED, 1.0, epoch=1, outputs=outputs)
    assert read_changes(json.loads(changes_json([change]))) == [change]
