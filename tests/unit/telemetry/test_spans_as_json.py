"""Spans on their way from an executor, which runs user code, to its supervisor."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.telemetry.span import Event, Link, Span, decode_spans, encode_spans

values = st.one_of(st.text(), st.integers(-(2**53), 2**53), st.booleans(), st.floats(allow_nan=False))
attributes = st.dictionaries(st.text(min_size=1), values, max_size=4)
trace_ids = st.text("0123456789abcdef", min_size=32, max_size=32)
span_ids = st.text("0123456789abcdef", min_size=16, max_size=16)
spans = st.builds(
    Span,
    service=st.just("module"),
    name=st.text(),
    trace=trace_ids,
    id=span_ids,
    start_ns=st.integers(0, 2**63),
    end_ns=st.integers(0, 2**63),
    parent=st.none() | span_ids,
    kind=st.sampled_from(["internal", "server"]),
    attributes=attributes,
    error=st.none() | st.text(),
    links=st.lists(st.builds(Link, trace_ids, span_ids, attributes), max_size=2).map(tuple),
    events=st.lists(st.builds(Event, st.text(), st.integers(0, 2**63), attributes), max_size=2).map(tuple),
)


@given(st.lists(spans, max_size=3))
def test_spans_come_through_as_they_were(made: list[Span]) -> None:
    assert decode_spans(encode_spans(made)) == made


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"{}x",
        b"[1]",
        b'["span"]',
        b'[{"links": [], "events": []}]',
        b"[" * 100_000,
    ],
)
def test_what_is_no_span_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_spans(text)


def test_ids_that_are_none_are_refused() -> None:
    [document] = json.loads(encode_spans([Span("module", "x", "a" * 32, "b" * 16, 1, 2)]))
    for change in ({"trace": "a" * 31}, {"id": "z" * 16}, {"parent": "1"}, {"unknown": 1}):
        with pytest.raises(ValueError):
            decode_spans(json.dumps([{**document, **change}]).encode())


def test_attributes_of_other_types_become_text() -> None:
    [back] = decode_spans(encode_spans([Span("module", "x", "a" * 32, "b" * 16, 1, 2, attributes={"when": object})]))
    assert back.attributes == {"when": "<class 'object'>"}
