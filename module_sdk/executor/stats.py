"""What an attempt used, read, wrote and left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from module_sdk.executor.inputs import Given
from module_sdk.executor.outputs import Written
from module_sdk.rejected import Rejected
from plugmesh.contracts.data import DataRef, table_bytes
from plugmesh.contracts.messages import AttemptStats, StoreUse

_LISTED_COLUMNS = 200


class Used(NamedTuple):
    """Of the machine. `peak_bytes` is the most that the process had resident; of attempts that share one, since it was
    alone."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def attempt_stats(
    given: Mapping[str, Sequence[Given]],
    made: Written,
    rejected: Rejected | None,
    used: Used,
    use: StoreUse | None = None,
) -> AttemptStats:
    """Columns are listed if they are so few that a message can hold them."""
    read: dict[str, tuple[str, ...]] = {}
    rows_in = bytes_read = bytes_left = 0
    for port, found in given.items():
        for one in found:
            if one.columns is not None and isinstance(one.ref, DataRef):
                read[port] = one.columns
                rows_in += one.ref.rows
                bytes_read += one.bytes
                if one.partial:
                    bytes_left += table_bytes(one.ref) - one.bytes
    listed = _are_few(read, made.written, made.passed)
    return AttemptStats(
        wall_s=used.wall_s,
        cpu_s=used.cpu_s,
        peak_memory_bytes=used.peak_bytes,
        rows_in=rows_in,
        rows_out=made.rows,
        rows_passed=made.rows_passed,
        rows_failed=0 if rejected is None else rejected.rows,
        bytes_read=bytes_read,
        bytes_whole=bytes_read + bytes_left if bytes_left else None,
        bytes_written=made.bytes_written,
        bytes_passed=made.bytes_passed,
        read=read if listed else None,
        written=made.written if listed else None,
        passed=made.passed if listed else None,
        reasons=None if rejected is None else rejected.reasons or None,
        store=use,
    )


def since(before: StoreUse | None, now: StoreUse | None) -> StoreUse | None:
    """What was asked of the store meanwhile, by all attempts of the process; `None` of one that does not count."""
    if before is None or now is None:
        return None
    return StoreUse(**{name: getattr(now, name) - getattr(before, name) for name in StoreUse.model_fields})


def _are_few(*lists: Mapping[str, Sequence[str]]) -> bool:
    """Whether columns are so few that a message can list them."""
    count = 0
    for ports in lists:
        for names in ports.values():
            count += len(names)
    return count <= _LISTED_COLUMNS
