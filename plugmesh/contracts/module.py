"""What a module promises: its ports, params and traits. The one declaration behind registry, validation, form and docs."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from plugmesh.contracts.base import MODULE_PATTERN, NAME_PATTERN, Contract, Versioned

VERSION_PATTERN = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$"
VERSION_CHARACTERS = 64
"""The longest version."""

REJECTED = "rejected"
"""The output of every step for the rows that it could not use; no module may declare one of this name."""


class ModuleKind(StrEnum):
    """What part a module plays in a flow."""

    SOURCE = "source"
    TRANSFORM = "transform"
    SINK = "sink"
    CONTROL = "control"


class PortKind(StrEnum):
    """What travels through a port."""

    TABLE = "table"
    FILE = "file"
    VALUE = "value"


class InputPort(Contract):
    """One input.

    `columns` maps the columns that the module reads to Arrow type names (`float64`, `timestamp[us, tz=UTC]`; `any`
    accepts every type). `rest` says that it reads all other columns too (`"...": True`, or no declaration at all).
    A `variadic` port takes a list of edges, an `optional` one none.
    """

    name: str = Field(pattern=NAME_PATTERN)
    kind: PortKind = PortKind.TABLE
    columns: dict[str, str] = {}
    rest: bool = True
    optional: bool = False
    variadic: bool = False
    doc: str = ""


class OutputPort(Contract):
    """One output.

    `columns` maps the columns that the module makes to Arrow type names. `passes` names the input port whose
    other columns pass through (`"...": "orders"`), but for those in `drops` (`"qty": False`). With `open`, nothing is
    promised: the schema is known after the first run.
    """

    name: str = Field(pattern=NAME_PATTERN)
    kind: PortKind = PortKind.TABLE
    columns: dict[str, str] = {}
    passes: str | None = None
    drops: tuple[str, ...] = ()
    open: bool = True
    doc: str = ""


class Traits(Contract):
    """What the engine may rely on.

    `rows`: "same" promises that output rows are the input rows in the same order. `rowwise`: each row can be
    computed alone. `deterministic`: the same inputs give the same outputs. `idempotent` (sinks): applying an effect
    twice with the same key equals applying it once. `concurrent`: an `async def`; many attempts share a process.
    `filters` names the param whose expression says which rows the module passes on; it leaves out all others, and changes
    nothing about those. So rows that do not meet it need not be read before.
    """

    rows: Literal["same", "any"] = "any"
    rowwise: bool = False
    deterministic: bool = True
    idempotent: bool = False
    concurrent: bool = False
    filters: str | None = None


class Resources(Contract):
    """What one attempt asks for; `None` = no request."""

    cpus: float | None = Field(default=None, gt=0)
    memory_bytes: int | None = Field(default=None, gt=0)
    gpus: int | None = Field(default=None, ge=0)


class Limits(Contract):
    """What one attempt may use at most; `None` = no limit of this kind.

    `memory_bytes` counts the data of the process (anonymous memory), not mapped files. `silent_s`: an attempt that
    uses no CPU, logs nothing and reports no progress for so long is stuck, and ends. The wall time is a node's
    `timeout_s`.
    """

    memory_bytes: int | None = Field(default=None, gt=0)
    cpu_s: float | None = Field(default=None, gt=0)
    open_files: int | None = Field(default=None, ge=16)
    output_bytes: int | None = Field(default=None, gt=0)
    silent_s: float | None = Field(default=None, gt=0)

    def over(self, other: Limits) -> Limits:
        """These limits, and where one is not set, the one of `other`."""
        mine = {name: value for name, value in self if value is not None}
        return other.model_copy(update=mine) if mine else other


class ModuleContract(Versioned):
    """A module's whole promise. `params` is a JSON Schema of type object.

    In the params schema, mesh types are marked with `"x-mesh"`: `column`, `columns`, `expression`, `file`,
    `connection` or `secret`; `"x-port"` names the input port that a column or expression belongs to.
    `has_plan` says that a live instance answers `plan` messages for outputs that depend on params.
    """

    name: str = Field(pattern=MODULE_PATTERN, max_length=200)
    version: str = Field(default="0.1.0", pattern=VERSION_PATTERN, max_length=VERSION_CHARACTERS)
    kind: ModuleKind = ModuleKind.TRANSFORM
    title: str = ""
    doc: str = ""
    inputs: tuple[InputPort, ...] = ()
    outputs: tuple[OutputPort, ...] = ()
    params: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    has_plan: bool = False
    traits: Traits = Traits()
    resources: Resources = Resources()
    limits: Limits = Limits()
    code_digest: str = ""
    language: str = "python"

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits over everything in the contract: its key in the object store."""
        return _digest(self.model_dump(mode="json"))

    @property
    def promise(self) -> dict[str, Any]:
        """The part that must not change under one `name@version`: everything but texts, limits and the code's digest."""
        return self.model_dump(mode="json", exclude={"v", "title", "doc", "limits", "code_digest"})

    def input(self, name: str) -> InputPort | None:
        """The input port called `name`."""
        return next((port for port in self.inputs if port.name == name), None)

    def output(self, name: str) -> OutputPort | None:
        """The output port called `name`."""
        return next((port for port in self.outputs if port.name == name), None)


def contract_key(digest: str) -> str:
    """Key of a contract in the object store."""
    return f"contracts/{digest.partition(':')[2]}.json"


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
