"""Level 2: what the schema of a flow file does not allow. All of it at once, each with line and column."""

import pytest

from plugmesh.flows.parse import parse_flow_document, parse_flow_text
from tests.unit.flows.checking import messages, one


def test_every_problem_is_reported_with_its_place() -> None:
    text = """\
flow: a/b/c
inputs:
  x: {kind: fil}
nodes:
  one: {modul: table.filter, in: zero}
  two:
    module: Table.Filter
    timeout: 5x
    retry: {attempts: 0, dealy: 1}
outputs: {o: "${inputs.x}"}
"""
    assert [message.removeprefix("flow.yaml:").partition(" (did")[0] for message in messages(text)] == [
        "1:7: error: \"a/b/c\" cannot be the name of a flow: it is NAME or NAMESPACE/NAME, each of letters, digits, '_' and '-'",
        '3:13: error: the kind of an input is table, file or value, not "fil"',
        "5:8: error: node 'one' lacks its module (module: NAME)",
        "5:9: error: node 'one' has no key \"modul\"; "
        "there are: module, in, params, bind, map, after, retry, timeout, rejects, limits, labels",
        '7:13: error: "Table.Filter" cannot be a module: lower-case words joined by dots, such as table.filter',
        '8:14: error: timeout must be a number of seconds, or text such as 500ms, 90s, 5m, 2h, 1d, not "5x"',
        "9:23: error: attempts must be a whole number from 1 to 100, not 0",
        '9:26: error: retry has no key "dealy"; there are: attempts, backoff, delay, max_delay, jitter, on, total',
        "10:14: error: an output shows what a node made, not an input",
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("flow: f\nnods: {n: {module: m}}", "did you mean 'nodes'?"),
        ("flow: f\nnodes: {n: {module: m, inputs: a}}", "did you mean 'in'?"),
        ("flow: f\nnodes: {n: {module: m, depends_on: a}}", "did you mean 'after'?"),
        ("flow: f\nnodes: {n: {module: m, time_out: 5}}", "did you mean 'timeout'?"),
        ("flow: f\nparams: {p: {type: int}}\nnodes: {n: {module: m}}", "did you mean 'integer'?"),
        ("flow: f\ninputs: {p: tabel}\nnodes: {n: {module: m}}", "did you mean 'table'?"),
        ("flow: f\nnodes: {n: {module: Table.filter}}", "did you mean 'table.filter'?"),
        ("flow: f\nnodes: {n: {module: a.b@1}}", "did you mean 'a.b@^1'?"),
        ("flow: f\nnodes: {n: a.b}", "write {module: a.b}"),
        ('flow: f\nnodes: {n: {module: m, in: "${input.x}"}}', "did you mean 'inputs'?"),
    ],
)
def test_what_was_probably_meant_is_said(written: str, meant: str) -> None:
    assert any(meant in message for message in messages(written))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("nodes: {n: {module: m}}", "a flow needs a name"),
        ("flow: f", "a flow needs at least one node"),
        ("flow: f\nnodes: {}", "a flow needs at least one node"),
        ("flow: f\nnodes: [a]", "nodes must be a mapping, not a list"),
        ("flow: f\nnodes: {n: {}}", "node 'n' lacks its module"),
        ("flow: f\nnodes: {n: 5}", "node 'n' must be a mapping with a module"),
        ("flow: f\nnodes: {a.b: {module: m}}", '"a.b" cannot be the name of a node'),
        ("flow: f\nnodes: {n: {module: m, in: 5}}", "an edge comes from node, node.port"),
        ("flow: f\nnodes: {n: {module: m, in: a.b.c}}", "an edge comes from node, node.port"),
        ('flow: f\nnodes: {n: {module: m, in: "${params.x}"}}', "an edge can only come from a node"),
        ('flow: f\nnodes: {n: {module: m, in: "x${inputs.x}"}}', "an edge can only come from a node"),
        ("flow: f\nnodes: {n: {module: m, map: 5}}", "map must be a list, or an expression"),
        ("flow: f\nnodes: {n: {module: m, map: text}}", "map must be a list, or an expression"),
        ("flow: f\nnodes: {n: {module: m, after: [1]}}", "after names nodes, not 1"),
        ("flow: f\nnodes: {n: {module: m, timeout: 0}}", "timeout must be more than zero"),
        ("flow: f\nnodes: {n: {module: m, timeout: true}}", "timeout must be a number of seconds"),
        ("flow: f\nnodes: {n: {module: m, retry: {delay: -1}}}", "delay must be zero or more"),
        ("flow: f\nnodes: {n: {module: m, retry: {delay: 2d}}}", "at most 3600 s"),
        (
            "flow: f\nnodes: {n: {module: m, limits: {memory: lots}}}",
            'memory cannot be "lots": it is a number of bytes',
        ),
        ("flow: f\nnodes: {n: {module: m, limits: {memory: 0}}}", "memory cannot be 0: input should be greater than 0"),
        (
            "flow: f\nnodes: {n: {module: m, limits: {memory: 18446744073709551615}}}",
            "memory cannot be 18446744073709551615: no attempt can use so much; leave the word out for no limit",
        ),
        (
            "flow: f\nnodes: {n: {module: m, limits: {wall: 5}}}",
            "(the time by the clock on the wall is the node's timeout:)",
        ),
        ("flow: f\nnodes: {n: {module: m, limits: {open_files: 2}}}", "greater than or equal to 16"),
        ("flow: f\nnodes: {n: {module: m, limits: {cpu_s: true}}}", "a number is needed, not true or false"),
        ("flow: f\nnodes: {n: {module: m, limits: {output: null}}}", "leave the word out for none"),
        ("flow: f\nnodes: {n: {module: m, limits: {cpu: 1}}}", "(did you mean 'cpu_s'?)"),
        ("flow: f\nnodes: {n: {module: m, limits: 5}}", "limits must be a mapping"),
        ("flow: f\ntimeout: -1\nnodes: {n: {module: m}}", "at most 3650d, not -1"),
        ("flow: f\nnodes: {n: {module: m, labels: {a: 1}}}", 'labels "a" must be text, not 1 (write "1")'),
        ('flow: f\nnodes: {n: {module: m, labels: {a: "${params.x}"}}}', "labels takes no ${…}"),
        ("flow: f\nnodes: {n: {module: m, params: {a b: 1}}}", '"a b" cannot be the name of a param'),
        ("flow: f\ninputs: {x: {optional: yes}}\nnodes: {n: {module: m}}", "YAML 1.2 has true and false"),
        ("flow: f\nparams: {p: null}\nnodes: {n: {module: m}}", "param 'p' has neither type nor default"),
        ("flow: f\nparams: {p: {type: integer, default: x}}\nnodes: {n: {module: m}}", "its type is integer"),
        ("flow: f\ndoc: [a]\nnodes: {n: {module: m}}", "doc must be text, not a list"),
    ],
)
def test_what_cannot_be_read_is_a_single_clear_problem(written: str, said: str) -> None:
    assert said in one(written)


def test_a_type_where_a_default_belongs_is_a_warning() -> None:
    result = parse_flow_text("flow: f\nparams: {p: integer}\nnodes: {n: {module: m}}")
    assert result.flow is not None
    assert [problem.severity for problem in result.problems] == ["warning"]
    assert "write {type: integer} for its type" in str(result.problems[0])


def test_problems_of_a_decoded_document_have_a_path() -> None:
    (problem,) = parse_flow_document({"flow": "f", "nodes": {"n": {"module": "m", "tiemout": 5}}}).problems
    assert (problem.path, problem.line, problem.column) == (("nodes", "n", "tiemout"), None, None)
    assert str(problem).startswith("flow: nodes.n.tiemout: error: node 'n' has no key")


def test_what_could_be_read_stays_as_a_draft() -> None:
    result = parse_flow_text("flow: f\nnodes:\n  a: {module: m}\n  b: {module: 5}\n")
    assert result.flow is None
    assert result.draft is not None
    assert list(result.draft.nodes) == ["a", "b"]
    assert result.incomplete == {"b"}


def test_long_values_are_shortened_in_messages() -> None:
    assert len(one(f"flow: f\nnodes: {{n: {{module: m, timeout: {'x' * 10_000}}}}}")) < 300
