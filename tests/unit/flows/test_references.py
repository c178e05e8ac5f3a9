"""Level 3: nodes, ports, inputs, params and cycles; level 5: the live mesh."""

import pytest

from plugmesh.contracts.flow import Node, Source
from plugmesh.contracts.module import InputPort
from plugmesh.errors import FlowInvalid
from plugmesh.flows.validate import bind_inputs, bind_output
from tests.unit.flows.checking import checked, checked_nodes
from tests.unit.flows.known import LATE_BY_CARRIER, KnownModules, builtin_like, contract


def test_the_example_has_no_problems() -> None:
    assert checked(LATE_BY_CARRIER) == []


def test_problems_of_all_levels_come_at_once_in_the_order_of_the_text() -> None:
    text = (
        LATE_BY_CARRIER.replace("inputs.airlines}", "inputs.airlins}")
        .replace("module: table.filter", "module: table.fliter")
        .replace("how: left}", "how: lefft}")
        .replace("in: {left: by,", "in: {leftt: by,")
        .replace("report: named", "report: namd")
        .replace('{file: "${inputs.flights}"}}', '{file: "${inputs.flights}"}, timeout: 5x}')
    )
    assert [str(problem) for problem in checked(text)] == [
        "flow.yaml:4:3: warning: nothing uses the input 'airlines'",
        'flow.yaml:6:77: error: timeout must be a number of seconds, or text such as 500ms, 90s, 5m, 2h, 1d, not "5x"',
        "flow.yaml:7:22: warning: the module table.fliter is not known; its step will be parked until one is plugged in "
        "(did you mean 'table.filter'?)",
        "flow.yaml:9:46: error: ${inputs.airlins}: the flow has no input 'airlins' (did you mean 'airlines'?)",
        "flow.yaml:10:38: error: input 'left' of table.join needs an edge (table port)",
        "flow.yaml:10:39: error: table.join has no input 'leftt'; there are left, right (did you mean 'left'?)",
        'flow.yaml:10:95: error: table.join: param \'how\' must be one of "left", "inner", "full", not "lefft" '
        "(did you mean 'left'?)",
        "flow.yaml:12:11: error: there is no node 'namd' (did you mean 'named'?)",
    ]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            "a: {module: table.limit, in: b}",
            ["unknown-node: there is no node 'b'"],
        ),
        (
            "a: {module: unknown.source, after: [zeta]}\nbeta: {module: unknown.source, after: bete}",
            [
                "unknown-node: there is no node 'zeta' (did you mean 'beta'?)",
                "unknown-node: there is no node 'bete' (did you mean 'beta'?)",
            ],
        ),
        (
            "a: {module: table.limit, in: a}",
            ["self-loop: node 'a' waits for itself"],
        ),
        (
            "a: {module: table.limit, in: c}\nb: {module: table.limit, in: a}\nc: {module: table.limit, in: b}",
            ["cycle: these nodes wait for each other: a → b → c → a"],
        ),
        (
            "a: {module: unknown.x, after: b}\nb: {module: unknown.x, in: a}",
            ["cycle: these nodes wait for each other: a → b → a"],
        ),
        (
            "a: {module: table.limit}",
            ["missing-edge: input 'table' of table.limit needs an edge (table port)"],
        ),
        (
            "a: {module: table.limit, in: []}",
            ["missing-edge: input 'table' of table.limit needs an edge (table port)"],
        ),
        (
            "a: {module: io.read, params: {file: {}}}\nb: {module: table.join, in: a, params: {on: x}}",
            ["ambiguous-port: table.join has several inputs; there are left, right (write in: {left: …})"],
        ),
        (
            "a: {module: io.read, params: {file: {}}}\nb: {module: table.limit, in: [a, a]}",
            ["too-many-edges: port 'table' takes one edge, not 2"],
        ),
        (
            "a: {module: io.read, params: {file: {}}}\nb: {module: io.read, in: a, params: {file: {}}}",
            ["no-input: io.read has no input (remove in:)"],
        ),
        (
            "a: {module: io.read, params: {file: {}}}\nb: {module: table.limit, in: a.outt}",
            ["unknown-port: io.read has no output 'outt'; there is out (did you mean 'out'?)"],
        ),
        (
            "a: {module: io.read, params: {file: {}}}\nb: {module: table.split, in: a, params: {where: x}}\n"
            "c: {module: table.limit, in: b}",
            ["ambiguous-port: table.split has several outputs; there are matching, others (write b.matching)"],
        ),
        (
            "a: {module: io.read, params: {file: {}}}\nb: {module: report.send, in: a}\nc: {module: table.limit, in: b}",
            ["no-output: report.send has no output: nothing can follow it (use after: to wait for it)"],
        ),
        (
            "a: {module: io.read, params: {file: {}}}\nb: {module: io.write, in: a}\nc: {module: table.limit, in: b}",
            ["wrong-kind: input 'table' of table.limit takes a table, not a file"],
        ),
        (
            "a: {module: io.read, params: {file: {}}}\nb: {module: orders.total, in: a, bind: {prise: p}}",
            ["unknown-column: orders.total has no column 'prise' of its own; there are price, qty (did you mean 'price'?)"],
        ),
    ],
)  # fmt: skip
def test_a_wrong_reference_is_named(nodes: str, said: list[str]) -> None:
    assert checked_nodes(nodes, live=False) == said


@pytest.mark.parametrize(
    "nodes",
    [
        "a: {module: io.read, params: {file: {}}}\nb: {module: table.union, in: [a, a, a]}",
        "a: {module: io.read, params: {file: {}}}\nb: {module: table.union, in: {tables: a}}",
        "a: {module: io.read, params: {file: {}}}\nb: {module: orders.total, in: a}",
        "a: {module: io.read, params: {file: {}}}\nb: {module: orders.total, in: {orders: a, rates: a}, bind: {price: p}}",
        "a: {module: io.read, params: {file: {}}}\nb: {module: table.split, in: a, params: {where: x}}\n"
        "c: {module: table.limit, in: b.others}",
        "a: {module: io.read, params: {file: {}}}\nb: {module: report.send, in: a}\n"
        "c: {module: io.read, params: {file: {}}, after: b}",
    ],
)
def test_what_fits_has_no_problems(nodes: str) -> None:
    assert checked_nodes(nodes) == []


def test_a_flow_input_used_as_a_node_is_explained() -> None:
    text = "flow: f\ninputs: {t: table}\nnodes:\n  a: {module: table.limit, in: %s}\n"
    for written in ("t", "inputs.t"):
        assert [problem.hint for problem in checked(text % written) if problem.code == "unknown-node"] == [
            'for the input of the flow write "${inputs.t}"'
        ]


def test_flow_inputs_must_be_of_the_ports_kind_and_there_when_required() -> None:
    text = 'flow: f\ninputs: {t: %s}\nnodes:\n  a: {module: table.limit, in: "${inputs.t}"}\n'
    assert checked(text % "table") == []
    assert [problem.code for problem in checked(text % "file")] == ["wrong-kind"]
    assert [problem.code for problem in checked(text % "{optional: true}")] == ["optional-input"]


def test_two_cycles_are_both_named() -> None:
    nodes = "\n".join(f"{a}: {{module: u.v, in: {b}}}" for a, b in ("ab", "ba", "cd", "dc", "ea", "fe"))
    found = [line for line in checked_nodes(nodes, live=False) if line.startswith("cycle")]
    assert len(found) == 2


def test_inputs_and_params_that_nothing_uses_are_warnings() -> None:
    text = "flow: f\ninputs: {i: file}\nparams: {p: 1, q: [1]}\nnodes: {n: {module: u.v, map: '${params.q}'}}"
    found = checked(text, live=False)
    assert [(problem.severity, problem.code) for problem in found] == [
        ("warning", "unused-input"),
        ("warning", "unused-param"),
    ]


def test_modules_that_are_not_there_are_warnings_or_errors_when_strict() -> None:
    nodes = "a: {module: io.raed}\nb: {module: table.union@^2}\nc: {module: io.read, params: {file: {}}}"
    view = builtin_like(away=["io.read"])
    assert checked_nodes(nodes, view) == [
        "unknown-module: the module io.raed is not known; its step will be parked until one is plugged in "
        "(did you mean 'io.read'?)",
        "unknown-version: no known version of table.union fits table.union@^2; its step will be parked until one is "
        "plugged in (known: 1.0.0)",
        "no-instance: no live instance serves io.read; its step will be parked until one is plugged in",
    ]
    assert checked_nodes(nodes, view, live=False) == []
    strict = checked("flow: f\nnodes: {a: {module: io.raed}}", view, strict=True)
    assert [(problem.severity, problem.message) for problem in strict] == [("error", "the module io.raed is not known")]


def test_nothing_seems_missing_in_a_node_that_could_not_be_read() -> None:
    found = checked("flow: f\nnodes: {a: {module: table.filter, in: 5, params: 7}}")
    assert [problem.code for problem in found] == ["bad-source", "wrong-type"]


def test_a_scheduler_binds_the_unnamed_input_to_the_only_required_port() -> None:
    node = Node(module="m", inputs={"": (Source(node="a"),)})
    found = bind_inputs(node, contract("m", [InputPort(name="extra", optional=True), "main"]))
    assert found == {"main": (Source(node="a"),)}
    assert bind_inputs(node, contract("m", [InputPort(name="extra", optional=True)])) == {"extra": (Source(node="a"),)}


def test_binding_names_node_port_and_module_version() -> None:
    node = Node(module="m", inputs={"lft": (Source(node="a"),)})
    with pytest.raises(FlowInvalid) as caught:
        bind_inputs(node, contract("m", ["left"]), "join")
    assert str(caught.value) == (
        "node 'join' does not fit m@1.0.0: m has no input 'lft'; there is left (did you mean 'left'?); "
        "input 'left' of m needs an edge (table port)"
    )
    assert len(caught.value.problems) == 2


def test_an_output_is_the_only_one_or_the_named_one() -> None:
    both = contract("m", [], ["x", "y"])
    assert bind_output(Source(node="n", port="y"), both).name == "y"
    assert bind_output(Source(node="n"), contract("m", [], ["x"])).name == "x"
    with pytest.raises(FlowInvalid, match="several outputs"):
        bind_output(Source(node="n"), both)


def test_an_unknown_mesh_still_checks_the_flow_itself() -> None:
    assert [problem.code for problem in checked("flow: f\nnodes: {a: {module: m, in: b}}", KnownModules())] == [
        "unknown-module",
        "unknown-node",
    ]
