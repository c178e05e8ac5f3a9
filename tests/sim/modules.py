"""The modules of the simulated mesh: what they promise, and what their outputs must be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from plugmesh.contracts.module import InputPort, ModuleContract, ModuleKind, OutputPort, PortKind, Traits

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
USUAL = (WORK, PASS, SHARED, SINK, UPSERT)
"""What the two instances serve; `sim.late` comes when a third one is started, `sim.never` never."""


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
        if node["module"] == PASS.name:
            made[name] = inputs[:1]
        elif "map" in node:
            made[name] = [output_bytes(str(item), inputs) for item in node["map"]]
        else:
            made[name] = [output_bytes(label, inputs)]
    return {name: made[source] for name, source in flow["outputs"].items()}
