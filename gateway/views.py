"""Rows as answers: what a run, a step, an attempt look like to whoever asks. No I/O, no state but a memory of flows.

Everything here runs on the thread that reads from the database, so that a large run does not hold up other requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from gateway.routing import API
from gateway.waits import GROUPS, waits_for
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.flow import Flow, Source
from plugmesh.contracts.module import REJECTED
from plugmesh.contracts.run import StepState
from plugmesh.errors import FlowInvalid, NotFound, ObjectMissing
from plugmesh.flows.substitute import Scope, fill_map, scope_of
from plugmesh.outgoing.url import masked
from plugmesh.state.borrowing import reruns_of
from plugmesh.state.notifications import notifications_of
from plugmesh.state.reads import Reader
from plugmesh.state.records import AttemptRow, StepRow, StoredFile, StoredRun
from plugmesh.state.runs import element_counts, list_steps, pieces_of
from plugmesh.state.waits import waiting_steps

STEPS_SHOWN = 5_000
"""A run's answer lists so many steps; the rest is found page by page."""

_FLOWS_REMEMBERED = 256
_OF_ATTEMPT = frozenset(
    {StepState.ASSIGNED.value, StepState.RUNNING.value, StepState.SUCCEEDED.value, StepState.FAILED.value}
)
_OF_WEBHOOK = ("id", "state", "attempts", "next_at", "status", "error")
_NOTHING_MORE: Mapping[str, Any] = {"stats": None, "progress": None, "artifacts": ()}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the answer needs to know of a flow: its nodes in order, and its outputs."""

    nodes: dict[str, int]
    outputs: dict[str, Source]
    declared: Flow
    mapped: tuple[str, ...]


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
        document["steps"] = self._steps(stored, shape, rows[:STEPS_SHOWN], complete=len(rows) <= STEPS_SHOWN)
        document["nodes"] = self._elements(reader, stored, shape, rows)
        if len(rows) > STEPS_SHOWN:
            document["steps_left_out"] = sum(reader.step_counts(stored).values()) - STEPS_SHOWN
        document["outputs"] = _outputs(
            shape, {step["id"]: step for step in document["steps"]}, _json(stored.outputs) or {}
        )
        document["reruns"] = reruns_of(reader, run)
        document["webhooks"] = _webhooks(reader, stored)
        open_steps = waiting_steps(reader, stored, limit=GROUPS) if stored.ended_at is None else ()
        document["waits_for"] = waits_for(stored, open_steps)
        return to_json(document)

    def steps(self, reader: Reader, run: str, states: Sequence[str], after: str, limit: int) -> dict[str, Any]:
        """One page of `GET /runs/{id}/steps`: rows in the order of their ids."""
        stored = find(reader, run)
        rows = list_steps(reader, stored, states=states, after=after, limit=limit + 1)
        following = rows[limit - 1].id if len(rows) > limit else None
        counts = reader.step_counts(stored)
        steps = [whole_step_document(row, stored.origin) for row in rows[:limit]]
        return {"run": run, "steps": steps, "counts": counts, "next_cursor": following}

    def step(self, reader: Reader, run: str, step: str) -> dict[str, Any]:
        """`GET /runs/{id}/steps/{step}`. Raises `NotFound`, naming the steps that there are."""
        stored, row = self.step_row(reader, run, step)
        document = whole_step_document(row, stored.origin) if row else {**pending(step), **_NOTHING_MORE}
        node = self._shape(reader, stored.revision).declared.nodes.get(step.partition(".")[0])
        document["run"] = run
        document["module"] = node.module if node else None
        document["log"] = _json(row.log) if row else None
        document["attempts"] = _attempts(row, reader.attempts(stored, step))
        return document

    def flow(self, reader: Reader, revision: int) -> Flow:
        """The flow of a revision."""
        return self._shape(reader, revision).declared

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
        """The reference at an output, as JSON. Raises `NotFound`, saying what is there, `ObjectMissing`."""
        stored, row = self.step_row(reader, run, step)
        outputs = (_json(row.outputs) if row else None) or {}
        if port not in outputs:
            state = row.state if row else StepState.PENDING.value
            there = f"it has {', '.join(outputs)}" if outputs else f"it has none (its state is {state})"
            if step in self._shape(reader, stored.revision).mapped:
                there = f"it is mapped, and each of its elements has outputs: ask for {step}.0"
            raise NotFound(f"step {step!r} of run {run} has no output {port!r}: {there}")
        if outputs[port].get("kind") != "value":  # values are in the row itself
            _check_kept(stored)
        return outputs[port]

    def artifact(self, reader: Reader, run: str, step: str, name: str) -> FileRef:
        """A file that a step left for people. Raises `NotFound`, saying which there are, `ObjectMissing`."""
        stored, row = self.step_row(reader, run, step)
        found = {one["name"]: one for one in (_json(row.artifacts) if row else None) or ()}
        if name not in found:
            there = f"it has {', '.join(list(found)[:20])}" if found else "it has none"
            raise NotFound(f"step {step!r} of run {run} has no artifact {name[:100]!r}: {there}")
        _check_kept(stored)
        return FileRef.model_validate(found[name])

    def timeline(self, reader: Reader, run: str, after: str, limit: int) -> tuple[StoredRun, list[StepRow]]:
        """The run and one more than a page of its steps. Raises `NotFound`."""
        stored = find(reader, run)
        return stored, reader.steps(stored, after=after, limit=limit + 1)

    def _elements(self, reader: Reader, run: StoredRun, shape: Shape, rows: list[StepRow]) -> dict[str, dict[str, int]]:
        """How many elements of each mapped node, and pieces of each that was cut, are in each state; those without a row are
        pending."""
        cut = _cut(reader, run, rows)
        counts: dict[str, dict[str, int]] = {name: {} for name in (*shape.mapped, *cut)}
        if not counts:
            return {}
        if len(rows) > STEPS_SHOWN:
            counts = {name: element_counts(reader, run, name) for name in counts}
        else:
            for row in rows:
                node, dot, _ = row.id.partition(".")
                if dot and node in counts:
                    counts[node][row.state] = counts[node].get(row.state, 0) + 1
        if run.ended_at is None:
            scope = scope_of(shape.declared, {}, from_json(run.params))
            limited = _told(run).get("elements", {})
            for name, states in counts.items():
                whole = cut[name] if name in cut else _length(shape.declared, name, scope)
                length = len(limited[name]) if name in limited else whole
                untouched = length - sum(states.values())
                if untouched > 0:
                    states[StepState.PENDING.value] = untouched
        return counts

    def _steps(self, run: StoredRun, shape: Shape, rows: list[StepRow], *, complete: bool) -> list[dict[str, Any]]:
        documents = [step_document(row, run.origin) for row in rows]
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
            mapped = tuple(name for name, node in flow.nodes.items() if node.map is not None)
            shape = self._shapes[revision] = Shape(nodes, flow.outputs, flow, mapped)
            if len(self._shapes) > _FLOWS_REMEMBERED:
                self._shapes.popitem(last=False)
        return shape


def _cut(reader: Reader, run: StoredRun, rows: list[StepRow]) -> dict[str, int]:
    """The nodes that are done in pieces, and how many there are."""
    found = {row.id: row.pieces for row in rows if row.pieces is not None}
    if len(rows) > STEPS_SHOWN:
        found = pieces_of(reader, run)
    ends = {**_told(run).get("pieces", {}), **{name: from_json(text) for name, text in found.items()}}
    return {name: len(one) for name, one in ends.items() if one}


def find(reader: Reader, run: str) -> StoredRun:
    """One run. Raises `NotFound`."""
    stored = reader.run(run)
    if stored is None:
        raise NotFound(f"there is no run {run!r}: `plugmesh runs` or GET /api/v1/runs lists them")
    return stored


def _check_kept(run: StoredRun) -> None:
    """Refuse what is marked to go: whoever began to read it now could lose it on the way."""
    if run.data_gone_at is not None:
        raise ObjectMissing(
            f"the data of run {run.id} was removed, as retention says: run the flow again, and pin runs that must stay "
            "(`plugmesh pin RUN`)"
        )


def run_document(run: StoredRun) -> dict[str, Any]:
    """What lists show of a run."""
    return {
        "id": run.id,
        "state": run.state,
        "reason": run.reason,
        "namespace": run.namespace,
        "flow": run.flow,
        "flow_revision": run.flow_revision,
        "labels": from_json(run.labels),
        "actor": run.actor,
        "origin": run.origin,
        "root": _told(run).get("root"),
        "priority": run.priority,
        "timeout_s": run.timeout_s,
        "deadline": run.deadline,
        "submitted_at": run.submitted_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "data_gone_at": run.data_gone_at,
        "seq": run.seq,
    }


def step_document(row: StepRow, origin: str | None = None) -> dict[str, Any]:
    """What a run's answer shows of a step; `origin` is the run that its run repeats."""
    outputs = _json(row.outputs) or {}
    recovered = row.state == StepState.RECOVERED and origin is not None
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
        "recovered_from": f"{API}/runs/{origin}/steps/{row.id}" if recovered else None,
    }


def whole_step_document(row: StepRow, origin: str | None = None) -> dict[str, Any]:
    """All that is known of a step but its attempts."""
    document = step_document(row, origin)
    document["stats"] = _json(row.stats)
    document["progress"] = _json(row.progress)
    document["artifacts"] = [_artifact(one) for one in _json(row.artifacts) or ()]
    return document


def pending(step: str) -> dict[str, Any]:
    """A node that nothing happened to yet: it has no row."""
    return {**_UNTOUCHED, "id": step, "outputs": {}}


def attempt_document(row: AttemptRow) -> dict[str, Any]:
    """An attempt."""
    return {
        "epoch": row.epoch,
        "state": row.state,
        "instance": row.instance,
        "reason": row.reason,
        "error": _json(row.error),
        "stats": _json(row.stats),
        "log": _json(row.log),
        "at": row.at,
    }


def file_document(file: StoredFile) -> dict[str, Any]:
    """One version of a file; as it is, it can be handed to a run as an input."""
    return {
        "kind": "file",
        "name": file.name,
        "namespace": file.namespace,
        "version": file.object.rpartition("/")[2],
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
    if kind in {"spilled", "joined"}:
        return {"kind": reference.get("of", "table"), "rows": reference.get("rows")}
    return {"kind": kind, "rows": reference["rows"], "bytes": _table_bytes(reference)}


def step_order(nodes: dict[str, int], step: str) -> tuple[int, list[tuple[int, str]]]:
    """Sorts steps by their node's place in the flow, and elements of a mapped node by number."""
    node, *rest = step.split(".")
    return nodes.get(node, len(nodes)), [(int(part) if part.isdecimal() else -1, part) for part in rest]


def _attempts(row: StepRow | None, ended: list[AttemptRow]) -> list[dict[str, Any]]:
    """Every attempt, oldest first: those that came to nothing, and the one that is the step itself.

    A step that failed without an attempt (no module came in time) has no instance.
    """
    found = [attempt_document(attempt) for attempt in ended]
    own_is_shown = row is not None and row.state in _OF_ATTEMPT and row.instance is not None
    if row is not None and own_is_shown and all(attempt.epoch != row.epoch for attempt in ended):
        at = row.ended_at or row.started_at or row.ready_at or 0.0
        who = (row.run, row.id, row.epoch, row.state, row.instance)
        own = AttemptRow(*who, row.reason, row.error, row.log, at, row.stats)
        found.append(attempt_document(own))
    return found


def _webhooks(reader: Reader, run: StoredRun) -> list[dict[str, Any]]:
    """What became of the webhooks: they are there in the moment in which the run ends."""
    rows = notifications_of(reader, run.id) if run.ended_at is not None else ()
    return [{"url": masked(row.url)} | {name: getattr(row, name) for name in _OF_WEBHOOK} for row in rows]


def _artifact(reference: Any) -> dict[str, Any]:
    media_type = reference.get("media_type", FileRef.model_fields["media_type"].default)
    return {"name": reference["name"], "bytes": reference["bytes"], "media_type": media_type}


def _length(flow: Flow, node: str, scope: Scope) -> int:
    try:
        return len(fill_map(node, flow.nodes[node], scope) or ())
    except FlowInvalid:  # the run says so itself
        return 0


def _told(run: StoredRun) -> dict[str, Any]:
    """What a rerun was told; nothing for the first run of a line."""
    return {} if run.rerun is None else from_json(run.rerun)


def _json(text: str | None) -> Any:
    return None if text is None else from_json(text)


_UNTOUCHED = step_document(
    StepRow("", "", StepState.PENDING, None, 0, 0, 0, None, None, None, None, None, None, None, None, None, None)
)


def _table_bytes(reference: Any) -> int:
    return sum(
        span["length"] * (fragment["rows"] if group.get("rows") else 1) // (group.get("rows") or 1)
        for fragment in reference["fragments"]
        for group in fragment["groups"]
        for span in group["columns"]
    )


def _outputs(shape: Shape, steps: dict[str, dict[str, Any]], ended: dict[str, list[Any]]) -> dict[str, Any]:
    """Where each output of the flow is. `ended` are the references that the run ended with; a mapped node has many."""
    outputs: dict[str, Any] = {}
    for name, source in shape.outputs.items():
        if source.node is None:
            outputs[name] = {"input": source.input}
            continue
        ports = steps.get(source.node, {}).get("outputs", {})
        own = [one for one in ports if one != REJECTED]
        port = source.port or (own[0] if len(own) == 1 else None)
        there = port in ports
        outputs[name] = {"step": source.node, "port": port if there else None, **ports.get(port, {})}
        if not there and name in ended:
            outputs[name]["items"] = [summary(reference) for reference in ended[name]]
    return outputs
