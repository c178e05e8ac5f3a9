"""The checker of `scheduler.invariants`, in the form in which the tests began to call it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import sqlalchemy as sa

from plugmesh.objects.port import ObjectStore
from scheduler import invariants
from scheduler.invariants.check import check as check_all
from scheduler.invariants.folder import check_folder
from scheduler.invariants.violation import Violation

__all__ = ["Violation", "check", "check_invariants", "invariants"]


def check_invariants(data_dir: Path) -> list[str]:
    """The violations in a data folder."""
    return [str(violation) for violation in check_folder(data_dir).violations]


def check(
    connection: sa.Connection,
    objects: ObjectStore | None,
    submitted: Collection[str] = (),
    effects: Collection[str] | None = None,
    lost_allowed: int | None = None,
) -> list[Violation]:
    """The violations in one mesh."""
    report = check_all(connection, objects, submitted=submitted, effects=effects or (), lost_allowed=lost_allowed)
    return report.violations
