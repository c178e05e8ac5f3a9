"""Properties: every valid flow is read as it was meant; no damage does more than yield problems."""

import io
import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from ruamel.yaml import YAML

from plugmesh.contracts.flow import Flow
from plugmesh.flows.concurrency import CONCURRENCY_KEYS
from plugmesh.flows.parse import Parsed, parse_flow_document, parse_flow_text
from plugmesh.flows.places import Places
from plugmesh.flows.problem import Report
from plugmesh.flows.read import read_text, read_yaml
from plugmesh.flows.read_json import read_json
from plugmesh.flows.retry import RETRY_KEYS
from plugmesh.flows.snapshot import Snapshot
from plugmesh.flows.validate import check
from tests.unit.flows.known import LATE_BY_CARRIER, builtin_like

names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffe\uffff"))
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
sources = names | st.tuples(names, names).map(".".join) | names.map("${{inputs.{}}}".format)
edges = (
    sources
    | st.lists(sources, max_size=3)
    | st.dictionaries(names, sources | st.lists(sources, max_size=2), max_size=2)
)
durations = st.integers(1, 3000) | st.integers(1, 3000).map("{}s".format) | st.integers(1, 59).map("{}m".format)
classes = st.sampled_from(["transient", "connection", "data", "fatal"])
limits = st.integers(1, 10_000)
lines = st.fixed_dictionaries(
    {},
    optional={
        "limit": limits,
        "key": names.map("${{params.{}}}".format),
        "when_full": st.sampled_from(["queue", "cancel-new", "cancel-running"]),
    },
)
nodes = st.fixed_dictionaries(
    {"module": st.sampled_from(["table.filter", "io.read@^1", "a.b_c@1.2.3", "x"])},
    optional={
        "in": edges,
        "params": st.dictionaries(names, values, max_size=3),
        "bind": st.dictionaries(texts, texts.filter(lambda text: "${" not in text), max_size=2),
        "map": st.lists(values, max_size=3) | st.just("${params.list}"),
        "after": names | st.lists(names, max_size=3),
        "retry": st.fixed_dictionaries(
            {},
            optional={
                "attempts": st.integers(1, 100),
                "backoff": st.sampled_from(["exponential", "fixed"]),
                "delay": durations,
                "jitter": st.booleans(),
                "on": classes | st.lists(classes, min_size=1, max_size=3),
                "total": durations,
            },
        ),
        "rejects": st.fixed_dictionaries(
            {}, optional={"rows": st.integers(0, 2**63 - 1), "percent": st.floats(0, 100)}
        ),
        "timeout": durations,
        "labels": st.dictionaries(names, texts.filter(lambda text: "${" not in text), max_size=2),
    },
)
kinds = st.sampled_from(["table", "file", "value"])
inputs = kinds | st.fixed_dictionaries({}, optional={"kind": kinds, "optional": st.booleans(), "doc": texts})
defaults = scalars.filter(lambda value: value is not None and value not in {"string", "integer", "number", "array"})
flows = st.fixed_dictionaries(
    {
        "flow": names | st.tuples(names, names).map("/".join),
        "nodes": st.dictionaries(names, nodes, min_size=1, max_size=4),
    },
    optional={
        "doc": texts,
        "inputs": st.dictionaries(names, inputs, max_size=2),
        "params": st.dictionaries(names, defaults | st.just({"type": "array"}), max_size=2),
        "outputs": st.dictionaries(names, names | st.tuples(names, names).map(".".join), max_size=2),
        "timeout": durations,
        "park": durations,
        "priority": st.integers(-100, 100),
        "concurrency": limits | lines,
        "quarantine": st.sampled_from(["park", "previous"]),
    },
)


def _meant(parsed: Parsed) -> Flow:
    assert [problem for problem in parsed.problems if problem.severity == "error"] == []
    assert parsed.flow is not None
    return parsed.flow


def _as_yaml(document: dict[str, Any]) -> str:
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.width = 4096
    writer.default_flow_style = False  # inside { } the library writes texts such as `?0` that it cannot read
    writer.dump(document, stream)
    return stream.getvalue()


@settings(max_examples=40)
@given(flows)
def test_yaml_json_and_the_decoded_document_mean_the_same(document: dict[str, Any]) -> None:
    flow = _meant(parse_flow_document(document))
    assert _meant(parse_flow_text(json.dumps(document))) == flow
    assert _meant(parse_flow_text(json.dumps(document, indent=1, ensure_ascii=False))) == flow
    assert _meant(parse_flow_text(_as_yaml(document))) == flow


@settings(max_examples=40)
@given(flows | values, st.sampled_from([None, 1]))
def test_the_fast_reader_of_json_finds_what_the_other_one_finds(document: Any, indent: int | None) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=indent is None)
    fast = read_json(text, "f")
    assert fast is None or fast == read_yaml(text, "f", Report(Places("f")))


@settings(max_examples=150)
@given(st.data())
def test_what_is_not_strict_json_is_left_to_the_other_reader(data: st.DataObject) -> None:
    text = json.dumps({"flow": "f", "nodes": {"a": {"module": "m", "params": {"x": [1.5, None, "b\n", {}]}}}}, indent=1)
    damaged, report = _damaged(text, data), Report(Places("f"))
    fast, slow = read_json(damaged, "f"), read_yaml(damaged, "f", report)
    if fast is not None:
        assert fast[0] == json.loads(damaged)
        assert fast == slow or report.failed  # a tab between two values is JSON, but not YAML


@pytest.mark.parametrize("depth", [98, 99, 100, 101, 500])
def test_both_readers_of_json_stop_at_the_same_depth(depth: int) -> None:
    for text in ('{"a":' * depth + "1" + "}" * depth, '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"):
        slow, report = read_yaml(text, "f", Report(Places("f"))), Report(Places("f"))
        fast = read_json(text, "f")
        assert fast == slow if depth <= 100 else fast is None
        assert read_text(text, "f", report) == slow


@settings(max_examples=60)
@given(flows)
def test_the_canonical_form_means_what_was_written(document: dict[str, Any]) -> None:
    flow = _meant(parse_flow_document(document))
    assert Flow.model_validate_json(flow.model_dump_json()) == flow
    assert list(flow.nodes) == list(document["nodes"])
    assert f"{flow.namespace}/{flow.name}" == (
        document["flow"] if "/" in document["flow"] else f"default/{document['flow']}"
    )
    for name, written in document["nodes"].items():
        assert flow.nodes[name].params == written.get("params", {})
        assert _as_written(flow, name) == _listed(written.get("in", []))


@settings(max_examples=40)
@given(flows)
def test_any_flow_can_be_checked(document: dict[str, Any]) -> None:
    parsed, view = parse_flow_document(document), builtin_like(away=["io.read"])
    found = check(parsed, view, live=True)
    assert parsed.draft is not None
    assert check(parsed, Snapshot(parsed.draft, view), live=True) == found
    assert all(str(problem) for problem in found)


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_text_yields_problems_and_nothing_else(data: st.DataObject) -> None:
    _look_into(parse_flow_text(_damaged(LATE_BY_CARRIER, data)))


def _damaged(text: str, data: st.DataObject) -> str:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 10)))
        text = (
            text[:start]
            + data.draw(st.text("{}[]:,&*!|>'\"%@`#-? \n\t$\\~<0.x\x00é\u2028\ud83da", max_size=6))
            + text[end:]
        )
    return text


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_text_yields_problems_and_nothing_else(text: bytes | str) -> None:
    _look_into(parse_flow_text(text))


@given(flows, st.data())
def test_a_damaged_document_yields_problems_and_nothing_else(document: dict[str, Any], data: st.DataObject) -> None:
    _look_into(parse_flow_document(_damage(document, data, 0)))


def _damage(value: Any, data: st.DataObject, depth: int) -> Any:
    """One part of it, anywhere, becomes something else."""
    if depth < 6 and isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: _damage(value[key], data, depth + 1)}
    return data.draw(values | st.sampled_from([{"": {}}, {1: 2}, float("nan"), b"", "${", "${params.x", [[]]]))


def _look_into(parsed: Parsed) -> None:
    problems = check(parsed, builtin_like(), live=True)
    assert (parsed.flow is None) == any(problem.severity == "error" for problem in parsed.problems)
    for problem in problems:
        assert str(problem)
        assert problem.line is None or problem.line >= 1


def _as_written(flow: Flow, name: str) -> list[str]:
    found = [source for sources in flow.nodes[name].inputs.values() for source in sources]
    return [
        f"${{inputs.{source.input}}}" if source.input else f"{source.node}" + (f".{source.port}" if source.port else "")
        for source in found
    ]


def _listed(written: Any) -> list[str]:
    if isinstance(written, dict):
        return [source for below in written.values() for source in _listed(below)]
    return written if isinstance(written, list) else [written]


@given(st.sampled_from(["priority", "concurrency", "quarantine", "retry", "rejects"]), values)
def test_no_value_of_a_key_of_control_does_more_than_yield_problems(key: str, value: Any) -> None:
    node = {"module": "m", **({key: value} if key in {"retry", "rejects"} else {})}
    document = {"flow": "f", "nodes": {"a": node}, **({} if key in {"retry", "rejects"} else {key: value})}
    parsed = parse_flow_document(document)
    assert (parsed.flow is None) == any(problem.severity == "error" for problem in parsed.problems)


@given(
    st.sampled_from([("concurrency", key) for key in CONCURRENCY_KEYS] + [("retry", key) for key in RETRY_KEYS]), values
)
def test_no_part_of_it_does_either(place: tuple[str, str], value: Any) -> None:
    outer, inner = place
    node = {"module": "m", **({"retry": {inner: value}} if outer == "retry" else {})}
    flow = {"flow": "f", "nodes": {"a": node}, **({"concurrency": {inner: value}} if outer == "concurrency" else {})}
    parsed = parse_flow_document(flow)
    assert (parsed.flow is None) == any(problem.severity == "error" for problem in parsed.problems)
    check(parsed, builtin_like(), live=False)
