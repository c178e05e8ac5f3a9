"""What a redrive runs and what it takes over."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from plugmesh.contracts.data import DataRef, FileRef, ValueRef
from plugmesh.contracts.flow import Flow, FlowInput, Node, Source
from plugmesh.contracts.module import InputPort, ModuleContract, PortKind
from plugmesh.contracts.run import Recovered
from plugmesh.flows.graph import predecessors
from plugmesh.flows.redrive import feedable_ports, plan_redrive
from plugmesh.flows.rerun import Fate, Origin, Parts
from plugmesh.flows.substitute import scope_of

ROWS = DataRef(schema_ipc="", rows=1, fragments=())


def node(*parents: str, **fields: Any) -> Node:
    return Node(module="m", inputs={f"p{n}": (Source(node=one),) for n, one in enumerate(parents)}, **fields)


def origin(accepted: str, **nodes: Node) -> Origin:
    flow = Flow(name="f", inputs={"orders": FlowInput(kind=PortKind.FILE)}, nodes=nodes)
    steps = {step: Recovered(step=step, outputs={"out": ValueRef(value=1)}) for step in accepted.split()}
    given_file = FileRef(name="o", key="files/o/1", bytes=1, hash="xxh3:1")
    return Origin(flow, scope_of(flow, {"orders": given_file}, {}), steps)


def fates(parts: Parts) -> dict[str, str]:
    assert parts.problems == ()
    return {name: fate.value for name, fate in parts.fates.items()}


def test_only_what_is_below_runs() -> None:
    was = origin("a b c d e", a=node(), b=node("a"), c=node("b"), d=node("a"), e=node("c", "d"))
    parts = plan_redrive(was, "b", "p0", ROWS)
    assert fates(parts) == {"a": "recovered", "b": "again", "c": "again", "d": "recovered", "e": "again"}
    assert parts.feeds == {"b": {"p0": (ROWS,)}}
    assert [one.step for one in parts.recovered] == ["a", "d"]


def test_what_needs_a_step_that_failed_is_left_out() -> None:
    was = origin("a b", a=node(), b=node("a"), d=node("a"), c=node("b", "d"), e=node("b"))
    assert fates(plan_redrive(was, "b", "p0", ROWS)) == {
        "a": "recovered", "b": "again", "d": "skipped", "c": "skipped", "e": "again",
    }  # fmt: skip


def test_a_failed_step_gets_its_rows_too() -> None:
    was = origin("a", a=node(), b=node("a"), c=node("b"))
    assert fates(plan_redrive(was, "b", "p0", ROWS)) == {"a": "recovered", "b": "again", "c": "again"}


def test_of_a_mapped_node_there_is_only_the_element() -> None:
    was = origin("a b.0 b.1 b.2 b c", a=node(), b=node("a", map=[1, 2, 3]), c=node("b"))
    parts = plan_redrive(was, "b.1", "p0", ROWS)
    assert parts.elements == {"b": (1,)}
    assert parts.feeds == {"b.1": {"p0": (ROWS,)}}
    assert [one.step for one in parts.recovered] == ["a"]


def test_feeds_of_an_earlier_redrive_are_not_given_again() -> None:
    was = origin("a b c", a=node(), b=node("a"), c=node("b"))
    fed = Origin(was.flow, was.scope, was.accepted, feeds={"b": {"p0": (ROWS,)}})
    assert plan_redrive(fed, "c", "p0", ROWS).feeds == {"c": {"p0": (ROWS,)}}


def test_another_input_that_an_earlier_redrive_has_fed_keeps_its_rows() -> None:
    before = DataRef(schema_ipc="", rows=7, fragments=())
    was = origin("a c b", a=node(), c=node(), b=node("a", "c"))
    fed = Origin(was.flow, was.scope, was.accepted, feeds={"b": {"p0": (before,), "p1": (before,)}})
    assert plan_redrive(fed, "b", "p1", ROWS).feeds == {"b": {"p0": (before,), "p1": (ROWS,)}}


def test_rows_go_to_tables_that_are_connected() -> None:
    flow = Flow(
        name="f",
        nodes={"a": node(), "b": Node(module="m", inputs={"left": (Source(node="a"),), "file": (Source(node="a"),)})},
    )
    ports = (InputPort(name="left"), InputPort(name="right", optional=True), InputPort(name="file", kind=PortKind.FILE))
    assert feedable_ports(flow, "b", ModuleContract(name="m", inputs=ports)) == ("left",)
    assert feedable_ports(flow, "a", ModuleContract(name="m")) == ()


@given(st.data())
def test_whatever_runs_has_all_that_it_needs(data: st.DataObject) -> None:
    names = [f"n{index}" for index in range(data.draw(st.integers(1, 7)))]
    above = {name: data.draw(st.lists(st.sampled_from(names[:index]), unique=True, max_size=3)) if index else []
             for index, name in enumerate(names)}  # fmt: skip
    failed = data.draw(st.sets(st.sampled_from(names), max_size=2))
    accepted: set[str] = set()
    for name in names:
        if name not in failed and accepted.issuperset(above[name]):
            accepted.add(name)
    reached = [name for name in names if accepted.issuperset(above[name])]
    step = data.draw(st.sampled_from(reached))
    was = origin(" ".join(accepted), **{name: node(*above[name]) for name in names})
    parts = plan_redrive(was, step, "p0", ROWS)
    found = parts.fates
    assert parts.problems == ()
    assert found[step] is Fate.AGAIN
    for name, parents in predecessors(was.flow).items():
        if found[name] is Fate.AGAIN:
            assert all(found[parent] is not Fate.SKIPPED for parent in parents)
            assert name == step or any(found[parent] is Fate.AGAIN for parent in parents)
        elif found[name] is Fate.RECOVERED:
            assert name in accepted
            assert all(found[parent] is Fate.RECOVERED for parent in parents)
