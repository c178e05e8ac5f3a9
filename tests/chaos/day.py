"""One day of a mesh on real servers, whose processes may run broken code: what the stories of mutants do and look at."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from plugmesh.contracts.messages import AnyResult, Done, decode_result
from plugmesh.runtime import SystemRuntime
from plugmesh.runtime_loader import VARIABLE as RUNTIME
from scheduler.invariants.places import check_places
from scripts.real_mesh import Member, RealMesh, Urls, addresses_of, room
from scripts.real_servers.own_server import OwnServer
from tests.chaos.evidence import make_database
from tests.chaos.mesh import MODULES, children
from tests.chaos.slow_disk_runtime import VARIABLE as DISK
from tests.chaos.slow_disk_runtime import __file__ as SLOW_DISK

LONG_S = 180.0


@dataclass(frozen=True, slots=True)
class Day:
    """A mesh, and the servers below it."""

    mesh: RealMesh
    servers: Mapping[str, OwnServer]
    folder: Path

    @property
    def effects(self) -> Path:
        """The database of the sinks."""
        return self.folder / "effects.db"

    def slow_disk(self, mean_s: float) -> None:
        """Let every write wait for as long, on average; 0: not at all."""
        switch = self.folder / "slow-disk"
        if mean_s:
            switch.write_text(str(mean_s))
        else:
            switch.unlink(missing_ok=True)

    def submit(self, module: str, retry: Mapping[str, Any] | None = None, **params: Any) -> str:
        """A run of one step, `only`."""
        node = {"module": module, "params": params, **({"retry": retry} if retry else {})}
        return self.mesh.submit({"flow": f"day/{module.partition('.')[2]}", "nodes": {"only": node}})

    def step(self, run: str) -> dict[str, Any]:
        """Its step, as the API shows it; empty before there is one."""
        shown = self.mesh.show(run) or {"steps": ()}
        return next(iter(shown["steps"]), {"state": "", "epoch": 0, "instance": None})

    def until_step(self, run: str, state: str, epoch: int = 1) -> dict[str, Any]:
        """Wait until the step is in that state, in this attempt or a later one."""
        self.until(
            lambda: self.step(run)["state"] == state and self.step(run)["epoch"] >= epoch, f"{run} is not {state}"
        )
        return self.step(run)

    def until(self, predicate: Callable[[], Any], message: str) -> None:
        """See `RealMesh.until`."""
        self.mesh.until(predicate, message, LONG_S)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database says."""
        with psycopg.connect(self.mesh.urls.state, autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def worker(self, instance: str) -> Member:
        """The process that is this instance."""
        answer = self.mesh.ask("/api/v1/instances")
        pid = next(one["pid"] for one in answer["instances"] if one["id"] == instance)
        return next(member for member in self.mesh.of("modules") if member.pid == pid)

    @staticmethod
    def kill_executors(member: Member) -> None:
        """`kill -9` of the processes that run an author's code."""
        for pid in children(member.pid):
            os.kill(pid, signal.SIGKILL)

    # -- messages ------------------------------------------------------------------------------------------------------

    def deliver_late(self, message: Done) -> None:
        """Let a message arrive that was on its way for long, and wait until the owner of the shard has looked at it."""
        shard = self._shard(message.run)
        offset = asyncio.run(self._publish(shard, message.model_dump_json().encode()))
        self.until(lambda: self.position(message.run) > offset, "nobody read the message")

    def position(self, run: str) -> int:
        """The offset that the run's shard has committed."""
        found = self.rows("SELECT s.position FROM shard s JOIN run r ON r.shard = s.id WHERE r.id = %s", run)
        return int(found[0][0] or 0)

    def results_of(self, run: str) -> list[tuple[int, AnyResult]]:
        """What was said of the run on its shard's partition, with offsets."""
        said = asyncio.run(self._read(self._shard(run)))
        found = [(offset, decode_result(payload)) for offset, payload in said]
        return [(offset, one) for offset, one in found if getattr(one, "run", "") == run]

    def _shard(self, run: str) -> int:
        return int(self.rows("SELECT shard FROM run WHERE id = %s", run)[0][0])

    async def _publish(self, shard: int, payload: bytes) -> int:
        broker, topic = self._topic()
        producer = AIOKafkaProducer(bootstrap_servers=broker, acks="all")
        await producer.start()
        try:
            return int((await producer.send_and_wait(topic, payload, partition=shard)).offset)
        finally:
            await producer.stop()

    async def _read(self, shard: int) -> list[tuple[int, bytes]]:
        broker, topic = self._topic()
        partition = TopicPartition(topic, shard)
        consumer = AIOKafkaConsumer(bootstrap_servers=broker)
        await consumer.start()
        try:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            end = (await consumer.end_offsets([partition]))[partition]
            found: list[tuple[int, bytes]] = []
            while len(found) < end:
                one = await consumer.getone()
                found.append((one.offset, bytes(one.value)))
            return found
        finally:
            await consumer.stop()

    def _topic(self) -> tuple[str, str]:
        url = urlsplit(self.mesh.urls.bus)
        return url.netloc, f"{url.path.strip('/')}.results"

    # -- the end -------------------------------------------------------------------------------------------------------

    def violations(self) -> list[str]:
        """End all processes; what is wrong with what they left."""
        self.slow_disk(0)
        urls = self.mesh.urls
        ended = self.mesh.close()
        return ended + [str(one) for one in check_places(urls.state, urls.objects, SystemRuntime()).violations]


@contextmanager
def day(
    servers: Mapping[str, OwnServer], folder: Path, code: Path | None, *, schedulers: int, workers: int, hub: bool
) -> Iterator[Day]:
    """A gateway, schedulers, and processes that serve the modules of days. `code`: a folder that goes before the product's
    code. `hub`: bus and discovery are in the gateway."""
    folder.mkdir(parents=True)
    make_database(folder / "effects.db")
    variables = {RUNTIME: f"{SLOW_DISK}:make", DISK: str(folder / "slow-disk")}
    if code is not None:
        variables["PYTHONPATH"] = str(code)
    with room(addresses_of(servers), objects=(folder / "objects").as_uri()) as whole:
        urls = Urls(whole.state, objects=whole.objects) if hub else whole
        with RealMesh(folder / "mesh", urls, variables) as mesh:
            mesh.gateway()
            mesh.wait_until_answers()
            for _ in range(schedulers):
                mesh.scheduler()
            for _ in range(workers):
                mesh.modules(MODULES / "days.py", slots=2)
            mesh.wait_until_ready("day.work", "day.note")
            yield Day(mesh, servers, folder)
            for member in mesh.members.values():
                if member.running:
                    member.resume()


def until_then(seconds: float, predicate: Callable[[], Any]) -> bool:
    """Whether it came true in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if predicate():
            return True
        time.sleep(0.02)
    return False
