"""The intake of a server that is about to stop: it takes no more runs, and whoever submits one is told to try again."""

from __future__ import annotations

from plugmesh.contracts.run import Command, Receipt, Submission
from plugmesh.errors import Stopping
from plugmesh.intake import Intake


class ClosingIntake:
    """Passes everything on to `intake` until `close`; from then on commands alone."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._closed = False

    def close(self) -> None:
        """Take no more runs; what was handed in before is finished."""
        self._closed = True

    async def closed(self) -> str | None:
        """Why no runs are taken, or `None`."""
        return "the server is stopping" if self._closed else None

    async def submit(self, submission: Submission) -> Receipt:
        """See `Intake.submit`. Raises `Stopping` once it was closed."""
        if self._closed:
            raise Stopping(
                "the server is stopping and takes no new runs: nothing was accepted; submit again when it is back, or to "
                "another server"
            )
        return await self._intake.submit(submission)

    async def command(self, command: Command) -> None:
        """See `Intake.command`."""
        await self._intake.command(command)
