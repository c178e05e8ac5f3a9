"""Whether a plan of a flow could leave anything out: looked at once for a flow, so that others cost nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from plugmesh.contracts.flow import Flow
from plugmesh.contracts.module import ModuleContract, ModuleKind, PortKind
from plugmesh.planner.wiring import Consumer, Wiring, wire


def worth_planning(flow: Flow, contracts: Mapping[str, ModuleContract]) -> bool:
    """Whether a source of `flow` gives a table that nobody certainly needs whole."""
    sources = [name for name, contract in contracts.items() if contract.kind is ModuleKind.SOURCE]
    if not sources:
        return False
    wiring = wire(flow, contracts)
    return any(
        port.kind is PortKind.TABLE and _may_lose(wiring, contracts, (name, port.name))
        for name in sources
        for port in contracts[name].outputs
    )


def _may_lose(wiring: Wiring, contracts: Mapping[str, ModuleContract], output: tuple[str, str]) -> bool:
    consumers = wiring.consumers.get(output)
    if not consumers or output in wiring.kept:
        return False
    return not any(_needs_all(contracts[consumer.node], consumer) for consumer in consumers)


def _needs_all(contract: ModuleContract, consumer: Consumer) -> bool:
    port = contract.input(consumer.port)
    return port is None or (port.kind is PortKind.TABLE and port.rest and not contract.has_plan)
