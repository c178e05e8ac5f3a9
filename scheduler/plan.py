"""A flow compiled for walking: nodes by number, parents and children, depth. Shared by all runs of a revision."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.module import REJECTED, Limits
from plugmesh.errors import FlowInvalid
from plugmesh.flows.binding import Edges


@dataclass(frozen=True, slots=True)
class Bound:
    """A node together with a contract: its edges by input port, and what node and contract limit (`None`: nothing)."""

    edges: Edges
    limits: Limits | None


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node. `module` is its module's name without a version. `readers` counts who will read its outputs: children, and
    the flow's outputs as one. `labels` are those of the node, as placement compares them. `shows_rejected`: somebody reads
    the rows that it rejects."""

    index: int
    name: str
    module: str
    node: Node
    parents: tuple[int, ...]
    children: tuple[int, ...]
    depth: int
    readers: int
    labels: frozenset[tuple[str, str]]
    shows_rejected: bool = False
    bound: dict[str, Bound] = field(default_factory=dict, compare=False, repr=False)
    """How the node fits contracts that it was assigned with, by their digests: found out once for all runs."""

    @property
    def mapped(self) -> bool:
        """It runs once for each element of a list."""
        return self.node.map is not None


@dataclass(frozen=True, slots=True)
class Plan:
    """The graph of a flow, in the order of the text."""

    flow: Flow
    nodes: tuple[PlanNode, ...]
    by_name: dict[str, int]


def compile_plan(flow: Flow) -> Plan:
    """Number the nodes and link them. Raises `FlowInvalid` for an unknown node or a cycle (validation says it better)."""
    by_name = {name: index for index, name in enumerate(flow.nodes)}
    parents = [_parents(name, node, by_name) for name, node in flow.nodes.items()]
    children: list[list[int]] = [[] for _ in parents]
    for index, above in enumerate(parents):
        for parent in above:
            children[parent].append(index)
    depths = _depths(parents, children)
    shown = {by_name[source.node] for source in flow.outputs.values() if source.node in by_name}
    rejecting = _read_for_rejected(flow)
    nodes = tuple(
        PlanNode(
            index,
            name,
            node.module.partition("@")[0],
            node,
            parents[index],
            tuple(children[index]),
            depths[index],
            len(children[index]) + (index in shown),
            frozenset(node.labels.items()),
            name in rejecting,
        )
        for index, (name, node) in enumerate(flow.nodes.items())
    )
    return Plan(flow, nodes, by_name)


def _read_for_rejected(flow: Flow) -> set[str | None]:
    """The nodes whose rejected rows an edge or an output of the flow reads."""
    edges = [source for node in flow.nodes.values() for sources in node.inputs.values() for source in sources]
    return {source.node for source in (*edges, *flow.outputs.values()) if source.port == REJECTED}


def _parents(name: str, node: Node, by_name: dict[str, int]) -> tuple[int, ...]:
    wanted = [source.node for edges in node.inputs.values() for source in edges if source.node is not None]
    wanted += node.after
    for parent in wanted:
        if parent not in by_name:
            raise FlowInvalid(f"node {name!r} refers to {parent!r}, which is not in the flow")
    return tuple(dict.fromkeys(by_name[parent] for parent in wanted))


def _depths(parents: list[tuple[int, ...]], children: list[list[int]]) -> list[int]:
    unmet = [len(above) for above in parents]
    depths = [0] * len(parents)
    queue = deque(index for index, count in enumerate(unmet) if count == 0)
    seen = 0
    while queue:
        index = queue.popleft()
        seen += 1
        for child in children[index]:
            depths[child] = max(depths[child], depths[index] + 1)
            unmet[child] -= 1
            if unmet[child] == 0:
                queue.append(child)
    if seen != len(parents):
        raise FlowInvalid("the flow has a cycle: its nodes wait for each other")
    return depths
