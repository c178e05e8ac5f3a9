"""What a rerun takes over and what it does again."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from plugmesh.contracts.data import FileRef, ValueRef
from plugmesh.contracts.flow import Flow, FlowInput, FlowParam, Node, Source
from plugmesh.contracts.module import PortKind
from plugmesh.contracts.plan import Planned, PlannedNode
from plugmesh.contracts.run import Recovered
from plugmesh.flows.graph import predecessors
from plugmesh.flows.rerun import Asked, Fate, Origin, Parts, plan_rerun
from plugmesh.flows.substitute import Scope, scope_of

MODULE = "m"


def node(*parents: str, **fields: Any) -> Node:
    return Node(
        module=MODULE, inputs={"in": tuple(Source(node=parent) for parent in parents)} if parents else {}, **fields
    )


def flow_of(**nodes: Node) -> Flow:
    params = {"day": FlowParam(required=False), "list": FlowParam(type="array", required=False, default=[])}
    inputs = {"orders": FlowInput(kind=PortKind.FILE), "rates": FlowInput(kind=PortKind.FILE)}
    return Flow(name="f", inputs=inputs, params=params, nodes=nodes)


def file(name: str, version: int = 1) -> FileRef:
    return FileRef(name=name, key=f"files/{name}/{version}", bytes=1, hash=f"xxh3:{version}")


def scope(flow: Flow, day: Any = "Mon", items: Any = (1, 2, 3), orders: int = 1) -> Scope:
    return scope_of(flow, {"orders": file("orders", orders), "rates": file("rates")}, {"day": day, "list": list(items)})


def origin(flow: Flow, accepted: str, **more: Any) -> Origin:
    steps = {
        step: Recovered(step=step, version="1.0.0", outputs={"out": ValueRef(value=step)}) for step in accepted.split()
    }
    return Origin(flow, scope(flow), steps, **more)


def ids(parts: Parts) -> str:
    assert parts.problems == ()
    return " ".join(one.step for one in parts.recovered)


def again(parts: Parts) -> set[str]:
    return {name for name, fate in parts.fates.items() if fate is Fate.AGAIN}


def problem(parts: Parts) -> str:
    (found,) = parts.problems
    return f"{found.where}: {found.message}"


CHAIN = flow_of(a=node(), b=node("a"), c=node("b"))
DIAMOND = flow_of(a=node(), b=node("a"), c=node("a"), d=node("b", "c"))
MAPPED = flow_of(a=node(), each=node("a", map="${params.list}", params={"x": "${item}"}), z=node("each"))


def test_what_did_not_succeed_runs_again_and_the_rest_is_taken_over() -> None:
    old = origin(CHAIN, "a b")
    parts = plan_rerun(old, Asked(), old.scope)
    assert (ids(parts), again(parts), parts.again, parts.skipped) == ("a b", {"c"}, 1, ())
    assert parts.recovered[0] == old.accepted["a"]


def test_from_the_start_nothing_is_taken_over() -> None:
    old = origin(CHAIN, "a b c")
    parts = plan_rerun(old, Asked(start=True), old.scope)
    assert (ids(parts), parts.again) == ("", 3)


def test_from_a_step_it_and_everything_below_runs_again_and_what_failed_elsewhere() -> None:
    old = origin(DIAMOND, "a b c d")
    parts = plan_rerun(old, Asked(steps=("b",)), old.scope)
    assert (ids(parts), again(parts)) == ("a c", {"b", "d"})
    old = origin(DIAMOND, "a b")
    assert again(plan_rerun(old, Asked(steps=("b",)), old.scope)) == {"b", "c", "d"}


def test_only_a_step_leaves_out_what_is_below_it() -> None:
    old = origin(DIAMOND, "a b c d")
    parts = plan_rerun(old, Asked(only=("b",)), old.scope)
    assert (ids(parts), again(parts), parts.skipped) == ("a c", {"b"}, ("d",))


def test_only_a_step_leaves_out_what_failed_beside_it() -> None:
    old = origin(DIAMOND, "a")
    parts = plan_rerun(old, Asked(only=("b",)), old.scope)
    assert (ids(parts), parts.skipped) == ("a", ("c", "d"))


def test_only_a_step_is_not_possible_without_what_it_reads() -> None:
    old = origin(CHAIN, "a")
    parts = plan_rerun(old, Asked(only=("a", "c")), old.scope)
    assert problem(parts).startswith("only.1: 'c' needs what 'b' makes, which cannot be taken over")
    assert again(plan_rerun(old, Asked(only=("b", "c")), old.scope)) == {"b", "c"}


def test_a_step_that_only_waits_for_another_runs_again_with_it() -> None:
    flow = flow_of(a=node(), b=node(after=("a",)))
    old = origin(flow, "a b")
    assert again(plan_rerun(old, Asked(steps=("a",)), old.scope)) == {"a", "b"}


def test_when_all_succeeded_it_must_be_said_from_where() -> None:
    old = origin(CHAIN, "a b c")
    assert "nothing would run again" in problem(plan_rerun(old, Asked(), old.scope))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(steps=("a", "lod")), "from.1: the flow has no step 'lod' (there are a, each, z)"),
        (Asked(only=("eac",)), "only.0: the flow has no step 'eac' (did you mean 'each'?)"),
        (Asked(only=("a.0",)), "only.0: 'a' is not mapped, so it has no element 'a.0': name the node"),
        (Asked(steps=("each.3",)), "from.0: there is no element 'each.3': 'each' has 3, and they count from 0"),
        (Asked(steps=("each.01",)), "from.0: there is no element 'each.01': 'each' has 3, and they count from 0"),
        (Asked(steps=("each.",)), "from.0: there is no element 'each.': 'each' has 3, and they count from 0"),
    ],
)
def test_a_step_that_is_not_there_is_named(asked: Asked, said: str) -> None:
    old = origin(MAPPED, "a")
    assert problem(plan_rerun(old, asked, old.scope)) == said


# -- mapped nodes ------------------------------------------------------------------------------------------------------


def test_elements_of_a_mapped_node_are_taken_over_one_by_one() -> None:
    old = origin(MAPPED, "a each.0 each.2")
    parts = plan_rerun(old, Asked(), old.scope)
    assert (ids(parts), again(parts)) == ("a each.0 each.2", {"each", "z"})
    assert parts.again == 3  # each.1, each, z


def test_a_mapped_node_that_succeeded_is_taken_over_whole_behind_its_elements() -> None:
    old = origin(MAPPED, "a each each.0 each.1 each.2")
    parts = plan_rerun(old, Asked(steps=("z",)), old.scope)
    assert (ids(parts), again(parts)) == ("a each.0 each.1 each.2 each", {"z"})


def test_one_element_can_run_again() -> None:
    old = origin(MAPPED, "a each each.0 each.1 each.2 z")
    parts = plan_rerun(old, Asked(steps=("each.1",)), old.scope)
    assert (ids(parts), again(parts), parts.elements) == ("a each.0 each.2", {"each", "z"}, {})
    parts = plan_rerun(old, Asked(only=("each.1",)), old.scope)
    assert (ids(parts), parts.skipped, parts.elements) == ("a", ("z",), {"each": (1,)})


def test_elements_run_again_when_their_node_reads_something_new() -> None:
    old = origin(MAPPED, "a each each.0 each.1 each.2 z")
    assert ids(plan_rerun(old, Asked(steps=("a",)), old.scope)) == ""


def test_a_longer_list_leaves_the_elements_that_were_there() -> None:
    old = origin(MAPPED, "a each each.0 each.1 each.2 z")
    parts = plan_rerun(old, Asked(), scope(MAPPED, items=(1, 5, 3, 4)))
    assert (ids(parts), again(parts), parts.again) == ("a each.0 each.2", {"each", "z"}, 4)


def test_a_shorter_list_makes_the_node_run_again_without_its_elements() -> None:
    old = origin(MAPPED, "a each each.0 each.1 each.2 z")
    parts = plan_rerun(old, Asked(), scope(MAPPED, items=(1, 2)))
    assert (ids(parts), again(parts), parts.again) == ("a each.0 each.1", {"each", "z"}, 2)


def test_a_list_that_is_none_is_left_for_the_run_to_say() -> None:
    flow = flow_of(each=node(map="${params.day}"))
    old = Origin(flow, scope(flow, day=[]), {"each": Recovered(step="each")})
    assert again(plan_rerun(old, Asked(), scope(flow, day="Mon"))) == {"each"}


# -- rowwise nodes in pieces -------------------------------------------------------------------------------------------

CUT = {"b": (4, 7, 10)}


def test_accepted_pieces_are_taken_over_and_the_others_are_done() -> None:
    old = origin(CHAIN, "a b.0 b.2", pieces=CUT)
    parts = plan_rerun(old, Asked(), old.scope)
    assert (ids(parts), again(parts), parts.again) == ("a b.0 b.2", {"b", "c"}, 3)
    assert (parts.pieces, parts.elements) == (CUT, {})


def test_a_node_whose_pieces_were_all_accepted_is_taken_over_as_one() -> None:
    old = origin(CHAIN, "a b b.0 b.1 b.2", pieces=CUT)
    parts = plan_rerun(old, Asked(), old.scope)
    assert (ids(parts), again(parts), parts.pieces) == ("a b", {"c"}, {})


def test_one_piece_can_be_asked_for() -> None:
    old = origin(CHAIN, "a b b.0 b.1 b.2 c", pieces=CUT)
    parts = plan_rerun(old, Asked(steps=("b.1",)), old.scope)
    assert (ids(parts), again(parts), parts.pieces) == ("a b.0 b.2", {"b", "c"}, CUT)
    parts = plan_rerun(old, Asked(only=("b.1",)), old.scope)
    assert (ids(parts), again(parts), parts.pieces, parts.elements) == ("a", {"b"}, CUT, {"b": (1,)})
    assert "'b' has 3" in problem(plan_rerun(old, Asked(steps=("b.3",)), old.scope))


@pytest.mark.parametrize(
    "asked", [Asked(start=True), Asked(steps=("a",)), Asked(steps=("b",)), Asked(only=("a", "b.1"))]
)
def test_a_node_that_gets_other_rows_or_is_asked_for_whole_is_cut_anew(asked: Asked) -> None:
    parts = plan_rerun(origin(CHAIN, "a b.0 b.2", pieces=CUT), asked, scope(CHAIN))
    assert "b" in again(parts)
    assert (parts.pieces, parts.elements) == ({}, {})
    assert not {"b.0", "b.2"} & set(ids(parts).split())


def test_a_node_with_other_params_is_cut_anew() -> None:
    flow = flow_of(a=node(), b=node("a", params={"day": "${params.day}"}))
    parts = plan_rerun(origin(flow, "a b.0 b.2", pieces=CUT), Asked(), scope(flow, day="Tue"))
    assert (ids(parts), parts.pieces, parts.again) == ("a", {}, 1)


# -- other params and inputs -------------------------------------------------------------------------------------------


def test_only_what_sees_another_param_runs_again() -> None:
    flow = flow_of(a=node(), b=node("a", params={"day": "on ${params.day}"}), c=node("a"), d=node("b", "c"))
    old = origin(flow, "a b c d")
    parts = plan_rerun(old, Asked(), scope(flow, day="Tue"))
    assert (ids(parts), again(parts)) == ("a c", {"b", "d"})


def test_true_is_not_one() -> None:
    flow = flow_of(a=node(params={"x": "${params.day}"}))
    old = Origin(flow, scope(flow, day=1), {"a": Recovered(step="a")})
    assert again(plan_rerun(old, Asked(), scope(flow, day=True))) == {"a"}


def test_only_what_reads_another_input_runs_again() -> None:
    reads = {"in": (Source(input="orders"),)}
    flow = flow_of(
        a=Node(module=MODULE, inputs=reads),
        b=Node(module=MODULE, inputs={"in": (Source(input="rates"),)}),
        c=node(params={"file": "${inputs.orders}"}),
    )
    old = origin(flow, "a b c")
    assert ids(plan_rerun(old, Asked(), scope(flow, orders=2))) == "b"


def test_a_step_above_that_is_not_asked_for_must_not_have_changed() -> None:
    flow = flow_of(a=node(params={"day": "${params.day}"}), b=node("a"))
    old = origin(flow, "a b")
    assert "'b' needs what 'a' makes" in problem(plan_rerun(old, Asked(only=("b",)), scope(flow, day="Tue")))


def test_params_that_cannot_be_filled_in_are_left_for_the_run_to_say() -> None:
    flow = flow_of(a=node(params={"x": "${params.day.hour}"}))
    old = Origin(flow, scope(flow, day={"hour": 1}), {"a": Recovered(step="a")})
    assert again(plan_rerun(old, Asked(), scope(flow, day={}))) == {"a"}


# -- reruns of reruns --------------------------------------------------------------------------------------------------


def test_what_a_rerun_left_out_stays_out_unless_it_is_asked_for() -> None:
    old = origin(DIAMOND, "a b", left_out=frozenset({"c", "d"}))
    assert plan_rerun(old, Asked(start=True), old.scope).skipped == ("c", "d")
    parts = plan_rerun(old, Asked(steps=("c",)), old.scope)
    assert (ids(parts), again(parts), parts.skipped) == ("a b", {"c", "d"}, ())
    assert "'d' needs what 'c' makes" in problem(plan_rerun(old, Asked(steps=("d",)), old.scope))


def test_rows_that_a_step_was_fed_with_are_fed_again() -> None:
    rows = {"in": (ValueRef(value=7),)}
    old = origin(CHAIN, "a", feeds={"b": rows})
    assert plan_rerun(old, Asked(), old.scope).feeds == {"b": rows}
    old = origin(CHAIN, "a b", feeds={"b": rows})
    assert plan_rerun(old, Asked(), old.scope).feeds == {}


def test_the_elements_that_there_were_are_those_that_there_are_again() -> None:
    old = origin(MAPPED, "a each.0", elements={"each": (0, 2)})
    parts = plan_rerun(old, Asked(), old.scope)
    assert (ids(parts), parts.elements, parts.again) == ("a each.0", {"each": (0, 2)}, 3)
    assert plan_rerun(old, Asked(steps=("each",)), old.scope).elements == {}
    assert plan_rerun(old, Asked(steps=("each.1",)), old.scope).elements == {"each": (0, 1, 2)}


# -- any graph ---------------------------------------------------------------------------------------------------------


@st.composite
def ended_runs(draw: st.DrawFn) -> Origin:
    """Any graph with mapped nodes, of which any part was accepted that can have been."""
    count = draw(st.integers(1, 8))
    nodes, accepted = {}, []
    for number in range(count):
        above = draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True)) if number else []
        mapped = draw(st.integers(0, 3)) == 0
        params: dict[str, Any] = {"day": "${params.day}"} if draw(st.integers(0, 3)) == 0 else {}
        nodes[f"n{number}"] = node(
            *(f"n{one}" for one in above), map="${params.list}" if mapped else None, params=params
        )
        if all(f"n{one}" in accepted for one in above):
            elements = [f"n{number}.{item}" for item in range(3) if draw(st.booleans())] if mapped else []
            accepted += elements
            if len(elements) == 3 if mapped else draw(st.booleans()):
                accepted.append(f"n{number}")
    return origin(flow_of(**nodes), " ".join(accepted))


def wishes(old: Origin) -> st.SearchStrategy[Asked]:
    mapped = [f"{name}.{item}" for name, one in old.flow.nodes.items() if one.map is not None for item in range(3)]
    steps = st.lists(st.sampled_from([*old.flow.nodes, *mapped]), max_size=3, unique=True).map(tuple)
    return st.one_of(
        st.just(Asked(start=True)), steps.map(lambda some: Asked(steps=some)), steps.map(lambda some: Asked(only=some))
    )


def scopes(old: Origin) -> st.SearchStrategy[Scope]:
    lists = st.sampled_from([(1, 2, 3), (1, 2), (1, 9, 3, 4)])
    return st.builds(lambda day, items: scope(old.flow, day, items), st.sampled_from(["Mon", "Tue"]), lists)


@given(st.data())
def test_in_any_graph_each_node_has_one_fate_and_nothing_is_taken_over_below_what_runs_again(
    data: st.DataObject,
) -> None:
    old = data.draw(ended_runs())
    parts = plan_rerun(old, data.draw(wishes(old)), data.draw(scopes(old)))
    if parts.problems:
        assert not parts.fates
        return
    taken = {one.step for one in parts.recovered}
    before = predecessors(old.flow)
    assert set(parts.fates) == set(old.flow.nodes)
    assert set(parts.skipped) == {name for name, fate in parts.fates.items() if fate is Fate.SKIPPED}
    seen: set[str] = set()
    for one in parts.recovered:
        name, dot, _ = one.step.partition(".")
        assert old.accepted[one.step] is one
        assert before[name] <= seen, "parents come first"
        assert all(parts.fates[parent] is Fate.RECOVERED for parent in before[name])
        assert parts.fates[name] is Fate.RECOVERED or (dot and parts.fates[name] is Fate.AGAIN)
        seen.add(one.step)
    for name, fate in parts.fates.items():
        assert (fate is Fate.RECOVERED) == (name in taken)
        if fate is Fate.AGAIN:
            assert all(parts.fates[parent] is not Fate.SKIPPED for parent in before[name]), "it would never be ready"


@given(st.data())
def test_in_any_graph_a_rerun_can_be_rerun(data: st.DataObject) -> None:
    """What a rerun took over counts as accepted; where all that it ran succeeded, nothing is left."""
    old = data.draw(ended_runs())
    parts = plan_rerun(old, Asked(), old.scope)
    if parts.problems:
        return
    first = Origin(old.flow, old.scope, {one.step: one for one in parts.recovered})
    assert plan_rerun(first, Asked(), old.scope).recovered == parts.recovered
    steps = [
        *old.flow.nodes,
        *(f"{n}.{i}" for n, one in old.flow.nodes.items() if one.map is not None for i in range(3)),
    ]
    done = Origin(old.flow, old.scope, {step: Recovered(step=step) for step in steps})
    assert "nothing would run again" in problem(plan_rerun(done, Asked(), old.scope))


# -- plans of columns ------------------------------------------------------------------------------------------------------


def plan_of(**wanted: str) -> Planned:
    nodes = {name: PlannedNode(version="1.0.0", wanted={"out": tuple(names.split())}) for name, names in wanted.items()}
    return Planned(nodes=nodes)


def test_a_step_that_left_out_what_is_wanted_now_is_done_again() -> None:
    flow = flow_of(a=node(), b=node("a"), c=node("b"))
    old = origin(flow, "a b", planned=plan_of(a="x", b="x"))
    assert ids(plan_rerun(old, Asked(), old.scope, plan_of(a="x", b="x"))) == "a b"
    assert ids(plan_rerun(old, Asked(), old.scope, plan_of(a="x", b="x y"))) == "a"
    assert ids(plan_rerun(old, Asked(), old.scope, plan_of(a="x y", b="x"))) == ""
    assert ids(plan_rerun(old, Asked(), old.scope, None)) == ""


def test_elements_of_a_plan_that_left_something_out_are_done_again() -> None:
    flow = flow_of(each=node(map="${params.list}"), end=node("each"))
    old = origin(flow, "each.0 each.2", planned=plan_of(each="x"))
    assert ids(plan_rerun(old, Asked(), old.scope, plan_of(each="x"))) == "each.0 each.2"
    assert ids(plan_rerun(old, Asked(), old.scope, plan_of(each="x y"))) == ""
