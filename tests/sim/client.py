"""The people outside: they submit, steer and wait, and ask again whenever they had no answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gateway.errors import RequestInvalid
from plugmesh.errors import Conflict, NotFound, StateUnavailable
from tests.sim.process import EPOCH
from tests.sim.server import Away, Server, ask
from tests.sim.workload import Job

PATIENCE_S = 70.0
LOOKS_EVERY_S = 11.0
ENDED = frozenset({"succeeded", "failed", "cancelled", "timed_out", "unknown"})


class Client:
    """Carries jobs through, and notes what it was promised."""

    def __init__(
        self, servers: Sequence[Server | None], dice: random.Random, note: Callable[[str, str], None], lose: float
    ) -> None:
        self._servers, self._dice, self._note, self._lose = servers, dice, note, lose
        self.carried: list[Job] = []
        """The jobs, and behind each its rerun as a job of its own."""
        self.promised: dict[str, str] = {}
        """Run ids by job: what a receipt was given for."""
        self.roots: dict[str, str] = {}
        """The first run of each job's line of reruns."""
        self.ends: dict[str, dict[str, Any]] = {}
        self.broken_promises: list[str] = []

    async def carry_out(self, job: Job) -> None:
        """Submit the job, do to its run what is to be done, and wait for its end."""
        await asyncio.sleep(job.submit_at)
        if job.twice:
            await asyncio.gather(self._submit(job), self._submit(job))
        else:
            await self._submit(job)
        run = self.promised.get(job.name)
        if run is None:
            return  # refused, as it may be
        await asyncio.gather(self._pause(job, run), self._cancel(job, run), self._wait(job, run))
        if job.rerun is not None:
            await self._again(job, run, job.rerun)

    async def lift_quarantines(self, modules: Sequence[str]) -> None:
        """Somebody looks after the mesh, for ever: chance has convicted modules that are as good as any."""
        while True:
            await asyncio.sleep(LOOKS_EVERY_S)
            for server in self._servers:
                for module in modules:
                    if server is not None and server.ready and server.gateway.modules.quarantined(module):
                        self._note("client", f"lifts the quarantine of {module}")
                        with suppress(Away, Conflict, StateUnavailable):
                            await ask(server, lambda gateway, name=module: gateway.modules.enable(name, "1.0.0"), False)

    async def _submit(self, job: Job) -> None:
        body: dict[str, Any] = {"flow": job.flow, "timeout_s": job.timeout_s, "priority": job.priority}
        if job.deadline_s is not None:
            body["deadline"] = EPOCH + job.submit_at + job.deadline_s
        text = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
        try:
            receipt = await self._insist(lambda gateway: gateway.runs.submit(text, f"key-{job.name}"))
        except RequestInvalid:
            if job.deadline_s is None:
                raise
            self._note(
                "client", f"{job.name} comes too late"
            )  # by a clock that was set, and nobody has taken it before
        else:
            self._accepted(job, receipt)

    def _accepted(self, job: Job, receipt: dict[str, Any]) -> None:
        if job not in self.carried:
            self.carried.append(job)
        known = self.promised.setdefault(job.name, receipt["id"])
        self.roots.setdefault(job.name, known)
        self._note("client", f"{job.name} is {receipt['id']}{' (repeated)' if receipt['repeated'] else ''}")
        if known != receipt["id"]:
            self.broken_promises.append(f"{job.name} was submitted with one key and became {known} and {receipt['id']}")

    async def _cancel(self, job: Job, run: str) -> None:
        if job.cancel_after is not None:
            await asyncio.sleep(job.cancel_after)
            await self._insist(lambda gateway: gateway.runs.cancel(run, "no longer wanted"))

    async def _pause(self, job: Job, run: str) -> None:
        if job.pause is None:
            return
        after, seconds = job.pause
        await asyncio.sleep(after)
        with suppress(Conflict):  # it has ended, or is about to
            await self._insist(lambda gateway: gateway.runs.pause(run, "a moment, please"))
            self._note("client", f"{job.name} is to pause")
            await asyncio.sleep(seconds)
            await self._insist(lambda gateway: gateway.runs.resume(run, "go on"))
            self._note("client", f"{job.name} is to go on")

    async def _again(self, job: Job, run: str, start: str) -> None:
        """Have the run repeated from `start`, and wait for that one, too."""
        rerun = replace(job, name=f"{job.name}-again", may_end=job.again_may_end, rerun=None)
        body = json.dumps({"from": start}).encode()
        receipt = await self._insist(lambda gateway: gateway.reruns.rerun(run, body, f"key-{rerun.name}"))
        self.roots[rerun.name] = run
        self._accepted(rerun, receipt)
        await self._wait(rerun, receipt["id"])

    async def _wait(self, job: Job, run: str) -> None:
        document: dict[str, Any] = {"state": ""}
        while document["state"] not in ENDED:
            try:
                document = json.loads(await self._insist(lambda gateway: gateway.runs.get(run, 10.0)))
            except NotFound as error:
                self.broken_promises.append(f"{job.name} was accepted, and then: {error}")
                document = {"state": "unknown"}
        self._note("client", f"{job.name} has {document['state']}: {document.get('reason')}")
        self.ends[job.name] = document

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
