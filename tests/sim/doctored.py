"""A mesh that is free to be broken: its database and its store, as they were in the end."""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from plugmesh.runtime import SystemRuntime
from scheduler.invariants.check import check
from scheduler.invariants.violation import Report, Violation
from tests.sim.objects import Disk, MemoryStore


class Doctored:
    """Rows and objects that a test changes, to see what the checker says."""

    def __init__(self, image: bytes, disk: Disk | None = None) -> None:
        self.raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.raw.deserialize(image)
        self.disk = Disk(dict(disk.objects) if disk else {})

    def sql(self, text: str, *values: object) -> int:
        """Change rows; how many."""
        return self.raw.execute(text, values).rowcount

    def one(self, text: str) -> Any:
        """The only value of a question."""
        return self.raw.execute(text).fetchone()[0]

    def run(self, flow: str) -> str:
        """SQL for the key of the only run of a flow."""
        return f"(SELECT key FROM run WHERE flow = '{flow.partition('/')[2]}')"

    def append(self, flow: str, *changes: str) -> None:
        """Add an event row behind the last one."""
        last = f"(SELECT max(seq) FROM event WHERE run = {self.run(flow)})"
        row = (
            f"SELECT run, seq + 1, at, '[{','.join(changes)}]' FROM event WHERE run = {self.run(flow)} AND seq = {last}"
        )
        assert self.sql(f"INSERT INTO event {row}") == 1

    def insert(self, flow: str, change: str, before: str) -> None:
        """Put a change in front of the first event row that has the text `before`, which begins with its changes."""
        first = f"SELECT min(seq) FROM event WHERE run = {self.run(flow)} AND instr(changes, ?)"
        text = f"UPDATE event SET changes = '[' || ? || ',' || substr(changes, 2) WHERE run = {self.run(flow)}"
        assert self.sql(f"{text} AND seq = ({first})", change, before) == 1

    def replace(self, flow: str, old: str, new: str) -> None:
        """Change the text of a run's event rows."""
        where = f"run = {self.run(flow)} AND instr(changes, ?)"
        assert self.sql(f"UPDATE event SET changes = replace(changes, ?, ?) WHERE {where}", old, new, old) >= 1

    def report(self, **options: Any) -> Report:
        """All that the checker says."""
        engine = sa.create_engine("sqlite+pysqlite://", poolclass=StaticPool, creator=lambda: self.raw)
        with engine.connect() as connection:
            return check(connection, MemoryStore(self.disk, SystemRuntime()), **options)

    def violations(self, **options: Any) -> list[Violation]:
        """What is violated."""
        return self.report(**options).violations

    def found(self, **options: Any) -> set[str]:
        """The names of what is violated."""
        return {violation.invariant for violation in self.violations(**options)}


def step_change(step: str, state: str, **fields: object) -> str:
    """A change of a step as event rows have it."""
    rest = "".join(f',"{name}":{value}' for name, value in fields.items())
    return f'{{"change":"step","step":"{step}","state":"{state}","at":1.0{rest}}}'


def attempt_change(step: str, epoch: int, state: str) -> str:
    """The end of an attempt as event rows have it."""
    return f'{{"change":"attempt","step":"{step}","epoch":{epoch},"state":"{state}","at":1.0}}'
