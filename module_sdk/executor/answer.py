"""What an attempt says at its end, as messages that are short enough: what makes them long lies in the object store.

`key` makes a new object key of the attempt, which ends in a word.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from module_sdk.steplog import StepLog
from module_sdk.storing import put
from plugmesh.contracts.data import DataRef, Reference
from plugmesh.contracts.messages import Done, Failed, LogRef
from plugmesh.contracts.module import REJECTED
from plugmesh.contracts.run import StepError
from plugmesh.data.reference import spill
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import ObjectStore

TIGHT_SPILL_BYTES = 1024
"""References longer than this leave a message that is too long with longer ones."""
_SHORT_GROUPS, _SHORT_COLUMNS = 4, 8
_SHORT_CHARS = 1000
_SHORT_INLINE = 6 * 1024
_log = logging.getLogger("module_sdk")

Key = Callable[[str], str]


def spilled(store: ObjectStore, key: Key, port: str, ref: Reference) -> Reference:
    """The reference, or where it lies if it is long. Raises `StoreFull`."""
    if not isinstance(ref, DataRef) or _is_short(ref):
        return ref
    return spill(store, key(f"{port}-ref"), ref)


def shortened(store: ObjectStore, key: Key, result: Done | Failed) -> Done | Failed:
    """The same result for a message that was too long. Raises `StoreFull`."""
    if isinstance(result, Failed):
        error = result.error.model_copy(update={"traceback": "", "message": result.error.message[:_SHORT_CHARS]})
        rejected = None if result.rejected is None else _tight(store, key, REJECTED, result.rejected)
        return result.model_copy(update={"error": error, "rejected": rejected})
    outputs = {port: _tight(store, key, port, ref) for port, ref in result.outputs.items()}
    return result.model_copy(update={"outputs": outputs})


def kept_log(store: ObjectStore, key: Key, log: StepLog, attempt: str) -> LogRef | None:
    """The log in the store; `None`, and a warning, if there is no room for it."""
    place = key("log") + ".jsonl"
    try:
        put(store, place, log.data)
    except PlugmeshError as error:
        _log.warning("the log of %s could not be kept: %s", attempt, error)
        return None
    return LogRef(key=place, bytes=len(log.data), lines=log.lines, truncated=log.cut)


def unreadable(payload: bytes, error: Exception) -> bytes:
    """The answer to an assignment of which only the ids can be read."""
    ids = json.loads(payload)
    return Failed(
        instance=ids["instance"],
        run=ids["run"],
        step=ids["step"],
        epoch=ids["epoch"],
        error=StepError(
            type="InvalidMessage", code="invalid-message", message=f"the assignment cannot be read: {error}"
        ),
    ).encode()


def _tight(store: ObjectStore, key: Key, port: str, ref: Reference) -> Reference:
    return spill(store, key(f"{port}-tight-ref"), ref, limit_bytes=TIGHT_SPILL_BYTES)


def _is_short(ref: DataRef) -> bool:
    """Certainly shorter than what is spilled, without writing it out."""
    if len(ref.schema_ipc) >= 4096 or len(ref.fragments) != 1:
        return False
    groups = ref.fragments[0].groups
    inline = sum(len(group.data) for group in groups if group.data is not None)
    few = len(groups) < _SHORT_GROUPS and all(len(group.columns) < _SHORT_COLUMNS for group in groups)
    return few and inline < _SHORT_INLINE
