"""Checking the mesh whose rows and objects are where its settings say: on servers, while it runs or after it has stopped."""

from __future__ import annotations

from collections.abc import Callable, Collection

from plugmesh.objects.open import open_store
from plugmesh.runtime import Runtime
from plugmesh.state.snapshot import check_schema, reading
from scheduler.invariants.check import check
from scheduler.invariants.violation import Report


def check_places(
    state: str,
    objects: str,
    runtime: Runtime,
    *,
    hashes: bool = True,
    submitted: Collection[str] = (),
    lost_allowed: int | None = None,
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> Report:
    """See `check`; `state` and `objects` are URLs. Raises `ConfigurationError`, `NotFound`, `StateUnavailable`, and what the
    object store raises."""
    store = open_store(objects, runtime)
    with reading(state) as connection:
        check_schema(connection, state)
        return check(
            connection, store, hashes=hashes, submitted=submitted, lost_allowed=lost_allowed, progress=progress
        )
