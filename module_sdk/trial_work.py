"""What a trial of a module does around the calls of its function: over tables in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from module_sdk.context import Context
from module_sdk.executor.table_rows import chosen
from module_sdk.invoke import Prepared
from module_sdk.rejected import Mark

if TYPE_CHECKING:
    from module_sdk.testing import Harness

Values = Mapping[str, list[Any]]


class TrialWork:
    """`module_sdk.row_calls.Work` and its `RowInput`. Bad rows are not looked for: only a flow can ask for that."""

    def __init__(self, harness: Harness, inputs: Values, params: Mapping[str, Any], context: Context) -> None:
        self._harness, self._whole = harness, inputs
        self._params, self._context = params, context
        self._inputs: Values = inputs
        self._handed: Values = {}
        tables = [(port, one) for port, found in inputs.items() for one in found if hasattr(one, "filter")]
        self._table = tables[0] if len(tables) == 1 else None

    def prepare(self, inputs: Values) -> Prepared:
        """A call with these inputs; of tables, the columns that the mesh would hand over."""
        harness, self._inputs = self._harness, inputs
        self._handed = {
            port: [harness.handed(port, value, self._params) for value in values] for port, values in inputs.items()
        }
        partial = [
            port
            for port, values in inputs.items()
            if values
            and hasattr(values[0], "num_columns")
            and self._handed[port][0].num_columns < values[0].num_columns
        ]
        return harness.caller.prepare(
            self._handed, self._params, harness.workspace, self._context, local_files=True, partial=partial
        )

    def finish(self, returned: Any, prepared: Prepared) -> dict[str, Any]:
        harness = self._harness
        found = harness.caller.collect(returned, prepared, harness.workspace)
        return {
            port.name: harness.with_unsent(port, found[port.name], self._inputs, self._handed, self._params)
            for port in harness.caller.module.contract.outputs
        }

    def row_input(self) -> TrialWork | None:
        return self if self._table is not None else None

    def narrowing(self) -> None:
        return None

    def mark(self) -> Mark:
        return self._harness.reports.rejected.mark()

    def back_to(self, mark: Mark | None) -> None:
        self._harness.reports.rejected.back_to(mark)
        self._harness.reports.begin_again()

    @property
    def rows(self) -> int:
        """Of the only table."""
        return 0 if self._table is None else int(self._table[1].num_rows)

    def only(self, mask: Any) -> Prepared:
        assert self._table is not None
        port, table = self._table
        return self.prepare({**self._whole, port: [chosen(table, mask)]})

    def reject(self, mask: Any, reason: str) -> None:
        assert self._table is not None
        self._harness.reports.rejected.keep(chosen(self._table[1], mask), reason)
