"""The State of a mesh: every named transaction and question, callable from the event loop.

Writes run on one thread, reads on another; each has its own connection. Nothing is awaited inside a transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from plugmesh.answering import Answering
from plugmesh.contracts.module import ModuleContract
from plugmesh.contracts.run import Command
from plugmesh.disk import disk_figures
from plugmesh.errors import ConfigurationError, PlugmeshError, StateUnavailable
from plugmesh.figures import Figure, Latency, amounts, count
from plugmesh.runtime import Runtime, Worker
from plugmesh.state.database import Database
from plugmesh.state.migrate import is_late, prepare
from plugmesh.state.modules import ModuleSwitch, disable_module, enable_module, kept_contracts, module_switches
from plugmesh.state.reads import Reader
from plugmesh.state.records import Commit, Lease, StoredFile, Unfinished
from plugmesh.state.writes import Writer

P = ParamSpec("P")
T = TypeVar("T")

_SMALL_ROWS = 4
"""A commit of so few events and steps is what one instance waits for, not what a crowd has piled up."""


class State:
    """Opened by `State.open`; closed by `close`."""

    def __init__(self, runtime: Runtime, database: Database, writes: Worker, reads: Worker) -> None:
        self._database = database
        self._writes, self._reads = writes, reads
        self._runtime = runtime
        self._commits = Latency("plugmesh_state_commit_seconds", "Time of one commit of a scheduler, fsync included")
        self._others = Latency("plugmesh_state_write_seconds", "Time of one other transaction, fsync included")
        self._answers = Latency("plugmesh_state_read_seconds", "Time of one question to the database")
        self._rows = self._questions = 0
        self._answering = Answering("state", "the database", runtime)
        self._writer: Writer
        self._reader: Reader

    @classmethod
    async def open(cls, url: str, runtime: Runtime) -> State:
        """Open the database, bring its schema up to date (SQLite, or where there is none), and keep others out (SQLite).

        Raises `ConfigurationError`, `Conflict`, and `StateUnavailable` when the file cannot be used as a database.
        """
        database = Database(url)
        writes = runtime.worker("state-writes")
        reads = writes if database.in_memory else runtime.worker("state-reads")  # memory is one connection
        state = cls(runtime, database, writes, reads)
        try:
            await state._writes.call(state._prepare)
            state._reader = await state._reads.call(Reader, state._database)
        except DBAPIError as error:
            await state.close()
            kind = ConfigurationError if database.driver.refused(error) else StateUnavailable
            raise kind(_unusable(database, error)) from error
        except PlugmeshError:
            await state.close()
            raise
        return state

    def _prepare(self) -> None:
        exclusive = self._database.exclusive
        with self._database.connect() as connection:
            late = is_late(connection, exclusive=exclusive)
        if late:
            with self._database.connect_patiently() as connection:
                prepare(connection, exclusive=exclusive)
        self._writer = Writer(self._database, self._runtime)

    @property
    def exclusive(self) -> bool:
        """No other process can have this database open."""
        return self._database.exclusive

    async def read(self, question: Callable[Concatenate[Reader, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask a `Reader` method: `await state.read(Reader.run, "r-1")`."""
        self._questions += 1
        return await self._reads.call(
            lambda: self._timed(self._answers, lambda: question(self._reader, *args, **kwargs))
        )

    async def write(self, transaction: Callable[Concatenate[Writer, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that takes a `Writer`: `await state.write(Writer.put_file, file)`."""
        return await self._writes.call(
            lambda: self._timed(self._others, lambda: transaction(self._writer, *args, **kwargs))
        )

    def _timed(self, latency: Latency, call: Callable[[], T]) -> T:
        begun = self._runtime.now()
        try:
            return self._answered(call)
        finally:
            latency.observe(self._runtime.now() - begun)

    def _answered(self, call: Callable[[], T]) -> T:
        """What `call` gives; that there was an answer, or none, is noted."""
        try:
            result = call()
        except StateUnavailable:
            self._answering.failed()
            raise
        self._answering.answered()
        return result

    def commit(self, batch: Commit) -> asyncio.Future[dict[str, int]]:
        """See `Writer.commit`. It has begun when this returns; await the outcome."""
        small = self._database.is_sqlite and len(batch.events) + len(batch.steps) <= _SMALL_ROWS
        return self._writes.brief(self._commit, batch) if small else self._writes.begin(self._commit, batch)

    def _commit(self, batch: Commit) -> dict[str, int]:
        begun = self._runtime.now()
        keys = self._answered(lambda: self._writer.commit(batch))
        self._commits.observe(self._runtime.now() - begun)
        changed = len(batch.events) + len(batch.steps) + len(batch.runs) + len(batch.attempts)
        self._rows += changed + len(batch.inserts) + len(batch.commands) + len(batch.notifications)
        return keys

    def figures(self) -> Iterator[Figure | Latency]:
        """Commits and what they wrote, other transactions, questions, and what waits for the two threads."""
        yield from (self._commits, self._others, self._answers)
        yield count("plugmesh_state_rows", "Rows that commits of schedulers wrote", self._rows)
        yield count("plugmesh_state_reads", "Questions that were asked of the database", self._questions)
        text = "Transactions that were run again because others were in the way, or the connection was lost"
        yield count("plugmesh_state_retries", text, self._writer.retried)
        yield from self._answering.figures()
        if self._database.folder is not None:
            yield from disk_figures("state", "the database", self._database.folder)
        waiting = {"writes": self._writes.waiting, "reads": self._reads.waiting}
        yield amounts("plugmesh_state_waiting", "Calls that wait for a thread of the database", "thread", waiting)

    async def acquire(self, owner: str, lease_s: float, held: Collection[int] = ()) -> list[Lease]:
        """See `Writer.acquire`."""
        return await self._writes.call(self._writer.acquire, owner, lease_s, held)

    async def renew(self, owner: str, leases: Iterable[tuple[int, int]], lease_s: float) -> list[int]:
        """See `Writer.renew`."""
        return await self._writes.call(self._writer.renew, owner, leases, lease_s)

    async def release(self, owner: str, shards: Sequence[int]) -> None:
        """See `Writer.release`."""
        await self._writes.call(self._writer.release, owner, shards)

    async def unfinished(self, shard: int) -> Unfinished:
        """See `Reader.unfinished`."""
        return await self._reads.call(self._reader.unfinished, shard)

    async def append_command(self, command: Command) -> None:
        """See `Writer.append_command`."""
        await self._writes.call(self._writer.append_command, command)

    async def put_file(self, file: StoredFile) -> None:
        """See `Writer.put_file`."""
        await self._writes.call(self._writer.put_file, file)

    async def mesh_value(self, name: str, default: str) -> str:
        """See `Writer.mesh_value`."""
        return await self._writes.call(self._writer.mesh_value, name, default)

    async def load(self) -> list[ModuleContract]:
        """Every contract ever seen (the registry's `ContractBook`)."""
        return await self.read(kept_contracts)

    async def record(self, contract: ModuleContract) -> None:
        """Keep a contract (the registry's `ContractBook`)."""
        body = contract.model_dump_json()
        await self._writes.call(self._writer.record_contract, contract.name, contract.version, contract.digest, body)

    async def switches(self) -> list[ModuleSwitch]:
        """Every module that is disabled (the registry's `ContractBook`)."""
        return await self.read(module_switches)

    async def disable(self, switch: ModuleSwitch) -> None:
        """Keep that a module is disabled (the registry's `ContractBook`)."""
        await self.write(disable_module, switch)

    async def enable(self, module: str, version: str) -> None:
        """Keep that a module is not disabled any more (the registry's `ContractBook`)."""
        await self.write(enable_module, module, version)

    async def close(self) -> None:
        """Let queued transactions finish and close the database."""
        for worker in {self._writes, self._reads}:
            worker.close()
        self._database.close()


def _unusable(database: Database, error: DBAPIError) -> str:
    reason = " ".join(str(error.orig).split())
    if database.is_sqlite:
        return (
            f"{database.url.render_as_string()} cannot be used as the database of a mesh: {reason}. Make room if the "
            "disk is full; restore a copy if the file is damaged; or choose another folder with --data"
        )
    return (
        f"{database.shown} (setting `state`) cannot be used as the database of a mesh: {reason}. Give its user the right to "
        "make tables and indexes and to change them, or name another database"
    )
