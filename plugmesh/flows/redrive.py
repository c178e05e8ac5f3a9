"""What a redrive takes over from the run whose rows it corrects: all that is not below the step that gets them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from plugmesh.contracts.data import Reference
from plugmesh.contracts.flow import Flow
from plugmesh.contracts.module import ModuleContract, PortKind
from plugmesh.flows.binding import fit_inputs
from plugmesh.flows.graph import predecessors
from plugmesh.flows.rerun import Asked, Origin, Parts, plan_rerun


def feedable_ports(flow: Flow, step: str, contract: ModuleContract) -> tuple[str, ...]:
    """The inputs of a step that rejected rows can have come from: its tables that are connected."""
    node = flow.nodes[step.partition(".")[0]]
    edges, _ = fit_inputs(node.inputs, contract)
    return tuple(port.name for port in contract.inputs if port.kind is PortKind.TABLE and port.name in edges)


def plan_redrive(origin: Origin, step: str, port: str, rows: Reference) -> Parts:
    """The rerun in which `step` gets `rows` at `port`, and what is below it runs on what it makes of them.

    Steps beside and above are taken over, or left out where they were not accepted; so is what needs one of those. Of a
    mapped node there is only the element that gets the rows. Never raises: see `problems`.
    """
    name, dot, element = step.partition(".")
    below = _below(origin, name)
    parts = plan_rerun(origin, Asked(only=(step, *below)), origin.scope)
    if parts.problems:
        return parts
    others = parts.feeds.get(step, {})  # what an earlier redrive gave it: these rows were rejected beside that
    feeds: Mapping[str, Mapping[str, tuple[Reference, ...]]] = {step: {**others, port: (rows,)}}
    elements = {one: numbers for one, numbers in parts.elements.items() if one not in below}
    return replace(parts, feeds=feeds, elements={**elements, name: (int(element),)} if dot else elements)


def _below(origin: Origin, name: str) -> Sequence[str]:
    """What is below a node, as far as all that it needs is there."""
    before = predecessors(origin.flow)
    runs, found = {name}, True
    while found:
        found = False
        for one, parents in before.items():
            if (
                one not in runs
                and not runs.isdisjoint(parents)
                and all(p in runs or p in origin.accepted for p in parents)
            ):
                runs.add(one)
                found = True
    return [one for one in origin.flow.nodes if one in runs and one != name]
