"""Which references reach a port of a module: what an attempt is handed, and what its replay is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plugmesh.contracts.data import DataRef, Reference
from plugmesh.contracts.module import ModuleContract, PortKind
from plugmesh.data.reference import concat
from plugmesh.errors import FlowInvalid


def port_of(ports: Mapping[str, tuple[Reference, ...]], port: str | None, node: str) -> tuple[Reference, ...]:
    """The references behind an edge: a named port, or the only one. Raises `FlowInvalid`."""
    if port is None and len(ports) == 1:
        return next(iter(ports.values()))
    found = ports.get(port or "out")
    if found is None:
        raise FlowInvalid(
            f"node {node!r} has no output {port or 'out'!r}; it gave: {', '.join(sorted(ports)) or 'nothing'}"
        )
    return found


def ports_of_elements(outputs: Sequence[Mapping[str, Reference]]) -> dict[str, tuple[Reference, ...]]:
    """The outputs of a mapped node: by port, those of its elements in their order."""
    ports: dict[str, list[Reference]] = {}
    for element in outputs:
        for port, reference in element.items():
            ports.setdefault(port, []).append(reference)
    return {port: tuple(references) for port, references in ports.items()}


def fed(contract: ModuleContract, port: str, references: Sequence[Reference]) -> tuple[Reference, ...]:
    """What a port is handed of what its edges carry: tables of a mapped node are put together where it takes one.

    Raises `FlowInvalid`, `DataMismatch`.
    """
    declared = contract.input(port)
    if declared is None or declared.variadic or len(references) == 1:
        return tuple(references)
    if not references:
        if declared.optional:
            return ()
        raise FlowInvalid(f"port {port!r} of {contract.ref} got no data: the list it was mapped over is empty")
    tables = [reference for reference in references if isinstance(reference, DataRef)]
    if declared.kind is PortKind.TABLE and len(tables) == len(references):
        return (concat(tables),)
    raise FlowInvalid(f"port {port!r} of {contract.ref} takes one {declared.kind}, but got {len(references)}")
