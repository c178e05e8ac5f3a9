"""The people outside: they submit, cancel and wait, and ask again whenever they had no answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from plugmesh.errors import NotFound, StateUnavailable
from tests.sim.server import Away, Server, ask
from tests.sim.workload import Job

PATIENCE_S = 70.0


class Client:
    """Carries one job through, and notes what it was promised."""

    def __init__(
        self, servers: Sequence[Server | None], dice: random.Random, note: Callable[[str, str], None], lose: float
    ) -> None:
        self._servers, self._dice, self._note, self._lose = servers, dice, note, lose
        self.promised: dict[str, str] = {}
        """Run ids by job: what a receipt was given for."""
        self.ends: dict[str, dict[str, Any]] = {}
        self.broken_promises: list[str] = []

    async def carry_out(self, job: Job) -> None:
        """Submit the job and wait for its run's end."""
        await asyncio.sleep(job.submit_at)
        if job.twice:
            await asyncio.gather(self._submit(job), self._submit(job))
        else:
            await self._submit(job)
        run = self.promised[job.name]
        if job.cancel_after is not None:
            await asyncio.sleep(job.cancel_after)
            await self._insist(lambda gateway: gateway.runs.cancel(run, "no longer wanted"))
        await self._wait(job, run)

    async def _submit(self, job: Job) -> None:
        body: dict[str, Any] = {"flow": job.flow}
        if job.timeout_s is not None:
            body["timeout_s"] = job.timeout_s
        text = json.dumps(body).encode()
        receipt = await self._insist(lambda gateway: gateway.runs.submit(text, f"key-{job.name}"))
        known = self.promised.setdefault(job.name, receipt["id"])
        self._note("client", f"{job.name} is {receipt['id']}{' (repeated)' if receipt['repeated'] else ''}")
        if known != receipt["id"]:
            self.broken_promises.append(f"{job.name} was submitted with one key and became {known} and {receipt['id']}")

    async def _wait(self, job: Job, run: str) -> None:
        while True:
            try:
                document = json.loads(await self._insist(lambda gateway: gateway.runs.get(run, 10.0)))
            except NotFound as error:
                self.broken_promises.append(f"{job.name} was accepted, and then: {error}")
                document = {"state": "unknown"}
            if document["state"] in {"succeeded", "failed", "cancelled", "timed_out", "unknown"}:
                self._note("client", f"{job.name} has {document['state']}: {document.get('reason')}")
                self.ends[job.name] = document
                return

    async def _insist(self, question: Callable[[Any], Any]) -> Any:
        while True:
            try:
                await asyncio.sleep(self._dice.uniform(0.0002, 0.003))
                async with asyncio.timeout(PATIENCE_S):
                    server = self._dice.choice(self._servers)  # of which only one may have the run's shard
                    return await ask(server, question, self._dice.random() < self._lose)
            except (Away, StateUnavailable, TimeoutError) as error:
                self._note("client", f"asks again: {error!r}"[:200])
                await asyncio.sleep(self._dice.uniform(0.05, 1.0))
