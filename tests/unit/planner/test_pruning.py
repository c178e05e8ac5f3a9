"""What a plan leaves out is never read: random flows against a model that executes them on sets of names.

In the model every column has a *value*: a term that says what it was made of. A flow is executed twice, whole and as the plan
says: sources give only what is wanted, steps are handed only what the plan hands over, and give only what is wanted. No
step may miss a column that it reads, and whoever looks at a table must see the same values in it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from plugmesh.contracts.flow import Flow, Node, Source
from plugmesh.contracts.module import InputPort, ModuleContract, ModuleKind, OutputPort, Traits
from plugmesh.contracts.plan import PassedColumn, PlanAnswer, PlanQuestion
from plugmesh.flows.substitute import Scope
from plugmesh.planner.flow_plan import FlowPlan, NodePlan
from plugmesh.planner.names import chosen
from plugmesh.planner.params import params_of
from plugmesh.planner.plan import no_answers, plan
from plugmesh.planner.planned import check_covered, covers, planned_of
from tests.unit.planner.flows import COLUMNS, EXPRESSION, params

Values = Mapping[str, Any]
NAMES = ("a", "b", "c", "d", "e", "F", "g h")
KINDS = ("adding", "filtering", "naming", "planning", "joining", "opaque", "selecting")


class Building:
    """Draws a flow that works: each node reads what the ones before it give."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.nodes: dict[str, Node] = {}
        self.contracts: dict[str, ModuleContract] = {}
        self.does: dict[str, dict[str, Any]] = {}
        for number in range(self.draw.randint(2, 8)):
            self._add(f"n{number}")
        shown = [name for name in self.nodes if self.draw.random() < 0.1]
        self.flow = Flow(name="f", nodes=self.nodes, outputs={one: Source(node=one) for one in shown})
        for name in [name for name in self.nodes if self.draw.random() < 0.05]:
            del self.contracts[name]

    def some(self, names: Iterable[str], most: int = 3) -> tuple[str, ...]:
        there = sorted(names)
        return tuple(self.draw.sample(there, self.draw.randint(0, min(most, len(there)))))

    def _add(self, name: str) -> None:
        if not self.nodes or self.draw.random() < 0.15:
            self._source(name)
            return
        parent = self.draw.choice(list(self.nodes))
        table = self._table(parent)
        kind = self.draw.choice(KINDS)
        getattr(self, f"_{kind}")(name, parent, table)
        self.does[name]["kind"] = kind

    def _table(self, name: str) -> list[str]:
        whole = Execution(Flow(name="f", nodes=self.nodes), self.does, None)
        whole.run()
        return list(whole.tables[name])

    def _node(
        self, name: str, parent: str, *, reads: Iterable[str] = (), makes: Iterable[str] = (), **more: Any
    ) -> None:
        """`more`: of the contract, but for `node`, which are fields of the node, and `drops`."""
        fields, drops = more.pop("node", {}), more.pop("drops", ())
        edges = fields.pop("inputs", {"": (Source(node=parent),)})
        self.nodes[name] = Node(module=name, inputs=edges, **fields)
        self.contracts[name] = ModuleContract(name=name, **more)
        self.does[name] = {"reads": tuple(reads), "makes": tuple(makes), "drops": tuple(drops)}

    def _source(self, name: str) -> None:
        columns = self.draw.sample(NAMES, self.draw.randint(1, len(NAMES)))
        known = self.draw.random() < 0.7
        out = OutputPort(name="out", columns=dict.fromkeys(columns, "int64") if known else {}, open=not known)
        self._node(name, "", node={"inputs": {}}, kind=ModuleKind.SOURCE, outputs=(out,))
        self.does[name] = {"gives": columns}

    def _adding(self, name: str, parent: str, table: list[str]) -> None:
        bind = {"x": self.draw.choice(table)} if table and "x" not in table and self.draw.random() < 0.3 else {}
        mine = [one for one in table if one not in bind.values()]
        reads, makes, drops = (*self.some(mine), *bind), self.some(NAMES), self.some(mine, 1)
        rows = self.draw.choice(("same", "any"))
        drops = tuple(one for one in drops if one not in makes)
        makes = tuple(one for one in makes if one not in bind.values())
        out = OutputPort(name="out", columns=dict.fromkeys(makes, "int64"), passes="table", drops=drops, open=False)
        port = InputPort(name="table", columns=dict.fromkeys(reads, "any"), rest=False)
        more: dict[str, Any] = {"inputs": (port,), "outputs": (out,), "traits": Traits(rows=rows)}
        self._node(name, parent, reads=reads, makes=makes, drops=drops, node={"bind": bind}, **more)

    def _filtering(self, name: str, parent: str, table: list[str]) -> None:
        reads = self.some(table)
        where = " AND ".join(f'"{one.swapcase()}" > 1' for one in reads) or "true"
        port, out = InputPort(name="table", rest=False), OutputPort(name="out", passes="table", open=False)
        more: dict[str, Any] = {"inputs": (port,), "outputs": (out,), "traits": Traits(filters="where")}
        given = {"params": {"where": where}}
        self._node(name, parent, reads=reads, node=given, params=params(where=EXPRESSION), **more)

    def _naming(self, name: str, parent: str, table: list[str]) -> None:
        reads, into = self.some(table), self.draw.choice((*NAMES, "made"))
        out = OutputPort(name="out", columns={"${params.into}": "int64"}, passes="table", open=False)
        more = {"inputs": (InputPort(name="table", rest=False),), "outputs": (out,), "traits": Traits(rows="same")}
        given = {"params": {"of": list(reads), "into": into}}
        schema = params(of=COLUMNS, into={"type": "string"})
        self._node(name, parent, reads=reads, makes=(into,), node=given, params=schema, **more)

    def _selecting(self, name: str, parent: str, table: list[str]) -> None:
        reads = self.some(table)
        port = InputPort(name="table", columns=dict.fromkeys(reads, "any"), rest=False)
        out = OutputPort(name="out", columns=dict.fromkeys(reads, "any"), open=False)
        self._node(name, parent, reads=reads, inputs=(port,), outputs=(out,))

    def _opaque(self, name: str, parent: str, table: list[str]) -> None:
        self._node(name, parent, inputs=(InputPort(name="table"),), outputs=(OutputPort(name="out"),))

    def _planning(self, name: str, parent: str, table: list[str]) -> None:
        ports = {"inputs": (InputPort(name="table"),), "outputs": (OutputPort(name="out"),)}
        self._node(name, parent, reads=self.some(table), makes=self.some(NAMES), has_plan=True, **ports)

    def _joining(self, name: str, parent: str, table: list[str]) -> None:
        other = self.draw.choice(list(self.nodes))
        edges = {"table": (Source(node=parent),), "other": (Source(node=other),)}
        ports = {"inputs": (InputPort(name="table"), InputPort(name="other")), "outputs": (OutputPort(name="out"),)}
        given = {"inputs": edges}
        self._node(name, parent, reads=self.some(table), makes=("made",), node=given, has_plan=True, **ports)


class Missing(Exception):
    """A step reads a column that is not there."""


class Execution:
    """Executes a flow on names and values; `found` is the plan to follow, if any."""

    def __init__(self, flow: Flow, does: Mapping[str, Mapping[str, Any]], found: FlowPlan | None) -> None:
        self.flow, self.does, self.found = flow, does, found
        self.tables: dict[str, Values] = {}

    def run(self) -> None:
        """Raises `Missing`."""
        for name in self.flow.nodes:
            plan_of = NodePlan() if self.found is None else self.found.nodes[name]
            made = self._step(name, plan_of)
            wanted = plan_of.wanted.get("out")
            self.tables[name] = {one: made[one] for one in chosen(made, wanted)}

    def _step(self, name: str, told: NodePlan) -> Values:
        does, node = self.does[name], self.flow.nodes[name]
        if "gives" in does:
            return {one: (name, one) for one in does["gives"]}
        handed, whole = self._inputs(node, told)
        table = handed["table"]
        back = {theirs: ours for ours, theirs in node.bind.items()}
        mine = {back.get(one, one): value for one, value in table.items()}
        kind = does["kind"]
        if kind == "opaque":
            return {"all": tuple(sorted(mine.items())), "a": 1}
        reads = [self._read(name, mine, one, folded=kind == "filtering") for one in does["reads"]]
        made = {one: (name, one, tuple(reads)) for one in does["makes"]}
        if kind == "selecting":
            return {one: mine[one] for one in does["reads"]}
        if kind == "planning":
            return made
        if kind == "joining":
            return {**{f"l_{one}": value for one, value in mine.items()}, **handed["other"], **made}
        passing = {one: value for one, value in whole["table"].items() if back.get(one, one) not in does["drops"]}
        theirs = {ours: one for ours, one in node.bind.items() if ours not in does["makes"]}
        return {**passing, **{theirs.get(one, one): value for one, value in made.items()}}

    def _inputs(self, node: Node, told: NodePlan) -> tuple[dict[str, Values], dict[str, Values]]:
        """What the step is handed, and what lies behind it: columns that pass are attached without being handed over."""
        handed: dict[str, Values] = {}
        whole: dict[str, Values] = {}
        for port, (source,) in node.inputs.items():
            table = self.tables[str(source.node)]
            whole[port or "table"] = table
            names = told.columns.get(port or "table")
            own = {theirs: ours for ours, theirs in node.bind.items()}
            kept = set(chosen([own.get(one, one) for one in table], names))
            handed[port or "table"] = {one: value for one, value in table.items() if own.get(one, one) in kept}
        return handed, whole

    def _read(self, name: str, table: Values, column: str, *, folded: bool) -> Any:
        found = [one for one in table if one == column or (folded and one.casefold() == column.casefold())]
        if not found:
            raise Missing(f"{name} reads {column}, it is handed {list(table)}")
        return table[found[0]]

    def answers(self, question: PlanQuestion) -> PlanAnswer | None:
        """What the modules that plan themselves say."""
        does = self.does[question.module]
        table = question.schemas["table"]
        if does["kind"] == "planning":
            return PlanAnswer(reads={"table": does["reads"]}, outputs={"out": dict.fromkeys(does["makes"], "int64")})
        other = question.schemas["other"]
        passes = {f"l_{one}": PassedColumn(port="table", column=one) for one in table}
        passes |= {one: PassedColumn(port="other", column=one) for one in other}
        passes = {one: passed for one, passed in passes.items() if one not in does["makes"]}
        outputs = dict.fromkeys([*passes, *does["makes"]], "int64")
        return PlanAnswer(reads={"table": does["reads"], "other": ()}, outputs={"out": outputs}, passes={"out": passes})


def seen(flow: Flow) -> set[str]:
    """The nodes whose tables somebody looks at as a whole: outputs of the flow, and those that no node reads."""
    read = {source.node for node in flow.nodes.values() for edges in node.inputs.values() for source in edges}
    return {source.node or "" for source in flow.outputs.values()} | (set(flow.nodes) - read)


SEEDS = st.integers(0, 2**32)


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.booleans())
def test_what_a_plan_leaves_out_is_never_read(seed: int, answered: bool) -> None:
    made = Building(seed)
    whole = Execution(made.flow, made.does, None)
    whole.run()
    found = plan(
        made.flow, made.contracts, params_of(made.flow, Scope()), None, whole.answers if answered else no_answers
    )
    assert not found.problems, "what runs is not complained about"
    pruned = Execution(made.flow, made.does, found)
    pruned.run()
    for name in seen(made.flow):
        assert pruned.tables[name] == whole.tables[name]
    left_out = sum(len(whole.tables[name]) - len(pruned.tables[name]) for name in made.flow.nodes)
    event(f"columns left out: {'some' if left_out else 'none'}")


@settings(max_examples=80, deadline=None)
@given(SEEDS)
def test_what_is_known_before_is_what_comes(seed: int) -> None:
    made = Building(seed)
    whole = Execution(made.flow, made.does, None)
    whole.run()
    found = plan(made.flow, made.contracts, params_of(made.flow, Scope()), None, whole.answers)
    for name, one in found.nodes.items():
        schema = one.outputs.get("out")
        if schema is not None:
            assert set(schema) == set(whole.tables[name])
            event("known")


@settings(max_examples=80, deadline=None)
@given(SEEDS)
def test_a_plan_covers_itself_and_fits_versions_that_read_the_same(seed: int) -> None:
    made = Building(seed)
    found = plan(made.flow, made.contracts, params_of(made.flow, Scope()))
    kept = planned_of(found, {name: node.bind for name, node in made.flow.nodes.items()})
    for name, one in () if kept is None else kept.nodes.items():
        assert covers(one, one)
        if not made.contracts[name].has_plan:
            newer = made.contracts[name].model_copy(update={"version": "9.0.0"})
            check_covered(name, one, newer, made.flow.nodes[name].params)
            event("checked")
