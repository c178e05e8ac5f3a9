"""The rows that an attempt rejected, as the output that every step has beside its own."""

from __future__ import annotations

import logging

from module_sdk.executor.attempt_work import Handed
from module_sdk.executor.table_rows import none_of
from module_sdk.rejected import Rejected
from plugmesh.contracts.data import DataRef
from plugmesh.contracts.messages import Assign
from plugmesh.data.reference import rename
from plugmesh.data.schema import schema_of
from plugmesh.errors import PlugmeshError

_log = logging.getLogger("module_sdk")


class RejectedOutput:
    """Of an attempt that was handed `given`."""

    def __init__(self, assign: Assign, rejected: Rejected) -> None:
        self._assign, self._rejected = assign, rejected

    def of_done(self, given: Handed) -> DataRef | None:
        """The rows; `None` if there are none and nobody reads them. Raises `StoreFull`."""
        ref = self._rejected.finish()
        if ref is None and self._assign.rejected:
            tables = [one.ref for found in given.values() for one in found if isinstance(one.ref, DataRef)]
            ref = none_of(tables[0] if len(tables) == 1 else None)
        return self._unbound(ref)

    def of_failed(self) -> DataRef | None:
        """The rows that it had rejected until then, as far as there is room for them."""
        try:
            return self._unbound(self._rejected.finish())
        except PlugmeshError as error:
            _log.warning("the rejected rows of %s could not be kept: %s", self._assign.attempt, error)
            return None

    def _unbound(self, ref: DataRef | None) -> DataRef | None:
        """Columns that were bound to the module's names have their own again."""
        if ref is None or not self._assign.bind:
            return ref
        names = schema_of(ref).names
        back = {ours: own for ours, own in self._assign.bind.items() if ours in names and own not in names}
        return rename(ref, back) if back else ref
