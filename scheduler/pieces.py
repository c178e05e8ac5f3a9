"""Large inputs of rowwise nodes in pieces: which node is cut, and after which rows. Pure; sees references, never data.

A module that is `rowwise` computes each row alone, so its rows can be shared out: every piece is a step of its own, with
its own attempts, and what the node gives is what the pieces gave, in their order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from plugmesh.contracts.data import DataRef, JoinedRef, Reference, SpilledRef, table_bytes
from plugmesh.contracts.module import ModuleContract, ModuleKind, PortKind
from scheduler.plan import PlanNode
from scheduler.step import Step

PIECE_ROWS = 1024 * 1024
PIECE_BYTES = 64 * 1024 * 1024
"""A table with more of one or the other is cut into pieces of about that size."""
MOST_PIECES = 1024
_FEW_ROWS = 1024
"""With fewer rows nobody counts the bytes; and cuts inside a fragment are at multiples of it, where they cost nothing."""


def pieces_of(
    planned: PlanNode, step: Step, contract: ModuleContract, inputs: Mapping[str, Sequence[Reference]]
) -> tuple[int, ...] | None:
    """Where the pieces of a step end, the last one at the number of rows; `None` if it stays one step.

    Only a step that nobody has tried yet is cut. One whose rejected rows are counted or read as one table stays whole.
    """
    if step.item >= 0 or step.epoch or step.pieces is not None or not contract.traits.rowwise:
        return None
    table = _table(contract, inputs)
    if table is None or (table.rows or 0) < _FEW_ROWS:
        return None
    node = planned.node
    if node.map is not None or node.rejects is not None or planned.shows_rejected:
        return None
    return ends_of(table)


def ends_of(table: DataRef | SpilledRef | JoinedRef) -> tuple[int, ...] | None:
    """After which rows a table is cut: at the ends of fragments where they are near; `None` if it is not large."""
    rows = table.rows or 0
    count = min(MOST_PIECES, rows, max(-(-rows // PIECE_ROWS), -(-_bytes(table) // PIECE_BYTES)))
    if count < 2:
        return None
    edges = list(accumulate(_fragments(table)))
    ends = [0]
    for left in range(count, 1, -1):
        wanted = (rows - ends[-1]) // left
        end = _near(edges, ends[-1] + wanted, wanted // 2)
        if ends[-1] < end < rows:
            ends.append(end)
    return (*ends[1:], rows)


def _table(
    contract: ModuleContract, inputs: Mapping[str, Sequence[Reference]]
) -> DataRef | SpilledRef | JoinedRef | None:
    """The one table that a module turns into one table; `None` for any other module."""
    if contract.kind is not ModuleKind.TRANSFORM or [port.kind for port in contract.outputs] != [PortKind.TABLE]:
        return None
    tables = [
        reference
        for port in contract.inputs
        if port.kind is PortKind.TABLE
        for reference in inputs.get(port.name, ())
        if isinstance(reference, DataRef | SpilledRef | JoinedRef)
    ]
    return tables[0] if len(tables) == 1 else None


def _bytes(table: DataRef | SpilledRef | JoinedRef) -> int:
    """As far as it is known without reading anything."""
    if isinstance(table, DataRef):
        return table_bytes(table)
    return sum(_bytes(part) for part in table.parts) if isinstance(table, JoinedRef) else 0


def _fragments(table: DataRef | SpilledRef | JoinedRef) -> Iterator[int]:
    if isinstance(table, DataRef):
        yield from (fragment.rows for fragment in table.fragments)
    elif isinstance(table, JoinedRef):
        for part in table.parts:
            yield from _fragments(part)
    else:
        yield table.rows or 0


def _near(edges: Sequence[int], wanted: int, slack: int) -> int:
    """The edge of a fragment that is at most `slack` rows from `wanted`, or `wanted` itself, rounded."""
    place = bisect_left(edges, wanted)
    nearest = min(edges[max(place - 1, 0) : place + 1], key=lambda edge: abs(edge - wanted), default=-slack - 1)
    if abs(nearest - wanted) <= slack:
        return nearest
    return wanted - wanted % _FEW_ROWS if slack > _FEW_ROWS else wanted
