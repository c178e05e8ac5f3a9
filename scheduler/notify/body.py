"""What a webhook says: which run ended, how, when, and how large its outputs are. Never any data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json

from plugmesh.state.reads import Reader
from plugmesh.state.records import StoredRun

_REASON_CHARACTERS = 2000


def webhook_body(reader: Reader, run: str, link: str) -> bytes | None:
    """The JSON text for a run's end; `None` if the run is not there any more. `link` is where the run can be seen."""
    stored = reader.run(run)
    return None if stored is None else to_json(document(stored, link))


def document(run: StoredRun, link: str) -> dict[str, Any]:
    """The body in the form of Standard Webhooks: type, timestamp, data."""
    return {
        "type": f"run.{run.state}",
        "timestamp": _moment(run.ended_at),
        "data": {
            "run": run.id,
            "namespace": run.namespace,
            "flow": run.flow,
            "flow_revision": run.flow_revision,
            "state": run.state,
            "reason": None if run.reason is None else run.reason[:_REASON_CHARACTERS],
            "labels": from_json(run.labels),
            "actor": run.actor,
            "submitted_at": _moment(run.submitted_at),
            "started_at": _moment(run.started_at),
            "ended_at": _moment(run.ended_at),
            "outputs": _outputs(run),
            "link": link,
        },
    }


def _outputs(run: StoredRun) -> dict[str, Any]:
    outputs = {} if run.outputs is None else from_json(run.outputs)
    return {name: _summary(references) for name, references in outputs.items()}


def _summary(references: list[dict[str, Any]]) -> dict[str, Any]:
    """Kind, number of items, rows and bytes of one output; a value's kind alone, for a value is data."""
    kinds = {str(one.get("of") or one.get("kind")) for one in references}
    rows = [one.get("rows") for one in references]
    summary: dict[str, Any] = {"kind": kinds.pop() if len(kinds) == 1 else "mixed", "items": len(references)}
    if references and all(isinstance(count, int) for count in rows):
        summary["rows"] = sum(count for count in rows if count is not None)
    return summary


def _moment(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
