"""Following a run away from a terminal."""

from typing import Any

import pytest

from plugmesh.cli.api.session import Session
from plugmesh.cli.commands.run import finish
from plugmesh.cli.display.follow import _Lines


class OneRun:
    """A mesh on which a run has ended."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def run(self, run: str, wait_s: float = 0.0) -> dict[str, Any]:
        return self.document

    def get(self, path: str) -> dict[str, Any]:
        return {"attempts": [{"epoch": 1, "state": "failed", "error": None, "reason": "busy"}]}


def test_why_a_step_failed_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [{"id": "it", "state": "failed", "error": {"type": "ValueError", "message": "no\x1b[2J such\ncolumn"}}]
    document = {"id": "run-1", "state": "failed", "reason": "step 'it': no\x1b[2J such\ncolumn", "steps": steps}
    session = Session("http://127.0.0.1:1", as_json=False)
    session.client = OneRun(document)  # type: ignore[assignment]
    with pytest.raises(Exception, match="1"):
        finish(session, "run-1", None, "csv")
    assert capsys.readouterr().out.splitlines() == [
        "it failed ValueError: no\N{REPLACEMENT CHARACTER}[2J such column",
        "run-1 failed",
        "what it printed: plugmesh logs run-1 it",
    ]


def test_an_attempt_that_failed_is_told_after_the_steps_above_it_and_a_wait_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits = {"state": "waiting", "reason": "try 2 of 3 after: busy", "step": "it", "steps": 1, "until": None}
    steps = [
        {"id": "above", "state": "succeeded"},
        {"id": "it", "state": "waiting", "reason": "try 2 of 3 after: busy", "failures": 1, "epoch": 1},
    ]
    document = {"id": "run-1", "state": "running", "steps": steps, "waits_for": [waits]}
    session = Session("http://127.0.0.1:1", as_json=False)
    session.client = OneRun(document)  # type: ignore[assignment]
    _Lines(session, "run-1").show(document)
    assert capsys.readouterr().out.splitlines() == [
        "above succeeded",
        "it attempt 1 failed: busy",
        "it is waiting: try 2 of 3 after: busy",
    ]
