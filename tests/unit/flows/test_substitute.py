"""What a run hands in, and what it becomes in the params of a node."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pydantic import JsonValue

from plugmesh.contracts.data import AnyReference, DataRef, FileRef, SpilledRef, ValueRef
from plugmesh.contracts.flow import Flow, FlowInput, FlowParam, Node
from plugmesh.contracts.module import PortKind
from plugmesh.errors import FlowInvalid
from plugmesh.flows.substitute import (
    Scope,
    fill,
    fill_map,
    fill_params,
    resolve_inputs_and_params,
    scope_of,
)

FILE = FileRef(name="flights.csv", key="files/1", bytes=3, hash="xxh3:0")
TABLE = DataRef(schema_ipc="", rows=0, fragments=())

FLOW = Flow(
    name="f",
    inputs={"data": FlowInput(kind=PortKind.FILE), "extra": FlowInput(kind=PortKind.VALUE, optional=True)},
    params={
        "limit": FlowParam(type="integer"),
        "share": FlowParam(type="number", default=0.5, required=False),
        "names": FlowParam(type="array", default=["a"], required=False),
        "note": FlowParam(type="string", default=None, required=False),
        "strict": FlowParam(type="boolean", default=False, required=False),
        "more": FlowParam(type="object", default={}, required=False),
    },
    nodes={"n": Node(module="m")},
)

SCOPE = Scope(
    inputs={"data": FILE, "absent": None},
    params={
        "n": 5,
        "r": 0.5,
        "t": True,
        "s": "text",
        "l": [1, {"k": "v"}],
        "o": {"a": {"b": 7}, "x-y": 1},
        "none": None,
    },
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def _problems(inputs: dict[str, AnyReference], params: dict[str, object], *, coerce: bool = False) -> list[str]:
    with pytest.raises(FlowInvalid) as caught:
        resolve_inputs_and_params(FLOW, inputs, params, coerce=coerce)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_added() -> None:
    resolved = resolve_inputs_and_params(FLOW, {"data": FILE}, {"limit": 3})
    assert resolved.inputs == {"data": FILE}
    assert resolved.params == {
        "limit": 3,
        "share": 0.5,
        "names": ["a"],
        "note": None,
        "strict": False,
        "more": {},
    }


def test_everything_wrong_with_a_run_is_said_at_once() -> None:
    assert _problems({"dta": FILE, "extra": TABLE}, {"shares": 1, "names": "a,b"}) == [
        "run: inputs.dta: error: the flow has no input 'dta' (did you mean 'data'?)",
        "run: inputs.data: error: the file input 'data' is missing",
        "run: inputs.extra: error: input 'extra' must be a value, not a table",
        "run: params.shares: error: the flow has no param 'shares' (did you mean 'share'?)",
        "run: params.limit: error: the integer param 'limit' is missing, it has no default",
        "run: params.names: error: param 'names' must be of type array, not \"a,b\"",
    ]


def test_a_spilled_reference_counts_as_what_it_stands_for() -> None:
    spilled = SpilledRef(of="file", key="k", bytes=1, hash="h")
    assert resolve_inputs_and_params(FLOW, {"data": spilled}, {"limit": 1}).inputs == {"data": spilled}
    assert (
        "must be a file, not a table"
        in _problems({"data": spilled.model_copy(update={"of": "table"})}, {"limit": 1})[0]
    )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("limit", "5", 5),
        ("limit", " -5 ", -5),
        ("share", "0.25", 0.25),
        ("share", "2", 2),
        ("share", "1e3", 1000.0),
        ("strict", "true", True),
        ("strict", "False", False),
        ("names", '["x", 1]', ["x", 1]),
        ("more", '{"a": null}', {"a": None}),
        ("note", "5", "5"),
        ("note", "null", "null"),
    ],
)
def test_text_from_a_command_line_becomes_the_declared_type(name: str, text: str, value: JsonValue) -> None:
    resolved = resolve_inputs_and_params(FLOW, {"data": FILE}, {"limit": 1, name: text}, coerce=True)
    assert resolved.params[name] == value
    assert type(resolved.params[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("limit", "5.5"),
        ("limit", "1_000"),
        ("limit", "9" * 30),
        ("limit", ""),
        ("share", "nan"),
        ("share", "1e999"),
        ("strict", "yes"),
        ("names", "a,b"),
        ("names", "[NaN]"),
        ("names", "[" * 100_000),
        ("more", "[]"),
    ],
)
def test_text_that_is_not_of_the_declared_type_is_refused(name: str, text: str) -> None:
    (problem,) = _problems({"data": FILE}, {"limit": 1, name: text}, coerce=True)
    assert f"param '{name}' must be of type" in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "5"), ("limit", 5.5), ("limit", True), ("limit", None), ("limit", 10**30), ("share", float("nan"))],
)
def test_without_coercion_values_must_be_of_their_type(name: str, value: object) -> None:
    assert _problems({"data": FILE}, {"limit": 1, name: value})


def test_a_whole_number_written_with_a_point_is_an_integer() -> None:
    limit = resolve_inputs_and_params(FLOW, {"data": FILE}, {"limit": 5.0}).params["limit"]
    assert (limit, type(limit)) == (5, int)


def test_an_optional_param_may_be_null() -> None:
    assert resolve_inputs_and_params(FLOW, {"data": FILE}, {"limit": 1, "note": None}).params["note"] is None


def test_params_that_hide_depth_are_refused() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    (problem,) = _problems({"data": FILE}, {"limit": 1, "names": deep})
    assert "nested more than" in problem


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${params.n}", 5),
        ("${params.r}", 0.5),
        ("${params.t}", True),
        ("${params.l}", [1, {"k": "v"}]),
        ("${params.none}", None),
        ("${params.l.1.k}", "v"),
        ("${params.o.a.b}", 7),
        ("${params.o.x-y}", 1),
        ("${ params.n }", 5),
        ("n > ${params.n} and s = '${params.s}'", "n > 5 and s = 'text'"),
        ("${params.t}${params.none}${params.r}", "truenull0.5"),
        ("x: ${params.o.a}", 'x: {"b":7}'),
        ("$${params.n}", "${params.n}"),
        ("$$${params.n}", "$${params.n}"),
        ("$${a} ${params.n}", "${a} 5"),
        ("$5 {x} $ {y} } {", "$5 {x} $ {y} } {"),
        ("${inputs.absent}", None),
        ({"a": ["${params.n}", {"b": "${params.s}"}], "${params.n}": 1}, {"a": [5, {"b": "text"}], "${params.n}": 1}),
        (7, 7),
    ],
)
def test_expressions_are_replaced(written: JsonValue, value: JsonValue) -> None:
    assert fill(written, SCOPE) == value


def test_an_input_that_stands_alone_becomes_its_reference() -> None:
    assert fill("${inputs.data}", SCOPE) == FILE.model_dump(mode="json")
    value = Scope(inputs={"v": ValueRef(value=[1])})
    assert fill(["${inputs.v}"], value) == [{"kind": "value", "value": [1]}]


def test_elements_of_a_mapped_node_are_item_and_index() -> None:
    scope = SCOPE.at({"name": "x", "list": [4]}, 0)
    assert fill(["${item}", "${item.name}-${index}", "${item.list.0}", "${index}"], scope) == [
        {"name": "x", "list": [4]},
        "x-0",
        4,
        0,
    ]


def test_what_was_filled_in_is_not_filled_again() -> None:
    assert fill("${params.a} ${params.b}", Scope(params={"a": "${params.b}", "b": "$${x}"})) == "${params.b} $${x}"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("${params.m}", "${params.m}: there is no param 'm'"),
        ("${inputs.m}", "${inputs.m}: there is no input 'm' (there are data, absent)"),
        ("${params.o.b}", "${params.o.b}: a mapping has no 'b' (there are a, x-y)"),
        ("${params.l.2}", "${params.l.2}: a list has no '2'"),
        ("${params.n.x}", "${params.n.x}: 5 has no 'x'"),
        ("${item}", "${item} can only be used in a node with map:"),
        ("${index}", "${index} can only be used in a node with map:"),
        ("a ${inputs.data}", "${inputs.data} is a reference: it must be the whole value"),
        ("${params.n", "'${' is not closed by '}'"),
        ("${__import__('os')}", "is no expression"),
        ("${params.n.__class__}", "${params.n.__class__}: 5 has no '__class__'"),
    ],
)
def test_an_expression_without_a_value_is_an_error_that_names_it(written: str, said: str) -> None:
    with pytest.raises(FlowInvalid) as caught:
        fill({"p": written}, SCOPE)
    assert said in str(caught.value)
    assert caught.value.problems


def test_errors_name_node_and_param_and_come_all_at_once() -> None:
    node = Node(module="m", params={"a": "${params.x}", "b": ["${item}"], "c": "${params.n}"})
    with pytest.raises(FlowInvalid) as caught:
        fill_params("late", node, SCOPE)
    assert [str(problem) for problem in caught.value.problems if hasattr(problem, "path")] == [
        "flow: nodes.late.params.a: error: ${params.x}: there is no param 'x' (there are n, r, t, s, l, o, none)",
        "flow: nodes.late.params.b.0: error: ${item} can only be used in a node with map:",
    ]


def test_a_map_gives_its_elements() -> None:
    assert fill_map("n", Node(module="m"), SCOPE) is None
    assert fill_map("n", Node(module="m", map="${params.l}"), SCOPE) == [1, {"k": "v"}]
    assert fill_map("n", Node(module="m", map=["${params.n}", 6]), SCOPE) == [5, 6]
    with pytest.raises(FlowInvalid, match="map must give a list"):
        fill_map("n", Node(module="m", map="${params.n}"), SCOPE)


def test_an_optional_input_that_was_not_given_is_null() -> None:
    resolved = resolve_inputs_and_params(FLOW, {"data": FILE}, {"limit": 1})
    scope = scope_of(FLOW, resolved.inputs, resolved.params)
    assert fill(["${inputs.extra}", "${inputs.data}"], scope) == [None, FILE.model_dump(mode="json")]


@given(json_values)
def test_a_value_without_expressions_stays_what_it_is(value: JsonValue) -> None:
    assert fill(_escaped(value), Scope()) == value


@given(json_values)
def test_a_param_that_stands_alone_keeps_value_and_type(value: JsonValue) -> None:
    filled = fill({"p": ["${params.x}"]}, Scope(params={"x": value}))
    assert filled == {"p": [value]}


@given(st.lists(st.text().map(lambda text: text.replace("${", "")) | st.sampled_from(["a", "b"]), max_size=6))
def test_texts_and_expressions_are_joined_in_order(parts: list[str]) -> None:
    params: dict[str, JsonValue] = {"a": "${params.b}", "b": 7}
    written = "".join("${params." + part + "}" if part in params else part.rstrip("$") for part in parts)
    meant = "".join({"a": "${params.b}", "b": "7"}.get(part, part.rstrip("$")) for part in parts)
    filled = fill(written, Scope(params=params))
    assert (filled if isinstance(filled, str) else str(filled)) == meant


@given(st.text(alphabet="${}. parmsitexndi0", max_size=40))
def test_any_text_is_filled_or_refused_and_nothing_else(text: str) -> None:
    try:
        fill(text, SCOPE.at(1, 2))
    except FlowInvalid as error:
        assert error.problems  # noqa: PT017  both ends are right


def _escaped(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, list):
        return [_escaped(below) for below in value]
    if isinstance(value, dict):
        return {key: _escaped(below) for key, below in value.items()}
    return value
