"""What a contract and a module's answer say about the columns of one node, its params filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind
from plugmesh.contracts.plan import PassedColumn, PlanAnswer
from plugmesh.planner.flow_plan import Schema, Unknown
from plugmesh.planner.names import chosen
from plugmesh.planner.params import NamingParams, Params

Need = frozenset[str] | None
"""Columns that must be there; `None`: all of them."""
NOTHING: frozenset[str] = frozenset()

_PARAM = re.compile(r"\$\{params\.([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(slots=True)
class Rules:
    """The rules of one node's module. `why` collects, in words, what is not known."""

    contract: ModuleContract
    params: Params
    answer: PlanAnswer | None = None
    why: dict[str, None] = field(default_factory=dict)
    _naming: NamingParams | None = None

    @property
    def naming(self) -> NamingParams:
        """Which params name columns."""
        if self._naming is None:
            self._naming = NamingParams(self.contract)
        return self._naming

    # -- what it reads -----------------------------------------------------------------------------------------------

    def reads(self, port: InputPort) -> Need:
        """What the module itself looks at."""
        if port.kind is not PortKind.TABLE:
            return NOTHING
        if self.answer is not None:
            answered = None if self.answer.reads is None else self.answer.reads.get(port.name)
            return None if answered is None else frozenset(answered)
        if self.contract.has_plan:
            return None  # why there is no answer is said where it was asked for
        if port.rest:
            self._say(f"{self.contract.name} reads all columns of {port.name!r}: its contract names none")
            return None
        own = self._filled(port.columns)
        named, unknown = self.naming.names(port.name, self.params)
        for param in unknown:
            self._say(f"param {param!r} names columns, and its value is only known during the run")
        return None if own is None or unknown else frozenset(own) | named

    def needs(self, port: InputPort, wanted: Mapping[str, Need], schema: Schema | None) -> Need:
        """What must be there so that the module can work, and so that its outputs have what is `wanted` of them."""
        reads = self.reads(port)
        if reads is None or port.kind is not PortKind.TABLE:
            return reads
        needed = set(reads)
        for output in self.contract.outputs:
            passing = self._passing(port, output, wanted.get(output.name), schema)
            if passing is None:
                return None
            needed |= passing
        return frozenset(needed)

    def _passing(self, port: InputPort, output: OutputPort, wanted: Need, schema: Schema | None) -> Need:
        """The columns of an input that are used behind an output."""
        passes = self.passes(output)
        if passes is not None:
            names = passes if wanted is None else chosen(passes, wanted)
            return frozenset(passes[name].column for name in names if passes[name].port == port.name)
        if output.passes != port.name:
            return NOTHING
        made = {*(self._filled(output.columns) or ()), *(self._names(output.drops) or ())}
        if wanted is None:
            return None if schema is None else frozenset(schema) - made
        return wanted - made

    def passes(self, output: OutputPort) -> Mapping[str, PassedColumn] | None:
        """The columns that pass through an output, as the module answered."""
        answered = None if self.answer is None else self.answer.passes
        return None if answered is None else answered.get(output.name)

    def attaches(self, port: InputPort) -> bool:
        """Whether columns of this input that the module is not handed are put beside its own, row by row."""
        passing = any(output.passes == port.name for output in self.contract.outputs)
        return passing and self.contract.traits.rows == "same"

    # -- what it gives -----------------------------------------------------------------------------------------------

    def gives(self, output: OutputPort, inputs: Mapping[str, Schema | None]) -> Schema | None:
        """The columns of an output, as the module calls them."""
        if self.answer is not None and self.answer.outputs is not None and output.name in self.answer.outputs:
            return self.answer.outputs[output.name]
        if output.open and output.passes is None:
            if self.answer is not None or not self.contract.has_plan:
                self._say(f"the columns of {output.name!r} are only known when {self.contract.name} has run")
            return None
        own, dropped = self._filled(output.columns), self._names(output.drops)
        if own is None or dropped is None:
            self._say(f"a column of {output.name!r} is called as a param says, which is only known during the run")
            return None
        if output.passes is None:
            return own
        passing = inputs.get(output.passes, {})
        if passing is None:
            return None
        return {**{name: kind for name, kind in passing.items() if name not in dropped}, **own}

    def declared(self, port: InputPort) -> Schema:
        """The columns that an input declares and whose names are known."""
        return {name: kind for name, kind in self._named(port.columns) if name is not None}

    def own_names(self, output: OutputPort) -> frozenset[str]:
        """The names of columns that the module declares as made by it."""
        return frozenset(name for name, _ in self._named(output.columns) if name is not None)

    def _filled(self, columns: Mapping[str, str]) -> Schema | None:
        """Declared columns with their real names; `None` where a param that names one is not known."""
        filled = {name: kind for name, kind in self._named(columns) if name is not None}
        return filled if len(filled) == len(columns) else None

    def _names(self, names: Iterable[str]) -> frozenset[str] | None:
        filled = self._filled(dict.fromkeys(names, ""))
        return None if filled is None else frozenset(filled)

    def _named(self, columns: Mapping[str, str]) -> list[tuple[str | None, str]]:
        return [(self._name(name), kind) for name, kind in columns.items()]

    def _name(self, declared: str) -> str | None:
        match = _PARAM.fullmatch(declared)
        if match is None:
            return declared
        value = self.naming.value(match[1], self.params)
        if isinstance(value, Unknown):
            return None
        return declared if value is None else str(value)

    def _say(self, reason: str) -> None:
        self.why.setdefault(reason)
