"""One node while it is planned: its rules, what came in from above, what is wanted from below. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from plugmesh.contracts.flow import Node
from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind
from plugmesh.contracts.plan import PlanAnswer, PlanQuestion, Predicate
from plugmesh.flows.binding import Edges
from plugmesh.planner.flow_plan import Names, NodePlan, Schema, Unknown
from plugmesh.planner.names import chosen
from plugmesh.planner.rules import Need, Rules

Answers = Callable[[PlanQuestion], PlanAnswer | None]


@dataclass(slots=True)
class Place:
    """A node whose module is known and whose edges fit it.

    `schemas` are, by input port, those of its edges as the module sees them; `outputs` are as the flow sees them.
    `wanted` by output: `None` is all.
    """

    name: str
    node: Node
    contract: ModuleContract
    edges: Edges
    rules: Rules
    schemas: dict[str, tuple[Schema | None, ...]] = field(default_factory=dict)
    outputs: dict[str, Schema | None] = field(default_factory=dict)
    question: PlanQuestion | None = None
    wanted: dict[str, Need] = field(default_factory=dict)
    needs: dict[str, Need] = field(default_factory=dict)
    filters: dict[str, tuple[Predicate, ...]] = field(default_factory=dict)

    def schema(self, port: str) -> Schema | None:
        """The columns of an input; of several edges only if all have the same."""
        schemas = self.schemas.get(port, ({},))
        return schemas[0] if all(one == schemas[0] for one in schemas) else None

    def connected(self) -> list[InputPort]:
        """The table inputs that have an edge."""
        return [port for port in self.contract.inputs if port.kind is PortKind.TABLE and port.name in self.edges]

    def tables(self) -> list[OutputPort]:
        """The table outputs."""
        return [port for port in self.contract.outputs if port.kind is PortKind.TABLE]

    # -- forwards ----------------------------------------------------------------------------------------------------

    def take(self, schemas: Mapping[str, tuple[Schema | None, ...]], answers: Answers) -> None:
        """What comes in; ask the module if it answers such questions, and find out what it gives."""
        to_own = {theirs: ours for ours, theirs in self.node.bind.items()}
        self.schemas = {
            port: tuple(_renamed(schema, to_own) for schema in several) for port, several in schemas.items()
        }
        if self.contract.has_plan:
            self._ask(answers)
        inputs = {port.name: self.schema(port.name) for port in self.connected()}
        self.outputs = {port.name: self._unbound(port, self.rules.gives(port, inputs)) for port in self.tables()}

    def _ask(self, answers: Answers) -> None:
        unknown = [name for name, value in self.rules.params.items() if isinstance(value, Unknown)]
        if unknown:
            self._say(f"param {unknown[0]!r} is only known during the run")
            return
        schemas: dict[str, dict[str, str]] = {}
        for port in self.connected():
            schema = self.schema(port.name)
            if schema is None:
                self._say(f"the columns of its input {port.name!r} are not known")
                return
            schemas[port.name] = dict(schema)
        contract = self.contract
        params = {name: value for name, value in self.rules.params.items() if not isinstance(value, Unknown)}
        question = PlanQuestion(
            module=contract.name,
            version=contract.version,
            digest=contract.digest,
            params=params,
            schemas=schemas,
        )
        self.rules.answer = answers(question)
        if self.rules.answer is None:
            self.question = question
            self._say(f"no instance has said yet which columns {contract.name} reads and gives with these params")

    def _unbound(self, port: OutputPort, schema: Schema | None) -> Schema | None:
        """Columns that were bound get the flow's names back, unless the module declares them as its own."""
        if schema is None or not self.node.bind:
            return schema
        declared = self.rules.own_names(port)
        return _renamed(schema, {ours: theirs for ours, theirs in self.node.bind.items() if ours not in declared})

    # -- backwards ---------------------------------------------------------------------------------------------------

    def want(self, wanted: Mapping[str, Need]) -> None:
        """What is used of each output, as the flow calls it; find out what must come in."""
        self.wanted = {port.name: self._there(wanted.get(port.name), port) for port in self.tables()}
        own = {port: self._as_own(need) for port, need in self.wanted.items()}
        for port in self.connected():
            schema = self.schema(port.name)
            need = self.rules.needs(port, own, schema)
            self.needs[port.name] = need if need is None or schema is None else frozenset(chosen(schema, need))

    def need(self, port: str) -> Need:
        """What an input needs, as the flow calls it. Both names of a bound column: it may not have been there."""
        need = self.needs.get(port)
        if need is None or not self.node.bind:
            return need
        folded = {name.casefold() for name in need}
        return need | {theirs for ours, theirs in self.node.bind.items() if ours.casefold() in folded}

    def _there(self, wanted: Need, port: OutputPort) -> Need:
        schema = self.outputs.get(port.name)
        return wanted if wanted is None or schema is None else frozenset(chosen(schema, wanted))

    def _as_own(self, wanted: Need) -> Need:
        if wanted is None or not self.node.bind:
            return wanted
        folded = {name.casefold() for name in wanted}
        return wanted | {ours for ours, theirs in self.node.bind.items() if theirs.casefold() in folded}

    # -- what comes of it --------------------------------------------------------------------------------------------

    def plan(self) -> NodePlan:
        """What is known about the node now."""
        connected = self.connected()
        reads = {port.name: self._ordered(port.name, self.rules.reads(port)) for port in connected}
        return NodePlan(
            contract=self.contract,
            inputs={port.name: self.schema(port.name) for port in connected},
            outputs=self.outputs,
            reads=reads,
            needs={port: self._ordered(port, need) for port, need in self.needs.items()},
            columns={port.name: names for port in connected if (names := self._handed(port)) is not None},
            wanted={port: _in_order(need, self.outputs.get(port)) for port, need in self.wanted.items()},
            filters=self.filters,
            unknown=tuple(self.rules.why),
        )

    def _handed(self, port: InputPort) -> Names | None:
        """What the module is to be handed; `None` where it gets the right columns without being told."""
        need = self.needs.get(port.name)
        if self.rules.attaches(port):
            need = self.rules.reads(port) if self.rules.answer is not None else None
        elif self.rules.answer is None and not port.rest and not self._passes(port):
            need = None  # its contract says the same
        schema = self.schema(port.name)
        if need is None or (schema is not None and len(chosen(schema, need)) == len(schema)):
            return None
        return self._ordered(port.name, need)

    def _passes(self, port: InputPort) -> bool:
        return any(output.passes == port.name for output in self.contract.outputs)

    def _ordered(self, port: str, need: Need) -> Names | None:
        return _in_order(need, self.schema(port))

    def _say(self, reason: str) -> None:
        self.rules.why.setdefault(reason)


def _in_order(need: Need, schema: Schema | None) -> Names | None:
    if need is None:
        return None
    return tuple(sorted(need) if schema is None else chosen(schema, need))


def _renamed(schema: Schema | None, names: Mapping[str, str]) -> Schema | None:
    """The columns with other names; not known where two would get the same: then the step will say so."""
    if schema is None or not names:
        return schema
    renamed = {names.get(name, name): kind for name, kind in schema.items()}
    return renamed if len(renamed) == len(schema) else None
