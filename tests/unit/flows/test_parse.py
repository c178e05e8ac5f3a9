"""What a well-formed flow file means."""

import json

import pytest

from plugmesh.contracts.flow import Flow, FlowInput, FlowParam, Node, RetryPolicy, Source
from plugmesh.contracts.module import Limits, PortKind
from plugmesh.flows.parse import parse_flow_document, parse_flow_text
from tests.unit.flows.checking import parsed, parsed_nodes
from tests.unit.flows.known import LATE_BY_CARRIER


def test_the_example_of_the_documentation_is_read_as_meant() -> None:
    flow = parsed(LATE_BY_CARRIER)
    assert (flow.namespace, flow.name) == ("flights", "late-by-carrier")
    assert flow.inputs == {"flights": FlowInput(kind=PortKind.FILE), "airlines": FlowInput(kind=PortKind.FILE)}
    assert list(flow.nodes) == ["read", "late", "by", "airlines", "named"]
    assert flow.nodes["late"] == Node(
        module="table.filter", inputs={"": (Source(node="read"),)}, params={"where": "arr_delay > 15"}
    )
    assert flow.nodes["named"].inputs == {"left": (Source(node="by"),), "right": (Source(node="airlines"),)}
    assert flow.outputs == {"report": Source(node="named")}


def test_a_key_called_on_stays_text() -> None:
    assert parsed(LATE_BY_CARRIER).nodes["named"].params == {"on": "carrier", "how": "left"}


def test_json_is_read_like_yaml() -> None:
    document = {"flow": "f", "nodes": {"a": {"module": "m.n", "params": {"emoji": "\U0001f600", "n": 1.5, "t": True}}}}
    spaced = json.dumps(document, indent="\t")
    assert parsed(json.dumps(document)) == parsed(spaced) == parse_flow_document(document).flow


def test_json_that_is_no_yaml_is_read_too() -> None:
    long_key = "k" * 2000
    text = json.dumps({"flow": "f", "nodes": {"a": {"module": "m", "params": {"p": {long_key: 1}}}}})
    assert parsed(text).nodes["a"].params == {"p": {long_key: 1}}


def test_bytes_with_a_byte_order_mark_are_read() -> None:
    assert parse_flow_text(b"\xef\xbb\xbfflow: f\nnodes: {a: {module: m}}\n").flow is not None


def test_a_name_without_a_slash_is_in_the_default_namespace() -> None:
    assert parsed_nodes(a={"module": "m"}).namespace == "default"


def test_inputs_have_a_short_form_and_are_tables_unless_said() -> None:
    text = "flow: f\ninputs: {a: file, b: {}, c: null, d: {kind: value, optional: true, doc: hello}}\nnodes: {n: {module: m}}"
    assert parsed(text).inputs == {
        "a": FlowInput(kind=PortKind.FILE),
        "b": FlowInput(),
        "c": FlowInput(),
        "d": FlowInput(kind=PortKind.VALUE, optional=True, doc="hello"),
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5", FlowParam(type="integer", default=5, required=False)),
        ("0.5", FlowParam(type="number", default=0.5, required=False)),
        ("hello", FlowParam(type="string", default="hello", required=False)),
        ("[1, 2]", FlowParam(type="array", default=[1, 2], required=False)),
        ("true", FlowParam(type="boolean", default=True, required=False)),
        ("{type: integer}", FlowParam(type="integer")),
        ("{doc: What for}", FlowParam(type="string", doc="What for")),
        ("{default: {a: 1}}", FlowParam(type="object", default={"a": 1}, required=False)),
        ("{type: number, default: 5}", FlowParam(type="number", default=5, required=False)),
        ("{type: string, default: null}", FlowParam(type="string", default=None, required=False)),
    ],
)
def test_params_have_a_type_or_a_default(written: str, meant: FlowParam) -> None:
    assert parsed(f"flow: f\nparams: {{p: {written}}}\nnodes: {{n: {{module: m}}}}").params == {"p": meant}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a", {"": (Source(node="a"),)}),
        ("a.rest", {"": (Source(node="a", port="rest"),)}),
        ('"${inputs.x}"', {"": (Source(input="x"),)}),
        ("{left: a, right: b.out}", {"left": (Source(node="a"),), "right": (Source(node="b", port="out"),)}),
        ("[a, b]", {"": (Source(node="a"), Source(node="b"))}),
        ("{all: [a, b]}", {"all": (Source(node="a"), Source(node="b"))}),
    ],
)
def test_edges_can_be_written_in_every_form(written: str, meant: dict[str, tuple[Source, ...]]) -> None:
    assert parsed(f"flow: f\nnodes: {{n: {{module: m, in: {written}}}}}").nodes["n"].inputs == meant


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90.0), ("0.5", 0.5), ("500ms", 0.5), ("90s", 90.0), ("1.5 m", 90.0), ("2h", 7200.0), ("1d", 86400.0)],
)
def test_durations_are_seconds_or_have_a_unit(written: str, seconds: float) -> None:
    flow = parsed(f"flow: f\ntimeout: {written}\npark: {written}\nnodes: {{n: {{module: m, timeout: {written}}}}}")
    assert (flow.timeout_s, flow.park_s, flow.nodes["n"].timeout_s) == (seconds, seconds, seconds)


def test_every_key_of_a_node_is_read() -> None:
    node = {
        "module": "table.filter@^1.2",
        "in": "a",
        "params": {"where": "x > ${item}"},
        "bind": {"price": "unit_price"},
        "map": "${params.limits}",
        "after": ["b", "c", "b"],
        "retry": {"attempts": 5, "delay": "2s", "max_delay": "1m"},
        "timeout": "5m",
        "limits": {"memory": "2GB", "cpu_s": "5m", "open_files": 100, "output": 1024, "silent_s": 30},
        "labels": {"gpu": "yes"},
    }
    assert parsed_nodes(n=node).nodes["n"] == Node(
        module="table.filter@^1.2",
        inputs={"": (Source(node="a"),)},
        params={"where": "x > ${item}"},
        bind={"price": "unit_price"},
        map="${params.limits}",
        after=("b", "c"),
        retry=RetryPolicy(attempts=5, delay_s=2, max_delay_s=60),
        timeout_s=300,
        limits=Limits(memory_bytes=2_000_000_000, cpu_s=300, open_files=100, output_bytes=1024, silent_s=30),
        labels={"gpu": "yes"},
    )


def test_after_may_name_a_single_node_and_map_may_be_a_list() -> None:
    node = parsed_nodes(n={"module": "m", "after": "b", "map": [1, {"a": 2}]}).nodes["n"]
    assert (node.after, node.map) == (("b",), [1, {"a": 2}])


@pytest.mark.parametrize("version", ["", "@1.2.0", "@1.2.0-rc.1", "@^1", "@^1.2", "@^0.1.0", "@~1.2"])
def test_modules_are_asked_for_with_or_without_a_version(version: str) -> None:
    assert parsed_nodes(n={"module": f"a.b{version}"}).nodes["n"].module == f"a.b{version}"


def test_the_canonical_form_survives_json() -> None:
    flow = parsed(LATE_BY_CARRIER)
    again = Flow.model_validate_json(flow.model_dump_json())
    assert again == flow
    assert again.digest == flow.digest


def test_anchors_stand_for_a_whole_value() -> None:
    flow = parsed("flow: f\nnodes:\n  a: {module: m, params: &p {x: 1}}\n  b: {module: m, params: *p}\n")
    assert flow.nodes["a"].params == flow.nodes["b"].params == {"x": 1}
