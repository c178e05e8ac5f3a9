"""A database and a store for tests of the sweeper, in which runs are written as a scheduler would."""

from typing import Any

from plugmesh.contracts.data import FileRef
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import Submission, shard_of
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from plugmesh.state.pins import pin_run
from plugmesh.state.reads import Reader
from plugmesh.state.records import AttemptRow, Commit, EventRow, RunUpdate, StepRow, StoredFile
from plugmesh.state.store import State
from plugmesh.state.writes import Writer
from scheduler.sweep.sweeper import Sweeper
from tests.databases import new_database

DAY = 86_400.0
FLOW = Flow(name="made", nodes={"a": Node(module="test.step")})
GRACE_S = 300.0


class Crash(BaseException):
    """The process ends here."""


class Machine(SystemRuntime):
    """A machine whose clock a test sets, and that can end at a named point."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.ahead = 0.0
        self.points: list[str] = []
        self.crash_at = ""

    def wall(self) -> float:
        return super().wall() + self.ahead

    def now(self) -> float:
        return super().now() + self.ahead

    def point(self, name: str) -> None:
        self.points.append(name)
        if name == self.crash_at:
            self.crash_at = ""
            raise Crash(name)


SETTINGS: dict[str, float] = {
    "retention_data_s": 10 * DAY,
    "retention_logs_s": 20 * DAY,
    "retention_events_s": 5 * DAY,
    "retention_grace_s": GRACE_S,
}


class House:
    """A database and a store, in which runs are written as a scheduler would."""

    def __init__(self, folder) -> None:
        self.folder, self.machine, self.settings = folder, Machine(), Settings(**SETTINGS)
        self.shards: dict[int, int] = {}
        self.looked_at: set[str] = set()

    async def start(self) -> None:
        self.state = await State.open(new_database(self.folder), self.machine)
        self.shards = {lease.shard: lease.term for lease in await self.state.acquire("me", 1e9)}
        self.store = LocalStore(self.folder / "objects", self.machine)
        self.again()

    def again(self) -> None:
        """A new sweeper, as after a restart."""
        self.sweeper = Sweeper(
            self.machine, self.state, self.store, settings=self.settings,
            owned=lambda: self.shards, reading=lambda: self.looked_at,
        )  # fmt: skip

    async def sweep(self, days: float = 0.0, rounds: int = 1) -> None:
        """Let time pass, then sweep so many times, a grace apart."""
        self.machine.ahead += days * DAY
        for _ in range(rounds):
            await self.sweeper.round(whole=True)
            self.machine.ahead += GRACE_S + 1

    def put(self, key: str, size: int = 100) -> str:
        writer = self.store.create(key)
        writer.write(b"x" * size)
        writer.commit()
        return key

    def there(self, prefix: str = "data/") -> set[str]:
        return {one.key for one in self.store.list(prefix)}

    async def run(
        self,
        name: str,
        *,
        flow: Flow = FLOW,
        outputs=(),
        refs=(),
        inputs=None,
        ended: bool = True,
        more=(),
        size=100,
        rerun=None,
    ):
        """A run whose step made one object and a log, and refers to `outputs` elsewhere, and to `refs`, as well."""
        own = self.put(f"data/default/{name}/a/1/n-out", size)
        log = self.put(f"data/default/{name}/a/1/n-log.jsonl", 10)
        own_refs = [FileRef(name="f", key=key, bytes=1, hash="h").model_dump_json() for key in (own, *outputs)]
        refs = [*(ref.model_dump_json() for ref in refs), *own_refs]
        now = self.machine.wall()
        commit = Commit(owner="me", at=now, positions={shard_of(name): (self.shards[shard_of(name)], None)})
        commit.inserts.append(Submission(run=name, flow=flow, submitted_at=now, inputs=inputs or {}, rerun=rerun))
        empty = dict.fromkeys(StepRow._fields)
        told = {"outputs": "{" + ",".join(f'"p{n}":{ref}' for n, ref in enumerate(refs)) + "}"}
        told["log"] = f'{{"key":"{log}","bytes":10,"lines":1}}'
        row: dict[str, Any] = {
            **empty,
            "run": name,
            "id": "a",
            "state": "succeeded",
            "epoch": 2,
            "failures": 0,
            "losses": 0,
            **told,
        }
        commit.steps.append(StepRow(**row))
        commit.attempts.append(AttemptRow(name, "a", 0, "lost", "i", "gone", None, None, now))
        commit.events.extend(EventRow(name, seq, now, "[]") for seq in range(1, 4))
        if ended:
            commit.runs.append(RunUpdate(name, "succeeded", None, "{}", now, now))
        await self.state.commit(commit)
        return own

    async def pin(self, name: str) -> None:
        await self.state.write(pin_run, name, actor="me", reason="audit", at=0.0, until=None)

    async def end(self, name: str) -> None:
        commit = Commit(owner="me", positions={shard_of(name): (self.shards[shard_of(name)], None)})
        stored = await self.stored(name)
        commit.keys[name] = stored.key
        commit.runs.append(RunUpdate(name, "succeeded", None, "{}", self.machine.wall(), self.machine.wall()))
        await self.state.commit(commit)

    async def stored(self, name: str):
        return await self.state.read(Reader.run, name)

    async def file(self, name: str, number: int) -> StoredFile:
        key = self.put(f"files/default/{name}-{number}")
        stored = StoredFile("default", name, key, 100, "h", "text/plain", "me", self.machine.wall())
        await self.state.write(Writer.put_file, stored)
        return stored
