"""Who gets data from whom: the edges of a flow by the ports of its modules, as far as they fit. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from plugmesh.contracts.flow import Flow, Source
from plugmesh.contracts.module import REJECTED, ModuleContract
from plugmesh.flows.binding import Edges, Misfit, fit_inputs, fit_output
from plugmesh.flows.graph import predecessors


@dataclass(frozen=True, slots=True)
class Consumer:
    """An input port of a node that an output leads to."""

    node: str
    port: str


@dataclass(slots=True)
class Wiring:
    """`order` has parents before children; nodes that wait for each other are not in it. `edges` are those of the nodes whose
    module is known and fits. `consumers` are by node and output port; `kept` are outputs that are looked at as a whole:
    those of the flow, of dead letters, and of ports that nothing is known of.
    """

    order: list[str] = field(default_factory=list)
    edges: dict[str, Edges] = field(default_factory=dict)
    consumers: dict[tuple[str, str], list[Consumer]] = field(default_factory=dict)
    kept: set[tuple[str, str]] = field(default_factory=set)
    rejecting: set[str] = field(default_factory=set)


def wire(flow: Flow, contracts: Mapping[str, ModuleContract]) -> Wiring:
    """The wiring of `flow`. Never raises: what does not fit is left out."""
    found = Wiring(order=parents_first(flow))
    for name, node in flow.nodes.items():
        if name in contracts:
            edges, misfits = fit_inputs(node.inputs, contracts[name])
            if not misfits:
                found.edges[name] = edges
        _consume(found, flow, name, contracts)
    for source in flow.outputs.values():
        if (port := output_of(source, contracts)) is not None:
            found.kept.add(port)
            _note_rejected(found, port)
    return found


def parents_first(flow: Flow) -> list[str]:
    """The nodes in the direction of the data."""
    before = predecessors(flow)
    waiting = {name: len(others) for name, others in before.items()}
    after: dict[str, list[str]] = {name: [] for name in before}
    for name, others in before.items():
        for other in others:
            after[other].append(name)
    ready = deque(name for name, count in waiting.items() if count == 0)
    order: list[str] = []
    while ready:
        order.append(ready.popleft())
        for name in after[order[-1]]:
            waiting[name] -= 1
            if waiting[name] == 0:
                ready.append(name)
    return order


def output_of(source: Source, contracts: Mapping[str, ModuleContract]) -> tuple[str, str] | None:
    """The node and the port that an edge comes from; `None` where that is not known, or an input of the flow."""
    if source.node is None or source.node not in contracts:
        return None
    port = fit_output(source, contracts[source.node])
    return None if isinstance(port, Misfit) else (source.node, port.name)


def _consume(found: Wiring, flow: Flow, name: str, contracts: Mapping[str, ModuleContract]) -> None:
    """Note whom the edges of a node come from."""
    known = found.edges.get(name)
    edges = flow.nodes[name].inputs if known is None else known
    for port, sources in edges.items():
        for source in sources:
            output = output_of(source, contracts)
            if output is None:
                continue
            _note_rejected(found, output)
            if known is None:
                found.kept.add(output)
            else:
                found.consumers.setdefault(output, []).append(Consumer(name, port))


def _note_rejected(found: Wiring, output: tuple[str, str]) -> None:
    if output[1] == REJECTED:
        found.rejecting.add(output[0])
