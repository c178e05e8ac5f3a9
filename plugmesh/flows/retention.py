"""The `retention:` of a flow file: how long what its runs left is kept, and how much of it."""

from __future__ import annotations

from typing import Any

from plugmesh.contracts.flow import Retention
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import SCHEMA, Report
from plugmesh.flows.surface import check_keys, read_duration, read_mapping
from plugmesh.flows.values import shown
from plugmesh.settings.kinds import read_bytes

_DURATIONS = ("runs", "data", "logs", "events")
_MOST_BYTES = 2**63
RETENTION_KEYS = (*_DURATIONS, "data_bytes")


def read_retention(value: Any, path: KeyPath, report: Report) -> Retention | None:
    """Durations by what they are about; one that would outlast its run is a warning, because it cannot."""
    fields = read_mapping(value, path, "retention", report)
    check_keys(fields, RETENTION_KEYS, path, "retention", report)
    found = {key: read_duration(fields.get(key), (*path, key), key, report) for key in _DURATIONS}
    runs_s = found["runs"]
    for key, seconds in found.items():
        if seconds is not None and runs_s is not None and seconds > runs_s:
            message = f"{key} go with their run, which is kept for a shorter time"
            report.warning(SCHEMA, "bad-retention", message, (*path, key), hint="raise runs, or leave this out")
    given: dict[str, Any] = {f"{key}_s": seconds for key, seconds in found.items() if seconds is not None}
    if "data_bytes" in fields:
        given |= _read_data_bytes(fields["data_bytes"], path, report)
    return Retention(**given) if given else None


def _read_data_bytes(value: Any, path: KeyPath, report: Report) -> dict[str, int]:
    try:
        size = read_bytes(value)
        if isinstance(size, int) and 0 < size < _MOST_BYTES:
            return {"data_bytes": size}
        raise ValueError("it is a number of bytes above zero, or text such as 512 MiB, 2 GB")
    except ValueError as error:
        message = f"data_bytes cannot be {shown(value)}: {error}"
        report.error(SCHEMA, "bad-retention", message, (*path, "data_bytes"))
        return {}
