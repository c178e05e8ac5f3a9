"""Modules that the flow tests know, with contracts like those of the built-in ones."""

from collections.abc import Collection, Iterable
from typing import Any

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind

TEXT = {"type": "string"}

LATE_BY_CARRIER = """\
flow: flights/late-by-carrier
inputs:
  flights: {kind: file}
  airlines: {kind: file}
nodes:
  read:     {module: io.read, params: {file: "${inputs.flights}"}}
  late:     {module: table.filter, in: read, params: {where: "arr_delay > 15"}}
  by:       {module: table.aggregate, in: late, params: {by: [carrier], measures: {n: "count(*)"}}}
  airlines: {module: io.read, params: {file: "${inputs.airlines}"}}
  named:    {module: table.join, in: {left: by, right: airlines}, params: {on: carrier, how: left}}
outputs:
  report: named
"""


def params(*required: str, **properties: Any) -> dict[str, Any]:
    """A params schema."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def contract(
    name: str,
    inputs: Iterable[str | InputPort] = (),
    outputs: Iterable[str | OutputPort] = ("out",),
    schema: dict[str, Any] | None = None,
) -> ModuleContract:
    """A contract; ports given by name are required tables."""
    return ModuleContract(
        name=name,
        version="1.0.0",
        inputs=tuple(InputPort(name=port) if isinstance(port, str) else port for port in inputs),
        outputs=tuple(OutputPort(name=port) if isinstance(port, str) else port for port in outputs),
        params=params() if schema is None else schema,
    )


class KnownModules:
    """A `ContractView` over a list of contracts."""

    def __init__(self, *contracts: ModuleContract, away: Collection[str] = ()) -> None:
        self._contracts = {contract.name: contract for contract in contracts}
        self._away = away

    def names(self) -> Collection[str]:
        return self._contracts.keys()

    def find(self, module_reference: str) -> ModuleContract | None:
        name, _, version = module_reference.partition("@")
        return self._contracts.get(name) if version in {"", "1.0.0", "^1"} else None

    def is_live(self, module_reference: str) -> bool:
        return module_reference.partition("@")[0] not in self._away

    def disabled(self, module_reference: str) -> str:
        return ""

    def quarantined(self, module_reference: str) -> str:
        return ""

    def versions(self, name: str) -> Collection[str]:
        return ["1.0.0"] if name in self._contracts else []


def builtin_like(away: Collection[str] = ()) -> KnownModules:
    """Readers, filters, joins and a few more."""
    return KnownModules(
        contract(
            "io.read",
            schema=params("file", file={"type": "object", "x-mesh": "file"}, rows={"type": "integer", "minimum": 0}),
        ),
        contract("io.write", ["table"], [OutputPort(name="file", kind=PortKind.FILE)], params(path=TEXT)),
        contract("table.filter", ["table"], schema=params("where", where=TEXT)),
        contract("table.split", ["table"], ["matching", "others"], params("where", where=TEXT)),
        contract("table.union", [InputPort(name="tables", variadic=True)]),
        contract(
            "table.aggregate",
            ["table"],
            schema=params(
                "by",
                by={"type": "array", "items": TEXT},
                measures={"type": "object", "additionalProperties": TEXT},
            ),
        ),
        contract(
            "table.join",
            ["left", "right"],
            schema=params("on", on=TEXT, how={"enum": ["left", "inner", "full"], "type": "string"}),
        ),
        contract(
            "orders.total",
            [
                InputPort(name="orders", columns={"price": "float64", "qty": "int64"}),
                InputPort(name="rates", optional=True),
            ],
        ),
        contract("report.send", ["table"], []),
        contract("table.limit", ["table"], schema=params(rows={"type": "integer"}, share={"type": "number"})),
        away=away,
    )
