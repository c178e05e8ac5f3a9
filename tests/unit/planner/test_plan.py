"""Types forwards and needs backwards, rule by rule."""

from __future__ import annotations

from plugmesh.contracts.flow import Node, Source
from plugmesh.contracts.module import InputPort, ModuleContract, ModuleKind, OutputPort, Traits
from plugmesh.contracts.plan import PassedColumn, PlanAnswer, PlanProblem
from plugmesh.flows.substitute import Scope
from tests.unit.planner.flows import COLUMN, COLUMNS, adding, filtering, node, params, planned, sink, source

ABC = {"a": "int64", "b": "float64", "c": "string"}


# -- forwards ----------------------------------------------------------------------------------------------------------


def test_a_declared_output_has_the_declared_columns() -> None:
    found = planned({"s": (source(**ABC), node("src"))})
    assert found.nodes["s"].outputs == {"out": ABC}
    assert found.nodes["s"].exact


def test_columns_that_pass_come_before_those_that_are_made() -> None:
    module = adding({"a": "int64"}, {"total": "float64"})
    found = planned({"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))})
    assert found.nodes["n"].outputs == {"out": {**ABC, "total": "float64"}}


def test_dropped_columns_do_not_pass() -> None:
    module = adding({"a": "int64"}, {"total": "float64"}, drops=("b",))
    found = planned({"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))})
    assert found.nodes["n"].outputs == {"out": {"a": "int64", "c": "string", "total": "float64"}}


def test_a_column_that_is_made_replaces_the_one_of_its_name() -> None:
    module = adding({"a": "int64"}, {"b": "string"})
    found = planned({"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))})
    assert found.nodes["n"].outputs == {"out": {"a": "int64", "b": "string", "c": "string"}}


def test_a_column_is_called_as_a_param_says() -> None:
    module = adding({"a": "int64"}, {"${params.into}": "float64"}).model_copy(update={"params": params(into=COLUMN)})
    nodes = {"s": (source(**ABC), node("src")), "n": (module, node(module, "s", params={"into": "speed"}))}
    assert planned(nodes).nodes["n"].outputs == {"out": {**ABC, "speed": "float64"}}


def test_a_name_that_is_only_known_during_the_run_makes_the_schema_unknown() -> None:
    module = adding({"a": "int64"}, {"${params.into}": "float64"}).model_copy(update={"params": params(into=COLUMN)})
    nodes = {"s": (source(**ABC), node("src")), "n": (module, node(module, "s", params={"into": "${params.x}"}))}
    found = planned(nodes).nodes["n"]
    assert found.outputs == {"out": None}
    assert not found.exact


def test_a_param_of_the_run_is_filled_in() -> None:
    module = adding({"a": "int64"}, {"${params.into}": "float64"}).model_copy(update={"params": params(into=COLUMN)})
    nodes = {"s": (source(**ABC), node("src")), "n": (module, node(module, "s", params={"into": "${params.x}"}))}
    found = planned(nodes, scope=Scope(params={"x": "speed"}))
    assert found.nodes["n"].outputs == {"out": {**ABC, "speed": "float64"}}


def test_an_open_output_is_not_known() -> None:
    found = planned({"s": (source(), node("src"))}).nodes["s"]
    assert found.outputs == {"out": None}
    assert "only known when src has run" in found.unknown[0]


def test_bound_columns_have_the_names_of_the_module_inside_and_those_of_the_flow_outside() -> None:
    module = adding({"price": "int64"}, {"total": "float64"})
    nodes = {"s": (source(**ABC), node("src")), "n": (module, node(module, "s", bind={"price": "a"}))}
    found = planned(nodes)
    assert found.nodes["n"].inputs == {"table": {"price": "int64", "b": "float64", "c": "string"}}
    assert found.nodes["n"].outputs == {"out": {**ABC, "total": "float64"}}
    assert not found.problems


def test_a_module_that_plans_says_what_it_gives() -> None:
    module = ModuleContract(
        name="asked", inputs=(InputPort(name="table"),), outputs=(OutputPort(name="out"),), has_plan=True
    )
    nodes = {"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))}
    answer = PlanAnswer(reads={"table": ("a",)}, outputs={"out": {"sum": "int64"}})
    found = planned(nodes, answers={"asked": answer})
    assert found.nodes["n"].outputs == {"out": {"sum": "int64"}}
    assert found.nodes["s"].wanted == {"out": ("a",)}


def test_what_was_not_answered_is_a_question_with_the_columns_that_come_in() -> None:
    module = ModuleContract(
        name="asked", inputs=(InputPort(name="table"),), outputs=(OutputPort(name="out"),), has_plan=True
    )
    found = planned({"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))})
    assert found.questions["n"].schemas == {"table": ABC}
    assert found.nodes["s"].wanted == {"out": None}


# -- backwards ---------------------------------------------------------------------------------------------------------


def test_a_source_gives_what_a_sink_declares() -> None:
    module = sink(a="int64")
    found = planned({"s": (source(**ABC), node("src")), "end": (module, node(module, "s"))})
    assert found.nodes["s"].wanted == {"out": ("a",)}


def test_a_sink_that_declares_nothing_needs_everything() -> None:
    found = planned({"s": (source(**ABC), node("src")), "end": (sink(), node("sink", "s"))})
    assert found.nodes["s"].wanted == {"out": None}


def test_a_last_output_is_given_whole() -> None:
    module = adding({"a": "int64"}, {"total": "float64"})
    found = planned({"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))})
    assert found.nodes["n"].wanted == {"out": None}
    assert found.nodes["s"].wanted == {"out": ("a", "b", "c")}


def test_a_column_that_is_replaced_is_not_needed() -> None:
    module = adding({"a": "int64"}, {"b": "string"}, drops=("c",))
    found = planned({"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))})
    assert found.nodes["s"].wanted == {"out": ("a",)}


def test_needs_go_through_what_passes() -> None:
    module, end = adding({"a": "int64"}, {"total": "float64"}), sink(total="float64", c="string")
    nodes = {"s": (source(**ABC), node("src")), "n": (module, node(module, "s")), "end": (end, node(end, "n"))}
    found = planned(nodes)
    assert found.nodes["n"].wanted == {"out": ("c", "total")}
    assert found.nodes["s"].wanted == {"out": ("a", "c")}


def test_without_a_schema_the_names_that_may_be_needed_are_wanted() -> None:
    module, end = filtering(), sink(c="string")
    nodes = {
        "s": (source(), node("src")),
        "n": (module, node(module, "s", params={"where": "lower(a) = 'x'"})),
        "end": (end, node(end, "n")),
    }
    assert planned(nodes).nodes["s"].wanted == {"out": ("a", "c", "lower")}


def test_all_consumers_count() -> None:
    one, two = sink(a="int64"), sink(c="string")
    nodes = {"s": (source(**ABC), node("src")), "one": (one, node(one, "s")), "two": (two, node(two, "s"))}
    assert planned(nodes).nodes["s"].wanted == {"out": ("a", "c")}


def test_an_output_of_the_flow_is_given_whole() -> None:
    module = sink(a="int64")
    found = planned({"s": (source(**ABC), node("src")), "end": (module, node(module, "s"))}, outputs={"all": "s"})
    assert found.nodes["s"].wanted == {"out": None}


def test_a_module_that_is_not_known_needs_everything() -> None:
    found = planned({"s": (source(**ABC), node("src")), "late": (None, node("late.module", "s"))})
    assert found.nodes["s"].wanted == {"out": None}
    assert found.nodes["late"].unknown == ("the module late.module is not known",)


def test_dead_letters_that_somebody_reads_are_whole_rows() -> None:
    module, end = adding({"a": "int64"}, {"total": "float64"}), sink(total="float64")
    nodes = {
        "s": (source(**ABC), node("src")),
        "n": (module, node(module, "s")),
        "end": (end, node(end, "n")),
        "letters": (sink(), node("sink", "n.rejected")),
    }
    assert planned(nodes).nodes["s"].wanted == {"out": None}


def test_a_param_that_is_unknown_and_names_columns_needs_everything() -> None:
    module = adding({"a": "int64"}, {"total": "float64"}).model_copy(update={"params": params(of=COLUMNS)})
    end = sink(total="float64")
    nodes = {
        "s": (source(**ABC), node("src")),
        "n": (module, node(module, "s", params={"of": "${params.x}"})),
        "end": (end, node(end, "n")),
    }
    assert planned(nodes).nodes["s"].wanted == {"out": None}
    assert planned(nodes, scope=Scope(params={"x": ["b"]})).nodes["s"].wanted == {"out": ("a", "b")}


def test_a_bound_column_is_asked_for_by_the_name_of_the_flow() -> None:
    module, end = adding({"price": "int64"}, {"total": "float64"}), sink(total="float64")
    nodes = {
        "s": (source(**ABC), node("src")),
        "n": (module, node(module, "s", bind={"price": "a"})),
        "end": (end, node(end, "n")),
    }
    assert planned(nodes).nodes["s"].wanted == {"out": ("a",)}


def test_a_bound_column_is_asked_for_however_an_expression_writes_it() -> None:
    module, end = filtering(), sink(b="any")
    nodes = {
        "s": (source(), node("src")),
        "f": (module, node(module, "s", params={"where": "PRICE > 3"}, bind={"price": "a"})),
        "end": (end, node(end, "f")),
    }
    assert {"a", "b"} <= set(planned(nodes).nodes["s"].wanted["out"] or ())


def test_a_module_that_plans_says_which_columns_pass_under_other_names() -> None:
    module = ModuleContract(
        name="join",
        inputs=(InputPort(name="left"), InputPort(name="right")),
        outputs=(OutputPort(name="out"),),
        has_plan=True,
    )
    joined = {
        "a": PassedColumn(port="left", column="a"),
        "b": PassedColumn(port="left", column="b"),
        "c_right": PassedColumn(port="right", column="c"),
    }
    answer = PlanAnswer(
        reads={"left": ("a",), "right": ("a",)},
        outputs={"out": {"a": "int64", "b": "float64", "c_right": "string"}},
        passes={"out": joined},
    )
    end = sink(c_right="string")
    nodes = {
        "one": (source(**ABC), node("src")),
        "two": (source(**ABC), node("src")),
        "j": (module, Node(module="join", inputs={"left": (Source(node="one"),), "right": (Source(node="two"),)})),
        "end": (end, node(end, "j")),
    }
    found = planned(nodes, answers={"join": answer})
    assert found.nodes["one"].wanted == {"out": ("a",)}
    assert found.nodes["two"].wanted == {"out": ("a", "c")}
    assert found.nodes["j"].columns == {"left": ("a",), "right": ("a", "c")}


# -- what is handed over -------------------------------------------------------------------------------------------------


def test_a_step_is_handed_only_what_it_needs_of_a_wider_table() -> None:
    module, end, other = filtering(), sink(c="string"), sink(b="float64")
    nodes = {
        "s": (source(**ABC), node("src")),
        "n": (module, node(module, "s", params={"where": "a > 1"})),
        "end": (end, node(end, "n")),
        "other": (other, node(other, "s")),
    }
    found = planned(nodes)
    assert found.nodes["n"].columns == {"table": ("a", "c")}
    assert found.nodes["n"].wanted == {"out": ("c",)}


def test_a_module_whose_rest_is_attached_is_left_to_its_contract() -> None:
    module, end, other = adding({"a": "int64"}, {"total": "float64"}), sink(c="string"), sink(b="float64")
    nodes = {
        "s": (source(**ABC), node("src")),
        "n": (module, node(module, "s")),
        "end": (end, node(end, "n")),
        "other": (other, node(other, "s")),
    }
    assert planned(nodes).nodes["n"].columns == {}


def test_a_module_that_answers_is_handed_what_it_reads_where_the_rest_is_attached() -> None:
    module = ModuleContract(
        name="derive",
        inputs=(InputPort(name="table"),),
        outputs=(OutputPort(name="out", passes="table", open=False),),
        has_plan=True,
        traits=Traits(rows="same"),
    )
    answer = PlanAnswer(reads={"table": ("a",)}, outputs={"out": {**ABC, "d": "int64"}})
    nodes = {"s": (source(**ABC), node("src")), "n": (module, node(module, "s"))}
    found = planned(nodes, answers={"derive": answer})
    assert found.nodes["n"].columns == {"table": ("a",)}
    assert found.nodes["n"].needs == {"table": ("a", "b", "c")}


# -- problems ------------------------------------------------------------------------------------------------------------


def test_a_declared_column_that_does_not_come_in_is_a_problem() -> None:
    module = sink(arr_dely="float64")
    found = planned({"s": (source(arr_delay="float64"), node("src")), "late": (module, node(module, "s"))})
    assert [problem.message for problem in found.problems] == [
        "column 'arr_dely' does not exist at node 'late'; its input has 'arr_delay'"
    ]
    assert found.problems[0].path == ("nodes", "late", "in")
    assert found.problems[0].hint == "did you mean 'arr_delay'?"


def test_a_condition_that_names_a_column_that_is_not_there_is_a_problem() -> None:
    module = filtering(rest=True)
    nodes = {
        "s": (source(arr_delay="float64"), node("src")),
        "late": (module, node(module, "s", params={"where": "arr_dely > 15 AND carrier.name = 'ua'"})),
    }
    found = planned(nodes)
    assert [problem.message for problem in found.problems] == [
        "column 'arr_dely' does not exist at node 'late'; its input has 'arr_delay'"
    ]
    assert found.problems[0].path == ("nodes", "late", "params", "where")


def test_a_column_of_another_type_is_a_problem() -> None:
    module = sink(a="string")
    found = planned({"s": (source(**ABC), node("src")), "end": (module, node(module, "s"))})
    assert [problem.code for problem in found.problems] == ["column-type"]
    assert "column 'a' is int64 at node 'end', but sink reads it as string" in found.problems[0].message


def test_a_bound_column_that_is_not_there_names_both() -> None:
    module = sink(price="int64")
    found = planned({"s": (source(**ABC), node("src")), "end": (module, node(module, "s", bind={"price": "aa"}))})
    assert found.problems[0].message.startswith("column 'aa' (for 'price' of sink) does not exist at node 'end'")
    assert found.problems[0].path == ("nodes", "end", "bind", "price")


def test_what_a_module_finds_wrong_is_a_problem() -> None:
    module = ModuleContract(
        name="asked", inputs=(InputPort(name="table"),), outputs=(OutputPort(name="out"),), has_plan=True
    )
    wrong = PlanProblem(message="by: there is no column 'aa'", param="by", port="table", column="aa")
    nodes = {"s": (source(**ABC), node("src")), "n": (module, node(module, "s", params={"by": ["aa"]}))}
    found = planned(nodes, answers={"asked": PlanAnswer(problems=(wrong,))})
    assert found.problems[0].message == "column 'aa' does not exist at node 'n'; its input has 'a'"
    assert found.problems[0].path == ("nodes", "n", "params", "by")


def test_nothing_is_said_about_columns_that_are_not_known() -> None:
    module = sink(arr_dely="float64")
    assert not planned({"s": (source(), node("src")), "late": (module, node(module, "s"))}).problems


def test_a_flow_that_does_not_fit_together_is_planned_without_complaint() -> None:
    module = sink(a="int64")
    nodes = {
        "s": (source(**ABC), node("src")),
        "one": (module, node(module, "two")),
        "two": (module, node(module, "one")),
        "three": (module, node(module, "s", "s")),
        "four": (module, node(module, "nobody")),
        "five": (source(), node("src", "s")),
    }
    found = planned(nodes)
    assert not found.problems
    assert found.nodes["s"].wanted == {"out": None}


def test_the_kind_of_a_module_does_not_matter_to_its_columns() -> None:
    module = source(**ABC).model_copy(update={"kind": ModuleKind.CONTROL})
    assert planned({"s": (module, node("src"))}).nodes["s"].outputs == {"out": ABC}
