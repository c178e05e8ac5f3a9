"""What a run keeps of its plan, whom it does not fit, and what of an earlier run it can use."""

from __future__ import annotations

import pytest

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort
from plugmesh.contracts.plan import PassedColumn, PlanAnswer, Planned, PlannedNode, PlanProblem, Predicate
from plugmesh.errors import PlanOutdated
from plugmesh.planner.planned import NODE_CHARACTERS, check_covered, covers, planned_of, taken_over
from tests.unit.planner.flows import COLUMN, EXPRESSION, filtering, node, params, planned, sink, source

ABC = {"a": "int64", "b": "float64", "c": "string"}
SMALL = Predicate(column="a", op="<", value=3)


def one(*wanted: str, filters: tuple[Predicate, ...] = ()) -> PlannedNode:
    return PlannedNode(version="1.0.0", wanted={"out": wanted}, filters={"out": filters} if filters else None)


# -- what is kept --------------------------------------------------------------------------------------------------------


def test_a_run_keeps_what_sources_leave_out_and_what_steps_are_handed() -> None:
    module, end = filtering(), sink(c="string")
    nodes = {
        "s": (source(**ABC), node("src")),
        "f": (module, node(module, "s", params={"where": "a < 3"})),
        "end": (end, node(end, "f")),
    }
    kept = planned_of(planned(nodes), {})
    assert kept is not None
    assert kept.nodes["s"].wanted == {"out": ("a", "c")}
    assert kept.nodes["s"].filters == {"out": (SMALL,)}
    assert kept.nodes["f"].columns == kept.nodes["f"].needs == {"table": ("a", "c")}
    assert kept.nodes["end"].needs == {"table": ("c",)}


def test_a_run_of_which_nothing_can_be_left_out_keeps_nothing() -> None:
    assert planned_of(planned({"s": (source(**ABC), node("src")), "end": (sink(), node("sink", "s"))}), {}) is None


def test_bound_columns_are_wanted_by_both_names() -> None:
    end = sink(c="string")
    module = filtering()
    nodes = {
        "s": (source(**ABC), node("src")),
        "f": (module, node(module, "s", params={"where": "x < 3"}, bind={"x": "c"})),
        "end": (end, node(end, "f")),
    }
    kept = planned_of(planned(nodes), {"f": {"x": "c"}})
    assert kept is not None
    assert kept.nodes["f"].wanted == {"out": ("c", "x")}


def test_a_node_with_more_names_than_a_message_holds_is_left_alone() -> None:
    many = {f"column_{number:05}": "int64" for number in range(NODE_CHARACTERS // 10)}
    end = sink(**dict(list(many.items())[:-1]))
    assert planned_of(planned({"s": (source(**many), node("src")), "end": (end, node(end, "s"))}), {}) is None


def test_a_step_with_too_many_names_still_knows_that_some_are_not_there() -> None:
    many = {f"column_{number:05}": "int64" for number in range(NODE_CHARACTERS // 40)}
    less = dict(list(many.items())[:-1])
    end = sink(**less)
    select = ModuleContract(
        name="select", has_plan=True, inputs=(InputPort(name="table"),), outputs=(OutputPort(name="out"),)
    )
    said = PlanAnswer(
        reads={"table": ()},
        outputs={"out": many},
        passes={"out": {name: PassedColumn(port="table", column=name) for name in many}},
    )
    nodes = {
        "s": (source(**many), node("src")),
        "n": (select, node(select, "s")),
        "end": (end, node(end, "n")),
    }
    kept = planned_of(planned(nodes, answers={"select": said}), {})
    assert kept is not None
    assert kept.nodes["s"].wanted == {"out": tuple(less)}
    assert kept.nodes["n"] == PlannedNode(version=select.version, columns={})


# -- another version -----------------------------------------------------------------------------------------------------


def reading(version: str, *columns: str, rest: bool = False) -> ModuleContract:
    port = InputPort(name="table", columns=dict.fromkeys(columns, "any"), rest=rest)
    return ModuleContract(
        name="late",
        version=version,
        inputs=(port,),
        params=params(of=COLUMN, where=EXPRESSION),
        outputs=(OutputPort(name="out"),),
    )


PLANNED = PlannedNode(version="1.0.0", needs={"table": ("a", "B")})


def test_the_version_that_was_planned_with_fits() -> None:
    check_covered("n", PLANNED, reading("1.0.0", "z"), {})


def test_another_version_that_reads_no_more_fits() -> None:
    check_covered("n", PLANNED, reading("2.0.0", "a"), {"of": "b", "where": "a > 1"})


@pytest.mark.parametrize(
    ("contract", "given", "what"),
    [
        (reading("2.0.0", "z"), {}, "column 'z'"),
        (reading("2.0.0", "a"), {"of": "z"}, "column 'z'"),
        (reading("2.0.0", "a"), {"where": "z > 1"}, "column 'z'"),
        (reading("2.0.0", rest=True), {}, "all columns"),
    ],
)
def test_a_version_that_reads_what_was_left_out_is_told_apart(
    contract: ModuleContract, given: dict[str, str], what: str
) -> None:
    with pytest.raises(
        PlanOutdated, match=f"late@2.0.0 reads {what} of 'table', but the run was planned with late@1.0.0"
    ) as raised:
        check_covered("n", PLANNED, contract, given)
    assert raised.value.code == "plan-outdated"


def test_a_port_of_which_everything_is_there_fits_every_version() -> None:
    check_covered("n", PlannedNode(version="1.0.0"), reading("2.0.0", rest=True), {})


# -- reruns ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "enough"),
    [
        (None, one("a"), True),
        (one("a", "b"), one("A"), True),
        (one("a"), one("a", "b"), False),
        (one("a"), None, False),
        (one("a", filters=(SMALL,)), one("a", filters=(SMALL,)), True),
        (one("a", filters=(SMALL,)), one("a"), False),
        (one("a"), one("a", filters=(SMALL,)), True),
    ],
)
def test_a_step_is_enough_if_it_made_all_that_is_wanted_now(
    old: PlannedNode | None, new: PlannedNode | None, enough: bool
) -> None:
    assert covers(old, new) is enough


def test_a_rerun_keeps_the_plan_by_which_a_step_was_made_that_it_takes_over() -> None:
    new, old = Planned(nodes={"s": one("a"), "t": one("a")}), Planned(nodes={"s": one("a", "b"), "u": one("z")})
    kept = taken_over(new, old, {"s"})
    assert kept is not None
    assert kept.nodes == {"s": one("a", "b"), "t": one("a")}
    assert taken_over(new, None, {"s", "t"}) is None


# -- codes -----------------------------------------------------------------------------------------------------------------


def test_what_a_module_cannot_do_has_a_code() -> None:
    module = ModuleContract(
        name="asked", inputs=(InputPort(name="table"),), outputs=(OutputPort(name="out"),), has_plan=True
    )
    answer = PlanAnswer(problems=(PlanProblem(message="by: there is nothing to sort by"),))
    found = planned({"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))}, answers={"asked": answer})
    assert [(problem.code, problem.message) for problem in found.problems] == [
        ("plan-problem", "node 'n': by: there is nothing to sort by")
    ]
