"""What programs tell problems apart by: each mistake has the code that its page in the reference describes."""

import pytest

from plugmesh.contracts.flow import Source
from plugmesh.errors import FlowInvalid
from plugmesh.flows.binding import fit_inputs
from plugmesh.flows.parse import parse_flow_text
from plugmesh.flows.problem import Problem
from plugmesh.flows.schema import check_value
from plugmesh.flows.substitute import resolve_inputs_and_params
from tests.unit.flows.checking import parsed
from tests.unit.flows.known import contract

NODES = "nodes: {n: {module: m}}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("# only a comment", "empty"),
        ("flow: f\x00", "bad-character"),
        ("flow: f\nnodes: {n: {module: m, params: {p: .inf}}}", "bad-scalar"),
        ("flow: f\n\tnodes: {}", "syntax"),
        ("flow: f\n---\nflow: g", "several-documents"),
        ("%YAML 1.1\n---\nflow: f\n" + NODES, "yaml-version"),
        ("flow: f\nnodes: {n: {module: m, params: {p: !!python/name:os.system x}}}", "tag"),
        ("flow: *nothing", "unknown-alias"),
        (f"flow: f\nflow: f\n{NODES}", "duplicate-key"),
        (f"flow: f\nnods: 1\n{NODES}", "unknown-key"),
        (NODES, "missing-key"),
        ("flow: f\nnodes: {n: {module: m, labels: {a: '${params.x}'}}}", "no-expression-here"),
        (f"flow: a/b/c\n{NODES}", "bad-name"),
        ("flow: f\nnodes: {n: {module: Table.Filter}}", "bad-module"),
        ("flow: f\nnodes: {n: {module: a.b@one}}", "bad-version"),
        ("flow: f\nnodes: {n: {module: m, timeout: 5x}}", "bad-duration"),
        ("flow: f\nnodes: {n: {module: m, retry: {attempts: 0}}}", "bad-retry"),
        ("flow: f\nnodes: {n: {module: m, rejects: {rows: -1}}}", "bad-rejects"),
        (f"flow: f\nconcurrency: 0\n{NODES}", "bad-concurrency"),
        (f"flow: f\npriority: 101\n{NODES}", "bad-priority"),
        (f"flow: f\nquarantine: stop\n{NODES}", "bad-quarantine"),
        ("flow: f\nnodes: {n: {module: m, limits: {memory: lots}}}", "bad-limit"),
        (f"flow: f\nnotify: [{{url: 'ftp://example.org'}}]\n{NODES}", "bad-notify"),
        (f"flow: f\ninputs: {{x: fil}}\n{NODES}", "bad-kind"),
        (f"flow: f\nparams: {{p: {{type: int}}}}\n{NODES}", "bad-type"),
        (f"flow: f\nparams: {{p: null}}\n{NODES}", "no-type"),
        (f"flow: f\nparams: {{p: integer}}\n{NODES}", "type-as-default"),
        ("flow: f\nnodes: {n: {module: m, in: 5}}", "bad-source"),
        ("flow: f\nnodes: {n: {module: m, map: 5}}", "bad-map"),
        ("flow: f\nnodes: {}", "no-nodes"),
    ],
)
def test_what_cannot_be_read_has_its_code(text: str, code: str) -> None:
    (problem,) = parse_flow_text(text).problems
    assert problem.code == code


def test_a_run_without_an_input_has_its_code() -> None:
    with pytest.raises(FlowInvalid) as refused:
        resolve_inputs_and_params(parsed(f"flow: f\ninputs: {{x: file}}\n{NODES}"), {}, {})
    assert [problem.code for problem in refused.value.problems if isinstance(problem, Problem)] == ["missing-input"]


def test_a_port_that_is_connected_twice_has_its_code() -> None:
    _, misfits = fit_inputs({"": (Source(node="a"),), "table": (Source(node="b"),)}, contract("m", ["table"]))
    assert [misfit.code for misfit in misfits] == ["port-twice"]


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        (False, "not-allowed"),
        ({"enum": ["a", "b"]}, "not-a-choice"),
        ({"type": "string", "x-mesh": "expression"}, "wrong-expression"),
    ],
)
def test_a_value_that_a_schema_refuses_has_its_code(schema: object, code: str) -> None:
    assert [fault.code for fault in check_value("uper(x)", schema)] == [code]
