"""YAML 1.2, and what is kept out: tags, bombs, depths and sizes."""

import pytest

from plugmesh.flows.parse import parse_flow_document, parse_flow_text
from plugmesh.flows.problem import MAX_PROBLEMS
from plugmesh.flows.read import MAX_BYTES
from tests.unit.flows.checking import messages, one, parsed


def _param(written: str) -> object:
    return parsed(f"flow: f\nnodes:\n  n:\n    module: m\n    params:\n      p: {written}\n").nodes["n"].params["p"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("2024-01-31", "2024-01-31"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("0o17", 15),
        ("0x1F", 31),
        ("012", 12),
        ("-7", -7),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("~", None),
        ("Null", None),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("'1'", "1"),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("${params.x}", "${params.x}"),
        ("|\n        two\n        lines", "two\nlines\n"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: object) -> None:
    found = _param(written)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (".inf", "flow.yaml:6:10: error: .inf is not a JSON number: infinity and NaN cannot be used"),
        (".NaN", "flow.yaml:6:10: error: .NaN is not a JSON number: infinity and NaN cannot be used"),
        ("1e999", "flow.yaml:6:10: error: the number 1e999 is too large"),
        (
            "99999999999999999999",
            "flow.yaml:6:10: error: the integer 99999999999999999999 does not fit into 64 bits: "
            "put it in quotes if it is text",
        ),
        (
            "!!python/object/apply:os.system [ls]",
            "flow.yaml:6:10: error: the tag !!python/object/apply:os.system cannot be used: "
            "flow files are plain data (remove the tag)",
        ),
        ("*nothing", "flow.yaml:6:10: error: the alias *nothing refers to nothing above it (mark a value: &nothing)"),
        ("&me [*me]", "flow.yaml:6:15: error: the alias *me refers to nothing above it (mark a value: &me)"),
    ],
)
def test_values_that_cannot_be_used_have_a_place(written: str, said: str) -> None:
    assert one(f"flow: f\nnodes:\n  n:\n    module: m\n    params:\n      p: {written}\n") == said


def test_half_a_surrogate_pair_is_a_problem() -> None:
    said = one('flow: f\ndoc: "\\ud83d"\nnodes: {n: {module: m}}')
    assert said.startswith("flow.yaml:2:6: error: half a surrogate pair is no character")


def test_a_key_that_comes_twice_names_both_lines() -> None:
    assert one("flow: f\nnodes:\n  a: {module: m}\n  a: {module: n}\n") == (
        "flow.yaml:4:3: error: the key 'a' is here a second time; the first is on line 3"
    )


def test_keys_are_text() -> None:
    assert one("flow: f\nnodes:\n  n: {module: m, params: {p: {1: x}}}\n") == (
        'flow.yaml:3:31: error: the key 1 is not text (write "1")'
    )
    assert "a key must be text" in one("flow: f\nnodes:\n  ? [a, b]\n  : {module: m}\n")


def test_merge_keys_are_explained() -> None:
    said = messages("flow: f\nnodes:\n  a: &a {module: m}\n  b:\n    <<: *a\n")
    assert any("merge keys are not part of YAML 1.2" in message for message in said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flow: f\n\tnodes: {}", "YAML is indented with spaces, not tabs"),
        ("flow: f\nnodes: {n: {module: m, params: {p: ${params.x}}}}", "inside { } and [ ] an expression needs quotes"),
        ("flow: 'f", "flow.yaml:1:9: error: in the quoted text that begins at 1:7: the file ends, but the closing"),
        ("flow: f\n---\nflow: g", "flow.yaml:2:1: error: a flow file holds one flow"),
        ("%YAML 1.1\n---\nflow: f\nnodes: {n: {module: m}}", "flow files are YAML 1.2"),
        ("", "flow.yaml:1:1: error: there is no flow in this file"),
        ("# only a comment\n", "there is no flow in this file"),
        ("just text", 'a flow must be a mapping, not "just text"'),
        ("flow: f\x00", "flow.yaml:1:8: error: the character U+0000 cannot stand in a flow file"),
    ],
)
def test_syntax_errors_have_a_place_and_say_what_to_do(text: str, said: str) -> None:
    assert said in one(text)


def test_text_that_is_not_utf_8_has_a_place() -> None:
    (problem,) = parse_flow_text(b"flow: f\nnodes: \xff").problems
    assert (problem.code, problem.line, problem.column) == ("not-utf-8", 2, 8)


def test_an_alias_bomb_is_refused() -> None:
    levels = "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
    (problem,) = parse_flow_text("a: &a [x,x,x,x,x,x,x,x,x]\n" + levels).problems
    assert problem.code == "too-large"


def test_aliases_cannot_hide_depth() -> None:
    nested = "".join(f"a{i + 1}: &a{i + 1} {'[' * 40}*a{i}{']' * 40}\n" for i in range(5))
    (problem,) = parse_flow_text("a0: &a0 x\n" + nested).problems
    assert problem.code == "too-deep"


@pytest.mark.parametrize("text", ["[" * 500_000, "- " * 500_000, "x: " + "[" * 101 + "]" * 101])
def test_depth_is_limited(text: str) -> None:
    (problem,) = parse_flow_text(text).problems
    assert problem.code == "too-deep"


def test_size_is_limited() -> None:
    (problem,) = parse_flow_text("#" * (MAX_BYTES + 1)).problems
    assert problem.code == "too-large"


def test_the_number_of_nodes_is_limited() -> None:
    (problem,) = parse_flow_document({"flow": "f", "nodes": {f"n{i}": {"module": "m"} for i in range(20_001)}}).problems
    assert problem.code == "too-many-nodes"


def test_very_many_problems_are_counted_instead_of_listed() -> None:
    problems = parse_flow_text(
        "flow: f\nnodes: {n: {module: m}}\n" + "".join(f"x{i}: 1\n" for i in range(1000))
    ).problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert str(problems[-1]) == "flow.yaml: error: and 800 more problems, not listed"


def _deep(levels: int) -> object:
    document: object = 1
    for _ in range(levels):
        document = [document]
    return document


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (_deep(5000), "too-deep"),
        (["x" * 1024] * 5000, "too-large"),
        ([1] * 300_000, "too-large"),
        (float("nan"), "bad-value"),
        (10**30, "bad-value"),
        ("\ud83d", "bad-value"),
        ({1: 2}, "bad-key"),
        (object(), "bad-value"),
        ((1, 2), "bad-value"),
    ],
)
def test_decoded_documents_have_the_same_limits(value: object, code: str) -> None:
    (problem,) = parse_flow_document({"flow": "f", "nodes": {"n": {"module": "m", "params": {"p": value}}}}).problems
    assert problem.code == code
