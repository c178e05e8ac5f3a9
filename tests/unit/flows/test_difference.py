"""What changed between two revisions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.flow import Flow, FlowParam, Node, Source
from plugmesh.flows.difference import difference

NAMES = ("a/f@1", "a/f@2")
NODES = st.dictionaries(
    st.sampled_from("abcd"),
    st.builds(
        Node,
        module=st.sampled_from(["m", "n"]),
        inputs=st.dictionaries(
            st.sampled_from(["", "left"]),
            st.lists(st.builds(Source, node=st.sampled_from("abcd")), max_size=2).map(tuple),
        ),
    ),
)


def flow(**fields: object) -> Flow:
    return Flow.model_validate({"name": "f", "nodes": {}, **fields})


def compare(old: Flow, new: Flow, texts: tuple[str, str] = ("", "")) -> dict[str, object]:
    return difference(old, new, texts, NAMES)


def test_a_changed_node_names_its_fields() -> None:
    old = flow(nodes={"a": Node(module="m", params={"x": 1})})
    new = flow(nodes={"a": Node(module="m@^2", params={"x": 1})})
    assert compare(old, new)["nodes"] == {
        "added": [],
        "removed": [],
        "changed": {"a": {"module": {"from": "m", "to": "m@^2"}}},
    }


def test_edges_are_compared_on_their_own() -> None:
    old = flow(nodes={"a": Node(module="m"), "b": Node(module="m", inputs={"": (Source(node="a"),)})})
    after = Node(module="m", inputs={"x": (Source(input="i"),)}, after=("a",))
    found = compare(old, flow(nodes={"a": Node(module="m"), "b": after}))
    assert found["nodes"] == {"added": [], "removed": [], "changed": {}}
    assert found["edges"] == {
        "added": [{"from": "${inputs.i}", "to": "b.x"}, {"from": "a", "to": "b (after)"}],
        "removed": [{"from": "a", "to": "b"}],
    }


def test_params_and_settings() -> None:
    found = compare(flow(params={"p": FlowParam()}, doc="x"), flow(params={"q": FlowParam()}, timeout_s=3.0))
    assert (found["params"]["added"], found["params"]["removed"]) == (["q"], ["p"])  # type: ignore[index]
    assert found["settings"] == {"changed": {"doc": {"from": "x", "to": ""}, "timeout_s": {"from": None, "to": 3.0}}}


def test_how_runs_share_the_mesh_and_how_steps_are_tried_again_are_compared() -> None:
    old = flow(nodes={"a": {"module": "m"}}, concurrency={"limit": 1})
    new = flow(
        nodes={"a": {"module": "m", "rejects": {"rows": 5}, "retry": {"attempts": 2}}},
        concurrency={"limit": 2}, priority=7, quarantine="previous",
    )  # fmt: skip
    found = compare(old, new)
    assert set(found["settings"]["changed"]) == {"concurrency", "priority", "quarantine"}  # type: ignore[index]
    assert set(found["nodes"]["changed"]["a"]) == {"rejects", "retry"}  # type: ignore[index]


def test_texts_are_compared_line_by_line() -> None:
    text = str(compare(flow(), flow(), ("a\nb\n", "a\nc\n"))["text"])
    assert text == "--- a/f@1\n+++ a/f@2\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"


def test_very_long_texts_are_only_said_to_differ() -> None:
    text = str(compare(flow(), flow(), ("a\n" * 10_001, "b\n"))["text"])
    assert "not compared line by line" in text


@given(NODES, NODES)
def test_nothing_changed_exactly_when_nodes_are_equal(old: dict[str, Node], new: dict[str, Node]) -> None:
    found = compare(flow(nodes=old), flow(nodes=new))
    shown = [found["nodes"]["added"], found["nodes"]["removed"], found["nodes"]["changed"], *found["edges"].values()]  # type: ignore[index,attr-defined]
    edges = [
        {
            (source.node, name, port)
            for name, node in nodes.items()
            for port, found in node.inputs.items()
            for source in found
        }
        for nodes in (old, new)
    ]
    modules = [{name: node.module for name, node in nodes.items()} for nodes in (old, new)]
    assert any(shown) == (edges[0] != edges[1] or modules[0] != modules[1])
