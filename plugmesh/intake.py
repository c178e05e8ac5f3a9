"""The Intake port: how a gateway hands work to whoever owns a run's shard.

In single mode the scheduler itself serves it, and the insert rides in its group commit. In distributed mode a driver
writes the rows and announces them on `runs`.
"""

from __future__ import annotations

from typing import Protocol

from plugmesh.contracts.run import Command, Receipt, Submission


class Intake(Protocol):
    """Accepts runs and commands; what it has answered is durable."""

    async def submit(self, submission: Submission) -> Receipt:
        """Create a run. Returns when the row is committed.

        With an idempotency key that was used before, the earlier run is the answer (`repeated`). Raises
        `StateUnavailable` when the outcome is unknown: submit again with the same idempotency key.
        """
        ...

    async def command(self, command: Command) -> None:
        """Append a command to a run. Returns when it is committed; it is carried out soon after.

        Raises `StateUnavailable`. A command to a run that has ended changes nothing.
        """
        ...
