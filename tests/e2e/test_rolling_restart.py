"""Two of everything on real servers, restarted one after the other while runs go on all the time."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plugmesh.contracts.run import AttemptState
from plugmesh.runtime import SystemRuntime
from plugmesh.state.schema import attempt
from plugmesh.state.snapshot import reading
from scheduler.invariants.places import check_places
from scripts.real_mesh import Member, RealMesh, Urls
from scripts.real_mesh.asked import ENDED

pytestmark = pytest.mark.servers

ROWS = 2_000
"""Too many to travel in a reference: tables lie in the bucket."""
PIECES = 4
OPEN = 3
"""Runs that are under way at a time; their pieces are more than there are slots."""
MODULES = f"""
import time

import numpy as np
import pyarrow as pa
from module_sdk import module


@module("roll.piece")
def piece(*, first: int) -> pa.Table:
    time.sleep(0.3)
    return pa.table({{"n": np.arange(first, first + {ROWS})}})
"""
NAMES = ("roll.piece", "table.aggregate")


def flow(number: int) -> dict[str, Any]:
    """Pieces that differ from run to run, and the sum of all their rows, which a built-in module makes."""
    pieces = [PIECES * number + index for index in range(PIECES)]
    return {
        "flow": "e2e/rolling",
        "nodes": {
            "piece": {"module": "roll.piece", "map": pieces, "params": {"first": "${item}"}},
            "sum": {"module": "table.aggregate", "in": "piece", "params": {"measures": {"sum": "sum(n)"}}},
        },
        "outputs": {"sum": "sum"},
    }


def expected(number: int) -> int:
    """What the run of that number comes to."""
    return sum(sum(range(first, first + ROWS)) for first in flow(number)["nodes"]["piece"]["map"])


class Pair(RealMesh):
    """Two gateways, two schedulers, two processes of built-in modules and two of others."""

    def start_all(self) -> None:
        (self.folder / "roll.py").write_text(MODULES)
        self.gateway()
        self.wait_until_answers()
        self.gateway()
        for _ in range(2):
            self.scheduler()
            self.builtins()
            self.modules(self.folder / "roll.py", slots=2)
        for member in self.members.values():
            self.wait_until_back(member)

    def wait_until_back(self, member: Member) -> None:
        """Until it is ready, and does its share."""
        self.wait_until_ready(*NAMES)
        if member.role in ("builtins", "modules"):
            self.until(lambda: self._may_work(member), f"{member.name} does not join")

    def _may_work(self, member: Member) -> bool:
        shown = self.ask("/api/v1/instances") or {"instances": ()}
        return any(one["usable"] for one in shown["instances"] if one["pid"] == member.pid)

    def sum_of(self, run: str) -> int:
        """What a run that has succeeded came to."""
        made = self.show(run)["outputs"]["sum"]
        shown = self.ask(f"/api/v1/runs/{run}/steps/{made['step']}/outputs/{made['port']}?limit=2")
        (row,) = shown["rows"]
        return int(row["sum"])


class Load:
    """Keeps runs under way until it is stopped, as a client does that knows both gateways: one that is away is passed over,
    and what was not answered is submitted again with the same key. `runs[number]` is the run of `flow(number)`."""

    def __init__(self, mesh: Pair) -> None:
        self._mesh, self._stop = mesh, threading.Event()
        self._work: Future[None] = Future()
        self._open: deque[str] = deque()
        self.runs: list[str] = []

    @contextmanager
    def going_on(self) -> Iterator[None]:
        with ThreadPoolExecutor(1) as thread:
            self._work = thread.submit(self._submit_all)
            try:
                yield
            finally:
                self._stop.set()
            self._work.result()

    def wait_until_at_work(self) -> None:
        """Until a step is at work."""
        self._mesh.until(lambda: self._work.done() or any(map(self._works, tuple(self._open))), "no step begins")

    def wait_for_another(self) -> None:
        """Until a run has ended, and one more was submitted, from now on."""
        wanted = len(self.runs) + OPEN + 1
        self._mesh.until(lambda: self._work.done() or len(self.runs) >= wanted, "runs do not go on")

    def _works(self, run: str) -> bool:
        shown = self._mesh.show(run)
        return bool(shown) and any(step["state"] == "running" for step in shown["steps"])

    def _submit_all(self) -> None:
        while not self._stop.wait(0.1):
            if self._open and self._has_ended(self._open[0]):
                self._open.popleft()
            if len(self._open) < OPEN and (run := self._submitted(len(self.runs))):
                self._open.append(run)
                self.runs.append(run)

    def _has_ended(self, run: str) -> bool:
        for gateway in self._mesh.of("gateway"):
            with suppress(http.client.HTTPException):  # it ended while it answered
                shown = self._mesh.ask(f"/api/v1/runs/{run}", gateway)
                if shown:
                    return shown["state"] in ENDED
        return False

    def _submitted(self, number: int) -> str | None:
        body = json.dumps({"flow": flow(number)}).encode()
        headers = {"content-type": "application/json", "idempotency-key": f"run-{number}"}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for gateway in self._mesh.of("gateway"):
            request = urllib.request.Request(f"http://127.0.0.1:{gateway.port}/api/v1/runs", body, headers)
            try:
                with opener.open(request, timeout=30) as answer:
                    return str(json.loads(answer.read())["id"])
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
            except (OSError, http.client.HTTPException):
                continue
        return None


def lost_when_begun(state: str) -> list[str]:
    """Why attempts were lost that somebody had accepted. A slow machine may need longer to accept one than it has, which is
    then placed again: nothing had begun."""
    with reading(state) as connection:
        lost = connection.execute(sa.select(attempt.c.reason).where(attempt.c.state == AttemptState.LOST)).scalars()
        return [reason for reason in lost if not reason.endswith("did not accept it in time")]


@pytest.fixture
def mesh(tmp_path: Path, postgres_url: str, kafka_url: str, consul_url: str, minio_url: str) -> Iterator[Pair]:
    with Pair(tmp_path / "mesh", Urls(postgres_url, kafka_url, consul_url, minio_url)) as mesh:
        mesh.start_all()
        yield mesh
        assert not mesh.close()


def test_a_rolling_restart_of_everything_under_load_fails_no_run_and_loses_no_work(mesh: Pair) -> None:
    load = Load(mesh)
    with load.going_on():
        for member in mesh.members.values():
            load.wait_until_at_work()
            assert member.stop() == 0, member.last_words()
            member.start()
            mesh.wait_until_back(member)
            load.wait_for_another()
    for number, run in enumerate(load.runs):
        mesh.finish(run)
        assert mesh.sum_of(run) == expected(number)
    urls = mesh.urls
    report = check_places(urls.state, urls.objects, SystemRuntime(), submitted=load.runs)
    assert not report.violations, [str(violation) for violation in report.violations]
    assert not lost_when_begun(urls.state)
    assert report.counts["runs"] == len(load.runs), "a run was made twice"
