"""The planner: which columns of which types go through a flow, who uses them, and what cannot work. Pure.

Types go forwards: from the sources' columns through the rules of each contract, the params, and the answers of modules that
plan themselves. Needs go backwards: from whoever looks at a table to the sources. What is not known counts as "all".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plugmesh.contracts.flow import Flow, Source
from plugmesh.contracts.module import ModuleContract
from plugmesh.contracts.plan import PlanAnswer, PlanQuestion, Predicate
from plugmesh.planner.flow_plan import ColumnProblem, FlowPlan, NodePlan, Schema
from plugmesh.planner.params import Params
from plugmesh.planner.place import Answers, Place
from plugmesh.planner.problems import problems_of
from plugmesh.planner.pushing import pushed
from plugmesh.planner.rules import NOTHING, Need, Rules
from plugmesh.planner.wiring import Consumer, Wiring, output_of, wire


def no_answers(_: PlanQuestion) -> PlanAnswer | None:
    """Nobody can be asked."""
    return None


def plan(
    flow: Flow,
    contracts: Mapping[str, ModuleContract],
    params: Mapping[str, Params],
    sources: Mapping[str, Schema] | None = None,
    answers: Answers = no_answers,
    *,
    inputs: Mapping[str, Schema] | None = None,
) -> FlowPlan:
    """The plan of `flow`. Never raises for what is wrong with it: parts that do not fit together need everything.

    By node: `contracts` of those that are known, `params` as `params_of` gives them, `sources` the columns of their only
    output where somebody knows them. `inputs`: the columns of tables that are handed in. `answers` is what modules said.
    """
    planning = _Planning(flow, contracts, params, sources=sources or {}, inputs=inputs or {})
    planning.forwards(answers)
    planning.backwards()
    return planning.result()


class _Planning:
    def __init__(
        self,
        flow: Flow,
        contracts: Mapping[str, ModuleContract],
        params: Mapping[str, Params],
        *,
        sources: Mapping[str, Schema],
        inputs: Mapping[str, Schema],
    ) -> None:
        self._flow, self._contracts = flow, contracts
        self._sources, self._inputs = sources, inputs
        self._wiring: Wiring = wire(flow, contracts)
        edges = self._wiring.edges
        self._places = {
            name: Place(
                name, flow.nodes[name], contracts[name], edges[name], Rules(contracts[name], params.get(name, {}))
            )
            for name in self._wiring.order
            if name in edges
        }

    def forwards(self, answers: Answers) -> None:
        for place in self._places.values():
            schemas = {port: tuple(map(self._schema_of, sources)) for port, sources in place.edges.items()}
            place.take(schemas, answers)
            known = self._sources.get(place.name)
            if known is not None and len(place.outputs) == 1:
                place.outputs = dict.fromkeys(place.outputs, known)

    def backwards(self) -> None:
        for place in reversed(self._places.values()):
            ports = [port.name for port in place.tables()]
            place.want({port: self._wanted(place.name, port) for port in ports})
            if place.name in self._wiring.rejecting:  # whole rows of what came in are looked at
                place.needs = dict.fromkeys(place.needs)
            place.filters = {port: conditions for port in ports if (conditions := self._filters(place, port))}

    def result(self) -> FlowPlan:
        problems: list[ColumnProblem] = []
        for place in self._places.values():
            problems.extend(problems_of(place))
        return FlowPlan(
            nodes={name: self._node(name) for name in self._flow.nodes},
            problems=tuple(problems),
            questions={place.name: place.question for place in self._places.values() if place.question is not None},
        )

    def _node(self, name: str) -> NodePlan:
        if name in self._places:
            return self._places[name].plan()
        module = self._flow.nodes[name].module
        known = name in self._contracts
        reason = "its edges do not fit its module" if known else f"the module {module} is not known"
        return NodePlan(unknown=(reason,))

    def _schema_of(self, source: Source) -> Schema | None:
        if source.input is not None:
            return self._inputs.get(source.input)
        output = output_of(source, self._contracts)
        if output is None or output[0] not in self._places:
            return None
        return self._places[output[0]].outputs.get(output[1])

    def _wanted(self, name: str, port: str) -> Need:
        """What is used of an output. Nobody uses a last one but whoever looks at it: then it is all."""
        consumers = self._wiring.consumers.get((name, port))
        if consumers is None or (name, port) in self._wiring.kept:
            return None
        wanted: frozenset[str] = NOTHING
        for consumer in consumers:
            need = self._places[consumer.node].need(consumer.port) if consumer.node in self._places else None
            if need is None:
                return None
            wanted |= need
        return wanted

    def _filters(self, place: Place, port: str) -> tuple[Predicate, ...]:
        schema = place.outputs.get(port)
        consumers = self._wiring.consumers.get((place.name, port), ())
        if schema is None or not consumers or (place.name, port) in self._wiring.kept:
            return ()
        return pushed(self._filtering(consumers), schema)

    def _filtering(self, consumers: Iterable[Consumer]) -> list[Place | None]:
        whole = self._wiring.rejecting
        return [None if consumer.node in whole else self._places.get(consumer.node) for consumer in consumers]
