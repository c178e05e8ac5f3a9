"""The modules of the simulated mesh: what they promise, and what their outputs must be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from plugmesh.contracts.module import InputPort, ModuleContract, ModuleKind, OutputPort, PortKind, Traits
from scheduler.pieces import PIECE_ROWS

_INTO = InputPort(name="into", kind=PortKind.FILE, optional=True, variadic=True)
_OUT = OutputPort(name="out", kind=PortKind.FILE)
_PARAMS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "s": {"type": "number"},
        "fails": {"type": "integer"},
        "breaks": {"type": "boolean"},
        "fatal": {"type": "boolean"},
        "stuck": {"type": "integer"},
    },
    "additionalProperties": False,
}


def _contract(name: str, **fields: Any) -> ModuleContract:
    values: dict[str, Any] = {"version": "1.0.0", "inputs": (_INTO,), "outputs": (_OUT,), "params": _PARAMS}
    return ModuleContract(name=name, **{**values, **fields})


WORK = _contract("sim.work")
PASS = _contract("sim.pass")
SHARED = _contract("sim.shared", traits=Traits(concurrent=True))
SINK = _contract("sim.sink", kind=ModuleKind.SINK)
UPSERT = _contract("sim.upsert", kind=ModuleKind.SINK, traits=Traits(idempotent=True))
LATE = _contract("sim.late")
_ROWS = InputPort(name="into", kind=PortKind.TABLE)
_TABLE = OutputPort(name="out", kind=PortKind.TABLE)
TABLE = _contract("sim.table", kind=ModuleKind.SOURCE, inputs=(), outputs=(_TABLE,))
ROWWISE = _contract("sim.rowwise", inputs=(_ROWS,), outputs=(_TABLE,), traits=Traits(rows="same", rowwise=True))
TALLY = _contract("sim.tally", inputs=(_ROWS,))
USUAL = (WORK, PASS, SHARED, SINK, UPSERT, TABLE, ROWWISE, TALLY)
"""What the two instances serve; `sim.late` comes when a third one is started, `sim.never` never."""


TABLE_ROWS = 5 * PIECE_ROWS
"""Rows of the one fragment that `sim.table` makes: as many pieces as that is of a rowwise module that reads it."""


def row_bytes(label: str, first: int) -> bytes:
    """What an object with rows of a table holds: who wrote it, and which row of the whole is its first."""
    return json.dumps({"label": label, "first": first}).encode()


def tally_bytes(label: str, labels: Sequence[str], ranges: Sequence[tuple[int, int]]) -> bytes:
    """What `sim.tally` writes: who made the rows that it read, and from where to where they go without a gap."""
    joined: list[list[int]] = []
    for first, end in ranges:
        if joined and joined[-1][1] == first:
            joined[-1][1] = end
        else:
            joined.append([first, end])
    return json.dumps({"label": label, "by": sorted(set(labels)), "rows": joined}).encode()


def output_bytes(label: str, inputs: Sequence[bytes]) -> bytes:
    """What a step with this label writes, given what it read."""
    read = [hashlib.sha256(data).hexdigest() for data in inputs]
    return json.dumps({"label": label, "read": read}).encode()


def expected_outputs(flow: dict[str, Any]) -> dict[str, list[bytes]]:
    """What each output of a flow must hold when its run has succeeded; nodes stand behind those they read."""
    made: dict[str, list[bytes]] = {}
    for name, node in flow["nodes"].items():
        parents = node.get("in", [])
        inputs = [data for parent in ([parents] if isinstance(parents, str) else parents) for data in made[parent]]
        label = node["params"]["label"]
        if node["module"] in {TABLE.name, ROWWISE.name}:
            made[name] = [label.encode()]  # only a tally shows what is in it
        elif node["module"] == TALLY.name:
            made[name] = [tally_bytes(label, [data.decode() for data in inputs], [(0, TABLE_ROWS)])]
        elif node["module"] == PASS.name:
            made[name] = inputs[:1]
        elif "map" in node:
            made[name] = [output_bytes(str(item), inputs) for item in node["map"]]
        else:
            made[name] = [output_bytes(label, inputs)]
    return {name: made[source] for name, source in flow["outputs"].items()}
