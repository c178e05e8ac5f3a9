"""Rows as answers: what a run, a step, an attempt look like to whoever asks. No I/O, no state but a memory of flows.

Everything here runs on the thread that reads from the database, so that a large run does not hold up other requests.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from plugmesh.contracts.flow import Flow, Source
from plugmesh.contracts.run import StepState
from plugmesh.errors import NotFound
from plugmesh.state.reads import Reader
from plugmesh.state.records import AttemptRow, StepRow, StoredFile, StoredRun

STEPS_SHOWN = 5_000
"""A run's answer lists so many steps; the rest is found page by page."""

_FLOWS_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """What the answer needs to know of a flow: its nodes in order, and its outputs."""

    nodes: dict[str, int]
    outputs: dict[str, Source]
    declared: Flow


class Views:
    """Answers, made on the reading thread."""

    def __init__(self) -> None:
        self._shapes: OrderedDict[int, Shape] = OrderedDict()

    def run(self, reader: Reader, run: str) -> bytes:
        """`GET /runs/{id}` as JSON text. Raises `NotFound`."""
        stored = find(reader, run)
        shape = self._shape(reader, stored.revision)
        rows = reader.steps(stored, limit=STEPS_SHOWN + 1)
        document = run_document(stored)
        document["params"] = from_json(stored.params)
        document["inputs"] = {name: summary(ref) for name, ref in from_json(stored.inputs).items()}
        document["steps"] = self._steps(shape, rows[:STEPS_SHOWN], complete=len(rows) <= STEPS_SHOWN)
        if len(rows) > STEPS_SHOWN:
            document["steps_left_out"] = sum(reader.step_counts(stored).values()) - STEPS_SHOWN
        document["outputs"] = _outputs(
            shape, {step["id"]: step for step in document["steps"]}, _json(stored.outputs) or {}
        )
        return to_json(document)

    def steps(self, reader: Reader, run: str, after: str, limit: int) -> dict[str, Any]:
        """One page of `GET /runs/{id}/steps`: rows in the order of their ids."""
        stored = find(reader, run)
        rows = reader.steps(stored, after=after, limit=limit)
        following = rows[-1].id if len(rows) == limit else None
        counts = reader.step_counts(stored)
        return {"run": run, "steps": [step_document(row) for row in rows], "counts": counts, "next_cursor": following}

    def step(self, reader: Reader, run: str, step: str) -> dict[str, Any]:
        """`GET /runs/{id}/steps/{step}`. Raises `NotFound`, naming the steps that there are."""
        stored, row = self.step_row(reader, run, step)
        document = step_document(row) if row else pending(step)
        node = self._shape(reader, stored.revision).declared.nodes.get(step.partition(".")[0])
        document["run"] = run
        document["module"] = node.module if node else None
        document["stats"] = _json(row.stats) if row else None
        document["log"] = _json(row.log) if row else None
        document["attempts"] = [attempt_document(attempt) for attempt in reader.attempts(stored, step)]
        return document

    def step_row(self, reader: Reader, run: str, step: str) -> tuple[StoredRun, StepRow | None]:
        """The run and the step's row, if it has one yet. Raises `NotFound`."""
        stored = find(reader, run)
        row = reader.step(stored, step)
        nodes = self._shape(reader, stored.revision).nodes
        if row is None and step not in nodes:
            known = ", ".join(list(nodes)[:20]) + (", …" if len(nodes) > 20 else "")
            raise NotFound(f"run {run} has no step {step!r}; its nodes are {known}")
        return stored, row

    def output(self, reader: Reader, run: str, step: str, port: str) -> Any:
        """The reference at an output, as JSON. Raises `NotFound`, saying what is there."""
        _, row = self.step_row(reader, run, step)
        outputs = (_json(row.outputs) if row else None) or {}
        if port not in outputs:
            state = row.state if row else StepState.PENDING.value
            there = f"it has {', '.join(outputs)}" if outputs else f"it is {state} and has none"
            raise NotFound(f"step {step!r} of run {run} has no output {port!r}: {there}")
        return outputs[port]

    def log(self, reader: Reader, run: str, step: str, epoch: int | None) -> Any:
        """The `LogRef` of a step's attempt as JSON, `None` if there is none yet. Raises `NotFound`."""
        stored, row = self.step_row(reader, run, step)
        attempts = [attempt for attempt in reader.attempts(stored, step) if attempt.log is not None]
        if epoch is None or (row is not None and row.epoch == epoch and row.log is not None):
            if row is not None and row.log is not None:
                return _json(row.log)
            return _json(attempts[-1].log) if attempts and epoch is None else None
        for attempt in attempts:
            if attempt.epoch == epoch:
                return _json(attempt.log)
        epochs = sorted({attempt.epoch for attempt in attempts})
        raise NotFound(f"attempt {epoch} of step {step!r} in run {run} has no log; attempts with one: {epochs}")

    def _steps(self, shape: Shape, rows: list[StepRow], *, complete: bool) -> list[dict[str, Any]]:
        documents = [step_document(row) for row in rows]
        if complete:
            there = {row.id for row in rows}
            documents += [pending(name) for name in shape.nodes if name not in there]
        documents.sort(key=lambda document: step_order(shape.nodes, document["id"]))
        return documents

    def _shape(self, reader: Reader, revision: int) -> Shape:
        shape = self._shapes.get(revision)
        if shape is None:
            flow = Flow.model_validate_json(reader.flow_text(revision))
            nodes = {name: index for index, name in enumerate(flow.nodes)}
            shape = self._shapes[revision] = Shape(nodes, flow.outputs, flow)
            if len(self._shapes) > _FLOWS_REMEMBERED:
                self._shapes.popitem(last=False)
        return shape


def find(reader: Reader, run: str) -> StoredRun:
    """One run. Raises `NotFound`."""
    stored = reader.run(run)
    if stored is None:
        raise NotFound(f"there is no run {run!r}: `plugmesh runs` or GET /api/v1/runs lists them")
    return stored


def run_document(run: StoredRun) -> dict[str, Any]:
    """What lists show of a run."""
    return {
        "id": run.id,
        "state": run.state,
        "reason": run.reason,
        "namespace": run.namespace,
        "flow": run.flow,
        "labels": from_json(run.labels),
        "actor": run.actor,
        "origin": run.origin,
        "timeout_s": run.timeout_s,
        "submitted_at": run.submitted_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "seq": run.seq,
    }


def step_document(row: StepRow) -> dict[str, Any]:
    """What a run's answer shows of a step."""
    outputs = _json(row.outputs) or {}
    return {
        "id": row.id,
        "state": row.state,
        "reason": row.reason,
        "epoch": row.epoch,
        "failures": row.failures,
        "losses": row.losses,
        "instance": row.instance,
        "version": row.version,
        "outputs": {port: summary(reference) for port, reference in outputs.items()},
        "error": _json(row.error),
        "ready_at": row.ready_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "wake_at": row.wake_at,
    }


def pending(step: str) -> dict[str, Any]:
    """A node that nothing happened to yet: it has no row."""
    return {**_UNTOUCHED, "id": step, "outputs": {}}


def attempt_document(row: AttemptRow) -> dict[str, Any]:
    """An attempt that did not become the step's result."""
    return {
        "epoch": row.epoch,
        "state": row.state,
        "instance": row.instance,
        "reason": row.reason,
        "error": _json(row.error),
        "log": _json(row.log),
        "at": row.at,
    }


def file_document(file: StoredFile) -> dict[str, Any]:
    """One version of a file; as it is, it can be handed to a run as an input."""
    return {
        "kind": "file",
        "name": file.name,
        "namespace": file.namespace,
        "bytes": file.bytes,
        "hash": file.hash,
        "media_type": file.media_type,
        "actor": file.actor,
        "created_at": file.created_at,
        "key": file.object,
    }


def summary(reference: Any) -> dict[str, Any]:
    """A reference without its insides: kind, rows, bytes; a value itself."""
    kind = reference["kind"]
    if kind == "value":
        return {"kind": kind, "value": reference["value"]}
    if kind == "file":
        return {"kind": kind, "name": reference["name"], "bytes": reference["bytes"], "hash": reference["hash"]}
    if kind == "spilled":
        return {"kind": reference["of"], "rows": reference.get("rows")}
    return {"kind": kind, "rows": reference["rows"], "bytes": _table_bytes(reference)}


def step_order(nodes: dict[str, int], step: str) -> tuple[int, list[tuple[int, str]]]:
    """Sorts steps by their node's place in the flow, and elements of a mapped node by number."""
    node, *rest = step.split(".")
    return nodes.get(node, len(nodes)), [(int(part) if part.isdecimal() else -1, part) for part in rest]


def _json(text: str | None) -> Any:
    return None if text is None else from_json(text)


_UNTOUCHED = step_document(
    StepRow("", "", StepState.PENDING, None, 0, 0, 0, None, None, None, None, None, None, None, None, None, None)
)


def _table_bytes(reference: Any) -> int:
    groups = (group for fragment in reference["fragments"] for group in fragment["groups"])
    return sum(span["length"] for group in groups for span in group["columns"])


def _outputs(shape: Shape, steps: dict[str, dict[str, Any]], ended: dict[str, list[Any]]) -> dict[str, Any]:
    """Where each output of the flow is. `ended` are the references that the run ended with; a mapped node has many."""
    outputs: dict[str, Any] = {}
    for name, source in shape.outputs.items():
        if source.node is None:
            outputs[name] = {"input": source.input}
            continue
        ports = steps.get(source.node, {}).get("outputs", {})
        port = source.port or (next(iter(ports)) if len(ports) == 1 else None)
        there = port in ports
        outputs[name] = {"step": source.node, "port": port if there else None, **ports.get(port, {})}
        if not there and name in ended:
            outputs[name]["items"] = [summary(reference) for reference in ended[name]]
    return outputs
