"""Cycles in a flow, found without recursion: flows may be tens of thousands of nodes deep."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from plugmesh.contracts.flow import Flow

Graph = Mapping[str, Collection[str]]


def predecessors(flow: Flow) -> dict[str, set[str]]:
    """For every node the nodes that must have finished before it (only those that exist)."""
    before: dict[str, set[str]] = {}
    for name, node in flow.nodes.items():
        sources = {source.node for sources in node.inputs.values() for source in sources}
        before[name] = {other for other in sources.union(node.after) if other in flow.nodes and other is not None}
    return before


def find_cycles(before: Graph) -> list[list[str]]:
    """One cycle for every group of nodes that wait for each other, in the direction of the data, its first node first."""
    left = _in_cycles_or_between(before)
    order = {name: index for index, name in enumerate(before)}
    cycles: list[list[str]] = []
    seen: set[str] = set()
    for name in left:
        if name not in seen:
            cycle = _walk_back(name, left, seen)
            if cycle:
                first = cycle.index(min(cycle, key=order.__getitem__))
                cycles.append(cycle[first:] + cycle[:first])
    return cycles


def _in_cycles_or_between(before: Graph) -> dict[str, list[str]]:
    """What is left when nodes without predecessors are removed, again and again; then the same without successors."""
    remaining = _peel(before)
    after: dict[str, list[str]] = {name: [] for name in remaining}
    for name, others in remaining.items():
        for other in others:
            after[other].append(name)
    kept = _peel(after)
    return {name: [other for other in remaining[name] if other in kept] for name in remaining if name in kept}


def _peel(before: Graph) -> dict[str, list[str]]:
    waiting = {name: len(others) for name, others in before.items()}
    followers: dict[str, list[str]] = {name: [] for name in before}
    for name, others in before.items():
        for other in others:
            followers[other].append(name)
    ready = deque(name for name, count in waiting.items() if count == 0)
    while ready:
        for follower in followers[ready.popleft()]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    return {name: [other for other in before[name] if waiting[other]] for name, count in waiting.items() if count}


def _walk_back(start: str, left: Graph, seen: set[str]) -> list[str]:
    """Follow predecessors from `start` until a node comes again; every node left has one."""
    trail: dict[str, int] = {}
    name = start
    while name not in trail:
        if name in seen:
            return []
        trail[name] = len(trail)
        name = next(iter(left[name]))
    seen.update(trail)
    return list(trail)[trail[name] :][::-1]
