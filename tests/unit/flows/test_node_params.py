"""Params of nodes: expressions in them, and the schema of their module."""

from typing import Any

import pytest

from plugmesh.flows.schema import Hole, check_value
from tests.unit.flows.checking import checked
from tests.unit.flows.known import KnownModules, builtin_like, contract, params

HEAD = """\
flow: f
inputs: {f: file, t: table, v: value}
params: {n: 5, r: 0.5, s: text, l: [1], o: {default: {a: 1}}, need: {type: string}, maybe: {type: string, default: null}}
nodes:
"""


def _found(node: str, view: KnownModules | None = None) -> list[str]:
    problems = checked(f"{HEAD}  x: {node}\n", view or builtin_like(), live=False)
    return [f"{problem.code}: {problem.message}" for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ('{module: u, params: {p: "${params.m}"}}', "unknown-param: ${params.m}: the flow has no param 'm'"),
        ('{module: u, params: {p: [{q: "a ${params.m}"}]}}', "unknown-param: ${params.m}: the flow has no param 'm'"),
        ('{module: u, params: {p: "${inputs.m}"}}', "unknown-input: ${inputs.m}: the flow has no input 'm'"),
        ('{module: u, params: {p: "${item}"}}', "no-item: ${item} can only be used in params of a node with map:"),
        ('{module: u, map: ["${index}"]}', "no-item: ${index} can only be used in params of a node with map:"),
        ('{module: u, params: {p: "${params.n"}}', "bad-expression: '${' is not closed by '}'"),
        ('{module: u, params: {p: "${params}"}}', "bad-expression: ${params} lacks a name: ${params.NAME}"),
        ('{module: u, params: {p: "${inputs.f.x}"}}', "bad-expression: ${inputs.f.x}: an input is used whole"),
        ('{module: u, params: {p: "${index.x}"}}', "bad-expression: ${index.x}: ${index} is a number"),
        ('{module: u, params: {p: "${n + 1}"}}', "bad-expression: ${n + 1} is no expression: there are"),
        ('{module: u, params: {p: "${}"}}', "bad-expression: ${} is no expression: there are"),
        ('{module: u, params: {p: "a ${inputs.f}"}}', "reference-in-text: ${inputs.f} is a reference"),
        ('{module: u, params: {p: "${inputs.t}"}}', "table-in-param: ${inputs.t} is a table"),
        ('{module: u, params: {p: "${params.n.x}"}}', "no-such-key: ${params.n.x}: there is nothing inside"),
        ('{module: u, map: "${params.n}"}', "bad-map: map needs a list, but ${params.n} is of type integer"),
        ('{module: u, map: "${inputs.f}"}', "bad-map: map needs a list, but ${inputs.f} is a file"),
    ],
)
def test_an_expression_that_refers_to_nothing_is_named(node: str, said: str) -> None:
    (message,) = _found(node)
    assert message.startswith(said)


@pytest.mark.parametrize(
    "node",
    [
        '{module: u, params: {a: "${params.n}", b: "n=${params.n} r=${params.r}", c: "${params.o.a}", d: "${params.l.0}"}}',
        '{module: u, map: "${params.l}", params: {a: "${item}", b: "${item.name} ${index}"}}',
        '{module: u, map: ["${params.n}", 2], params: {a: "${item}"}}',
        '{module: u, params: {a: "$${anything} and $5 and {x}", f: "${inputs.f}", v: "${inputs.v}"}}',
        '{module: u, params: {a: "${ params.n }"}}',
    ],
)
def test_expressions_may_stand_anywhere_in_params(node: str) -> None:
    assert _found(node) == []


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("{module: table.limit, in: r, params: {row: 5}}", "unknown-param: table.limit: there is no param 'row'"),
        ("{module: table.filter, in: r, params: {}}", "missing-param: table.filter: param 'where' is missing"),
        ("{module: table.filter, in: r}", "missing-param: table.filter: param 'where' is missing"),
        (
            "{module: table.limit, in: r, params: {rows: x}}",
            'wrong-type: table.limit: param \'rows\' must be an integer, not "x"',
        ),
        (
            "{module: table.limit, in: r, params: {rows: true}}",
            "wrong-type: table.limit: param 'rows' must be an integer, not true",
        ),
        (
            '{module: table.limit, in: r, params: {rows: "${params.s}"}}',
            "wrong-type: table.limit: param 'rows' must be an integer, not ${params.s} (string)",
        ),
        (
            '{module: table.limit, in: r, params: {rows: "a${params.n}"}}',
            "wrong-type: table.limit: param 'rows' must be an integer, not a${params.n} (string)",
        ),
        (
            '{module: table.limit, map: [1], in: r, params: {share: "${params.l}"}}',
            "wrong-type: table.limit: param 'share' must be a number, not ${params.l} (array)",
        ),
        (
            "{module: io.read, params: {file: {}, rows: -1}}",
            "out-of-range: io.read: param 'rows' must be at least 0, not -1",
        ),
        (
            "{module: table.aggregate, in: r, params: {by: [a, 5]}}",
            "wrong-type: table.aggregate: param 'by.1' must be a string, not 5",
        ),
        (
            "{module: table.aggregate, in: r, params: {by: [a], measures: {n: 1}}}",
            "wrong-type: table.aggregate: param 'measures.n' must be a string, not 1",
        ),
    ],
)  # fmt: skip
def test_params_must_fit_the_schema_of_the_module(node: str, said: str) -> None:
    (message,) = _found(f"{node}\n  r: {{module: io.read, params: {{file: {{}}}}}}")
    assert message.startswith(said)


@pytest.mark.parametrize(
    "node",
    [
        '{module: table.limit, in: r, params: {rows: "${params.n}", share: "${params.n}"}}',
        '{module: table.limit, in: r, params: {rows: "${params.r}"}}',
        '{module: table.limit, in: r, map: [1], params: {rows: "${index}", share: "${item}"}}',
        '{module: table.filter, in: r, params: {where: "a > ${params.n}"}}',
        '{module: table.filter, in: r, params: {where: "${params.maybe}"}}',
        '{module: table.join, in: {left: r, right: r}, params: {on: x, how: "${params.s}"}}',
        '{module: io.read, params: {file: "${inputs.f}"}}',
    ],
)
def test_values_to_be_filled_are_checked_by_the_type_they_will_have(node: str) -> None:
    assert _found(f"{node}\n  r: {{module: io.read, params: {{file: {{}}}}}}") == []


NESTED: dict[str, Any] = {
    "type": "object",
    "$defs": {
        "Rule": {
            "type": "object",
            "properties": {"column": {"type": "string", "pattern": "^[a-z]+$"}, "limit": {"type": "number"}},
            "required": ["column"],
            "additionalProperties": False,
        },
        "Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}, "additionalProperties": False},
        "Loop": {"$ref": "#/$defs/Loop"},
    },
    "properties": {
        "rule": {"anyOf": [{"$ref": "#/$defs/Rule"}, {"type": "null"}]},
        "rules": {"type": "array", "items": {"$ref": "#/$defs/Rule"}, "minItems": 1, "maxItems": 2},
        "size": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "step": {"type": "integer", "multipleOf": 5},
        "mode": {"const": "fast"},
        "name": {"type": "string", "minLength": 2, "maxLength": 4},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "set": {"type": "array", "uniqueItems": True},
        "text": {"allOf": [{"type": "string"}], "default": "x"},
        "many": {"type": ["string", "integer"]},
        "tree": {"$ref": "#/$defs/Tree"},
        "loop": {"$ref": "#/$defs/Loop"},
        "never": False,
        "some": {"type": "object", "minProperties": 1},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "value",
    [
        {"rule": None, "size": 1, "step": 10, "mode": "fast", "name": "abc"},
        {"rule": {"column": "abc", "limit": 1}},
        {"rules": [{"column": "a"}, {"column": "b", "limit": 0.5}]},
        {"pair": ["a", 1, None], "set": [1, "1", True], "text": "t", "many": 5},
        {"tree": {"left": {"left": {}}}, "loop": 5},
        {"rule": Hole("object", "${params.o}"), "size": Hole(None, "${item}"), "many": Hole("integer", "${index}")},
    ],
)
def test_the_schemas_that_pydantic_writes_are_understood(value: dict[str, Any]) -> None:
    assert check_value(value, NESTED) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"rule": {"colum": "a"}}, ["param 'rule.column' is missing", "there is no param 'rule.colum'; there are column, limit"]),
        ({"rule": 5}, ["param 'rule' must be an object or null, not 5"]),
        ({"rule": Hole("string", "${params.s}")}, ["param 'rule' must be an object or null, not ${params.s} (string)"]),
        ({"rules": []}, ["param 'rules' must have at least 1 elements, not a list"]),
        ({"rules": [{"column": "A"}]}, ["param 'rules.0.column' must match the pattern ^[a-z]+$, not \"A\""]),
        ({"size": 0}, ["param 'size' must be more than 0, not 0"]),
        ({"size": 2}, ["param 'size' must be at most 1, not 2"]),
        ({"step": 7}, ["param 'step' must be a multiple of 5, not 7"]),
        ({"mode": "slow"}, ['param \'mode\' must be "fast", not "slow"']),
        ({"name": "a"}, ["param 'name' must have at least 2 characters, not \"a\""]),
        ({"pair": [1, 1]}, ["param 'pair.0' must be a string, not 1"]),
        ({"set": [1, 1]}, ["param 'set' must have no element twice, not a list"]),
        ({"text": 1}, ["param 'text' must be a string, not 1"]),
        ({"many": 1.5}, ["param 'many' must be a string or an integer, not 1.5"]),
        ({"tree": {"left": {"right": {}}}}, ["there is no param 'tree.left.right'; there is left"]),
        ({"never": 1}, ["param 'never' is not allowed"]),
        ({"some": {}}, ["param 'some' must have at least 1 keys, not a mapping"]),
        ({"size": "x", "step": "y"}, ["param 'size' must be a number, not \"x\"", "param 'step' must be an integer, not \"y\""]),
        (5, ["params must be an object, not 5"]),
    ],
)  # fmt: skip
def test_what_a_schema_does_not_allow_is_said(value: Any, said: list[str]) -> None:
    assert [fault.message for fault in check_value(value, NESTED)] == said


def test_a_file_comes_from_an_input_and_only_where_one_is_taken() -> None:
    (message,) = _found("{module: io.read, params: {file: flights.csv}}")
    assert message == "wrong-type: io.read: param 'file' must be a file that was handed in, not \"flights.csv\""
    (message,) = _found('{module: io.write, in: "${inputs.t}", params: {path: "${inputs.f}"}}')
    assert message == "wrong-type: io.write: param 'path' must be a string, not ${inputs.f} (object)"


def test_a_schema_that_never_ends_is_given_up() -> None:
    schema: dict[str, Any] = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    assert check_value({}, schema) == []


def test_a_pattern_that_would_backtrack_for_ever_does_not() -> None:
    schema = params(p={"type": "string", "pattern": "^(a+)+$"})
    (fault,) = check_value({"p": "a" * 5000 + "!"}, schema)
    assert fault.code == "out-of-range"


def test_a_pattern_that_the_engine_does_not_know_is_left_to_the_module() -> None:
    assert check_value({"p": "x"}, params(p={"type": "string", "pattern": r"(?=look)\1"})) == []


def test_schemas_of_odd_shape_do_no_harm() -> None:
    odd: dict[str, Any] = {
        "properties": [],
        "required": 5,
        "enum": None,
        "anyOf": {},
        "minimum": "x",
        "$ref": "#/nowhere",
    }
    view = KnownModules(contract("odd.one", schema={"type": "object", "properties": {"p": odd, "q": 7}}))
    assert _found("{module: odd.one, params: {p: 1, q: [2], r: {}}}", view) == []


def _expressions(*nodes: str) -> list[str]:
    where = {"type": "string", "minLength": 1, "x-mesh": "expression"}
    measures = {"type": "object", "additionalProperties": where}
    view = KnownModules(contract("sql.x", schema=params(where=where, measures=measures)))
    lines = "".join(f"  {node}\n" for node in nodes)
    found = checked(f"flow: f\nparams: {{n: 1}}\nnodes:\n{lines}", view, live=False)
    return [str(problem) for problem in found if problem.severity == "error"]


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (
            "a: {module: sql.x, params: {where: uper(x) > 1}}",
            "4:38: error: sql.x: param 'where': there is no function 'uper'",
        ),
        ('a: {module: sql.x, params: {where: "a + uper(x)"}}', "4:43: error: "),
        (
            "a: {module: sql.x, params: {measures: {n: 'sum(x'}}}",
            "4:49: error: sql.x: param 'measures.n': this '(' is not",
        ),
        (
            'a: {module: sql.x, params: {where: "\\x61 + uper(x)"}}',
            "4:38: error: sql.x: param 'where': there is no function",
        ),
        ('a: {module: sql.x, params: {where: "\\x61 + uper(x)"}}', "(did you mean 'upper'?), at character 5"),
    ],
)
def test_a_mistake_in_an_expression_has_its_own_place(node: str, said: str) -> None:
    (problem,) = _expressions(node)
    assert said in problem


@pytest.mark.parametrize("where", ["x > 1", "upper(s) = 'X'", '"${params.n} > (1"', '"uper($${x)"'])
def test_an_expression_that_is_right_or_not_yet_whole_is_no_problem(where: str) -> None:
    assert _expressions(f"a: {{module: sql.x, params: {{where: {where}}}}}") == []
