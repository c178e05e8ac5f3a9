"""What an attempt does around the calls of its function: `module_sdk.row_calls.Work` for an executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from module_sdk.context import Context
from module_sdk.executor.inputs import Given, Inputs, partial_ports
from module_sdk.executor.table_rows import TableRows
from module_sdk.invoke import Caller, Prepared
from module_sdk.rejected import Mark, Rejected
from module_sdk.reports import Reports
from module_sdk.row_calls import NARROWED, Narrowing
from module_sdk.workspace import Workspace
from plugmesh.contracts.data import DataRef
from plugmesh.contracts.messages import Assign, Done
from plugmesh.contracts.module import ModuleKind
from plugmesh.objects.port import ObjectStore

Handed = Mapping[str, Sequence[Given]]
Finish = Callable[[Any, Prepared, Handed], Done]


@dataclass(slots=True)
class Parts:
    """`Narrowing` by slices of a table."""

    most: int
    rows: int
    part: Callable[[int, int], Prepared]
    look_at: Callable[[Any, Prepared], None]


class AttemptWork:
    """`finish` makes the result of what was returned to a call with these inputs."""

    def __init__(
        self,
        assign: Assign,
        caller: Caller,
        given: Handed,
        finish: Finish,
        *,
        inputs: Inputs,
        store: ObjectStore,
        key: Callable[[str], str],
        workspace: Workspace,
        context: Context | None,
        rejected: Callable[[], Rejected],
        reports: Reports | None,
    ) -> None:
        self._assign, self._caller = assign, caller
        self._given = self._handed = given
        self._finish = finish
        self._inputs, self._store, self._key = inputs, store, key
        self._workspace, self._context = workspace, context
        self._rejected, self._reports = rejected, reports
        self._rows: TableRows | None = None

    def finish(self, returned: Any, prepared: Prepared) -> Done:
        return self._finish(returned, prepared, self._handed)

    def row_input(self) -> TableRows | None:
        self._rows = self._rows or self._row_input()
        return self._rows

    def _row_input(self) -> TableRows | None:
        tables = [(port, one) for port, found in self._given.items() for one in found if isinstance(one.ref, DataRef)]
        if len(tables) != 1:
            return None
        port, given = tables[0]
        return TableRows(
            self._store,
            self._inputs,
            self._assign,
            self._caller,
            port,
            given,
            key=self._key,
            rejected=self._rejected(),
            prepare=self._prepare,
        )

    def narrowing(self) -> Narrowing | None:
        """If the flow allows rejects, single rows are all that the module looks at, and it has no effects."""
        rejects, contract, given = self._assign.rejects, self._caller.module.contract, self.row_input()
        if given is None or rejects is None or not contract.traits.rowwise or contract.kind is ModuleKind.SINK:
            return None
        if not hasattr(given.value, "slice"):
            return None
        most = NARROWED if rejects.rows is None else min(NARROWED, rejects.rows)
        return Parts(most, given.rows, given.part, self._look_at)

    def _look_at(self, returned: Any, prepared: Prepared) -> None:
        for value in self._caller.collect(returned, prepared, self._workspace).values():
            if hasattr(value, "read_next_batch"):
                deque(value, 0)  # what a generator yields is computed as it is read

    def mark(self) -> Mark:
        return self._rejected().mark()

    def back_to(self, mark: Mark | None) -> None:
        self._rejected().back_to(mark)
        if self._reports is not None:
            self._reports.begin_again()

    def _prepare(self, port: str, given: Given) -> Prepared:
        self._handed = {**self._given, port: [given]}
        values = {name: [one.value for one in found] for name, found in self._handed.items()}
        return self._caller.prepare(
            values, self._assign.params, self._workspace, self._context, partial=partial_ports(self._handed)
        )
