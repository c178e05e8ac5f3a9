"""Which references reach a port of a module: what an attempt is handed, and what its replay is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plugmesh.contracts.data import DataRef, Reference, kind_of
from plugmesh.contracts.module import REJECTED, ModuleContract, PortKind
from plugmesh.data.reference import join, schema_hash
from plugmesh.errors import DataMismatch, FlowInvalid

_REASON_ONLY = (
    "/////3AAAAAQAAAAAAAKAAwABgAFAAgACgAAAAABBAAMAAAACAAIAAAABAAIAAAABAAAAAEAAAAUAAAAEAAUAAgABgAHAAwAAAAQABAAAAAA"
    "AAEFEAAAABwAAAAEAAAAAAAAAAcAAABfcmVhc29uAAQABAAEAAAA"
)
NOTHING_REJECTED = DataRef(schema_ipc=_REASON_ONLY, rows=0, fragments=())
"""The dead letters of a step that rejected nothing: no rows of `_reason`. (A scheduler has no Arrow to make it with.)"""


def port_of(ports: Mapping[str, tuple[Reference, ...]], port: str | None, node: str) -> tuple[Reference, ...]:
    """The references behind an edge: a named port, or the only one, dead letters aside. Raises `FlowInvalid`."""
    if port is None:
        own = [name for name in ports if name != REJECTED] if REJECTED in ports else ports
        if len(own) == 1:
            return ports[next(iter(own))]
    found = ports.get(port or "out")
    if found is None and port == REJECTED:
        return (NOTHING_REJECTED,)
    if found is None:
        raise FlowInvalid(
            f"node {node!r} has no output {port or 'out'!r}; it gave: {', '.join(sorted(ports)) or 'nothing'}"
        )
    return found


def ports_of_elements(outputs: Sequence[Mapping[str, Reference]]) -> dict[str, tuple[Reference, ...]]:
    """The outputs of a mapped node: by port, those of its elements in their order; of dead letters only those with rows,
    whose columns may be others than those of an element that rejected nothing."""
    ports: dict[str, list[Reference]] = {}
    for element in outputs:
        for port, reference in element.items():
            ports.setdefault(port, []).append(reference)
    if len(letters := ports.get(REJECTED, [])) > 1:
        ports[REJECTED] = [one for one in letters if getattr(one, "rows", None) != 0] or letters[:1]
    return {port: tuple(references) for port, references in ports.items()}


def joined_outputs(outputs: Sequence[Mapping[str, Reference]]) -> dict[str, Reference]:
    """The outputs of a node that was done in pieces, from theirs in order: one table a port. What pieces rejected stays
    with them. Raises `DataMismatch`."""
    ports = {port: references for port, references in ports_of_elements(outputs).items() if port != REJECTED}
    for port, references in ports.items():
        # References that were spilled are not read for this. Doing the node whole for nothing is the price of a difference
        # that is none; a table that nobody could read would be that of one that was missed.
        spilled = any(kind_of(one) == "table" and not isinstance(one, DataRef) for one in references)
        if spilled and len({schema_hash(one) for one in references}) > 1:
            raise DataMismatch(f"the tables of port {port!r} have different columns or types")
    return {port: join(references) for port, references in ports.items()}


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
    if declared.kind is PortKind.TABLE and all(kind_of(reference) == "table" for reference in references):
        return (join(references),)
    raise FlowInvalid(f"port {port!r} of {contract.ref} takes one {declared.kind}, but got {len(references)}")
