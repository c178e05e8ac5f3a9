"""A server that is about to stop takes no more runs, but goes on with those it has."""

from __future__ import annotations

import pytest

from plugmesh.cli.server.closing_intake import ClosingIntake
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import Command, Receipt, RunState, Submission
from plugmesh.errors import Stopping


class Taking:
    """An intake that takes everything."""

    def __init__(self) -> None:
        self.taken: list[Submission | Command] = []

    async def submit(self, submission: Submission) -> Receipt:
        self.taken.append(submission)
        return Receipt(run=submission.run, state=RunState.QUEUED)

    async def command(self, command: Command) -> None:
        self.taken.append(command)


RUN = Submission(run="run-1", flow=Flow(name="x", nodes={"a": Node(module="m.a")}))


async def test_until_it_is_closed_everything_is_passed_on() -> None:
    inner = Taking()
    intake = ClosingIntake(inner)
    assert await intake.closed() is None
    assert (await intake.submit(RUN)).run == "run-1"
    assert inner.taken == [RUN]


async def test_then_submits_are_told_to_come_again_and_commands_go_on() -> None:
    inner = Taking()
    intake = ClosingIntake(inner)
    intake.close()
    assert await intake.closed() == "the server is stopping"
    with pytest.raises(Stopping, match="nothing was accepted") as told:
        await intake.submit(RUN)
    assert told.value.code == "stopping"
    command = Command(command="cmd-1", run="run-1", kind="cancel", actor="ada")
    await intake.command(command)
    assert inner.taken == [command]
