"""Ids of traces: made of the run, so that every process says the same."""

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.telemetry.ids import attempt_span, is_traced, read_traceparent, root_of, trace_of, traceparent

words = st.text(min_size=1, max_size=30)


@given(words, words, st.integers(1, 10**6))
def test_what_is_written_into_a_header_is_read_from_it(run: str, step: str, epoch: int) -> None:
    ids = trace_of(run), attempt_span(run, step, epoch)
    assert read_traceparent(traceparent(*ids)) == ids


@given(st.lists(st.tuples(words, words, st.integers(1, 99)), unique=True, max_size=20))
def test_each_attempt_has_a_span_of_its_own(attempts: list[tuple[str, str, int]]) -> None:
    spans = {attempt_span("run-1", step, epoch) for _, step, epoch in attempts}
    assert len(spans) == len({(step, epoch) for _, step, epoch in attempts})
    assert root_of("run-1") not in spans


def test_headers_that_say_nothing_are_no_trace() -> None:
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    assert read_traceparent(f"00-{trace}-{span}-00") == (trace, span)
    assert read_traceparent(f"01-{trace}-{span}-00-later") == (trace, span)
    for wrong in (
        None,
        "",
        "garbage",
        f"00-{trace}-{span}",
        f"ff-{trace}-{span}-01",
        f"00-{trace}-{span}-01-more",
        f"00-{'0' * 32}-{span}-01",
        f"00-{trace}-{'0' * 16}-01",
        f"00-{trace.upper()}-{span}-01",
    ):
        assert read_traceparent(wrong) is None


def test_a_share_of_runs_is_traced_and_a_smaller_share_is_a_part_of_it() -> None:
    traces = [trace_of(f"run-{number}") for number in range(4000)]
    half = {trace for trace in traces if is_traced(trace, 0.5)}
    assert 1800 < len(half) < 2200
    assert {trace for trace in traces if is_traced(trace, 0.1)} < half
    assert all(is_traced(trace, 1.0) and not is_traced(trace, 0.0) for trace in traces)
