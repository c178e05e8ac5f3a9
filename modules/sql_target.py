"""What `sql.write` needs of a database: the seam behind which each kind of database has its own file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

EFFECTS = "_plugmesh_effects"
"""The table, in the database that is written to, that remembers how far each effect has come: `key`, `run`, `step` (who
wrote first), `target` (the table), `rows`, `at`."""
OURS = "_plugmesh_"
"""How names of tables begin that are not for rows."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One table written once: `key` is the same for all who try (`Context.sink_key`); the rest is for people."""

    key: str
    run: str
    step: str


@dataclass(frozen=True, slots=True)
class Destination:
    """Where rows go. `key`: the columns by which a row replaces the one that is there; none: all rows are added."""

    table: str
    key: Sequence[str] = ()
    create: bool = True


class Target(Protocol):
    """An open database. Every method raises errors of `module_sdk.errors` alone, in words for people."""

    def prepare(self, schema: pa.Schema) -> None:
        """Make the table if it is missing, or check that rows of this schema fit it."""
        ...

    def apply(self, effect: Effect, first: int, batch: pa.RecordBatch) -> int:
        """Write those rows of a batch that the effect does not have yet, and how far it is then, in one transaction.

        `first` is the number of the batch's first row. Rows come in order, each batch behind the one before it, so that
        one number says what is there. Returns how many rows were written.
        """
        ...

    def close(self) -> None:
        """Let go of the database; what was not committed never was."""
        ...
