"""The `retention:` of a flow file: how long what its runs left is kept."""

from __future__ import annotations

from typing import Any

from plugmesh.contracts.flow import Retention
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import SCHEMA, Report
from plugmesh.flows.surface import check_keys, read_duration, read_mapping

RETENTION_KEYS = ("runs", "data", "logs", "events")


def read_retention(value: Any, path: KeyPath, report: Report) -> Retention | None:
    """Durations by what they are about; one that would outlast its run is a warning, because it cannot."""
    fields = read_mapping(value, path, "retention", report)
    check_keys(fields, RETENTION_KEYS, path, "retention", report)
    found = {key: read_duration(fields.get(key), (*path, key), key, report) for key in RETENTION_KEYS}
    runs_s = found["runs"]
    for key, seconds in found.items():
        if seconds is not None and runs_s is not None and seconds > runs_s:
            message = f"{key} go with their run, which is kept for a shorter time"
            report.warning(SCHEMA, "bad-retention", message, (*path, key), hint="raise runs, or leave this out")
    given = {f"{key}_s": seconds for key, seconds in found.items() if seconds is not None}
    return Retention(**given) if given else None
