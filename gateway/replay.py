"""What is needed to run a step again: the module it ran, its params, and the references that it was handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import TypeAdapter
from pydantic_core import from_json

from gateway.views import Views
from plugmesh.contracts.data import Reference, kind_of
from plugmesh.contracts.flow import Flow, Node, Source
from plugmesh.contracts.module import REJECTED, ModuleContract
from plugmesh.contracts.run import STEP_GOOD, Rerun
from plugmesh.data.reference import cut
from plugmesh.errors import Conflict, NotFound, ObjectMissing
from plugmesh.flows.binding import bind_inputs
from plugmesh.flows.feeding import fed, port_of, ports_of_elements
from plugmesh.flows.substitute import fill_map, fill_params, scope_of
from plugmesh.state.reads import Reader
from plugmesh.state.records import StepRow, StoredRun
from plugmesh.state.runs import element_steps

_INPUTS: TypeAdapter[dict[str, Reference]] = TypeAdapter(dict[str, Reference])
_GOOD = frozenset(state.value for state in STEP_GOOD)


class Contracts(Protocol):
    """Where contracts are looked up: `name@version`, or as a flow names a module."""

    def find(self, module_reference: str) -> ModuleContract | None:
        """The contract, if it is known."""
        ...


@dataclass(frozen=True, slots=True)
class Replay:
    """One step of one run, all that is in SQL of it."""

    run: StoredRun
    flow: Flow
    step: str
    row: StepRow | None

    @property
    def node(self) -> Node:
        """The node that the step belongs to."""
        return self.flow.nodes[self.step.partition(".")[0]]


def replay(reader: Reader, views: Views, contracts: Contracts, run: str, step: str) -> dict[str, Any]:
    """The document of a step, with the fields of an `Assign` message. Raises `NotFound`, `Conflict` (a step before it
    has no outputs yet), `ObjectMissing` (the run's data was removed), `FlowInvalid`."""
    stored, row = views.step_row(reader, run, step)
    found = Replay(stored, views.flow(reader, stored.revision), step, row)
    if stored.data_gone_at is not None:
        raise ObjectMissing(f"the data of run {run} was removed: run the flow again, then replay the new run")
    contract = _contract(found, contracts)
    inputs = _INPUTS.validate_json(stored.inputs)
    name, dot, element = step.partition(".")
    scope = scope_of(found.flow, inputs, from_json(stored.params))
    told = None if stored.rerun is None else Rerun.model_validate_json(stored.rerun)
    piece: tuple[int, int] | None = None
    if dot and found.node.map is None:
        piece = _piece(reader, found, told)
    elif dot:
        items = fill_map(name, found.node, scope) or []
        scope = scope.at(items[int(element)], int(element))
    elif found.node.map is not None:
        raise Conflict(f"node {name!r} runs once for each element: replay one of them, such as {name}.0")
    edges = bind_inputs(found.node, contract, name)
    feeds = {} if told is None else told.feeds
    given, whole = feeds.get(step, {}), feeds.get(name, {}) if piece is not None else {}
    ports: dict[str, tuple[Reference, ...]] = {}
    for port, sources in edges.items():
        if port in given:
            ports[port] = given[port]
            continue
        carried = whole.get(port) or fed(contract, port, _carried(reader, found, inputs, sources))
        if piece is not None:
            carried = tuple([cut(one, *piece) if kind_of(one) == "table" else one for one in carried])
        ports[port] = carried
    return {
        **_attempt(found),
        "module": contract.name,
        "version": contract.version,
        "digest": contract.digest,
        "params": fill_params(name, found.node, scope),
        "inputs": {port: [_plain(reference) for reference in references] for port, references in ports.items()},
        "bind": found.node.bind,
        "columns": None,
        "timeout_s": found.node.timeout_s,
    }


def _piece(reader: Reader, found: Replay, told: Rerun | None) -> tuple[int, int]:
    """First row and number of rows of a piece of a rowwise node. Raises `NotFound`."""
    name, _, item = found.step.partition(".")
    row = reader.step(found.run, name)
    ends = None if row is None or row.pieces is None else from_json(row.pieces)
    ends = ends or (None if told is None else told.pieces.get(name))
    if ends is None or not item.isdecimal() or int(item) >= len(ends):
        raise NotFound(f"run {found.run.id} has no step {found.step!r}: {name!r} was not done in so many pieces")
    start = ends[int(item) - 1] if int(item) else 0
    return start, ends[int(item)] - start


def _attempt(found: Replay) -> dict[str, Any]:
    row = found.row
    return {
        "run": found.run.id,
        "step": found.step,
        "namespace": found.run.namespace,
        "epoch": row.epoch if row is not None else 0,
        "state": row.state if row is not None else "pending",
        "error": from_json(row.error) if row is not None and row.error is not None else None,
    }


def _contract(found: Replay, contracts: Contracts) -> ModuleContract:
    """Of the version that ran; before anything ran, of the one that would."""
    module = found.node.module
    if found.row is not None and found.row.version is not None:
        module = f"{module.partition('@')[0]}@{found.row.version}"
    contract = contracts.find(module)
    if contract is None:
        raise NotFound(f"nobody knows the module {module} of step {found.step!r}: start a process that serves it")
    return contract


def _carried(
    reader: Reader, found: Replay, inputs: Mapping[str, Reference], sources: tuple[Source, ...]
) -> list[Reference]:
    references: list[Reference] = []
    for source in sources:
        if source.input is not None:
            references += [inputs[source.input]] if source.input in inputs else []
            continue
        name = source.node or ""
        ports = _ports(reader, found, name)
        if ports or source.port == REJECTED or found.flow.nodes[name].map is None:
            references += port_of(ports, source.port, name)
    return references


def _ports(reader: Reader, found: Replay, node: str) -> dict[str, tuple[Reference, ...]]:
    row = reader.step(found.run, node)
    if row is None or row.state not in _GOOD:
        state = row.state if row is not None else "pending"
        raise Conflict(f"step {found.step!r} cannot be run again: {node!r}, which is before it, is {state}")
    if found.flow.nodes[node].map is None:
        return ports_of_elements([_outputs(row)])
    rows = element_steps(reader, found.run, node)
    return ports_of_elements([_outputs(element) for element in rows if element.state in _GOOD])


def _outputs(row: StepRow) -> dict[str, Reference]:
    return {} if row.outputs is None else _INPUTS.validate_json(row.outputs)


def _plain(reference: Reference) -> dict[str, Any]:
    return reference.model_dump(mode="json", exclude_none=True)
