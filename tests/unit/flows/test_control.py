"""What a flow file says about tries, rejected rows, and how its runs share the mesh."""

import pytest

from plugmesh.contracts.flow import Concurrency, Rejects, RetryPolicy
from plugmesh.errors import ErrorClass
from tests.unit.flows.checking import checked, one, parsed

NODES = "nodes: {a: {module: m}}\n"


def _node(more: str) -> str:
    return f"flow: f\nnodes: {{a: {{module: m, {more}}}}}\n"


def _flow(more: str) -> str:
    return f"flow: f\n{NODES}{more}\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{}", RetryPolicy()),
        ("{attempts: 5, delay: 2s, max_delay: 1m}", RetryPolicy(attempts=5, delay_s=2, max_delay_s=60)),
        ("{backoff: fixed, delay: 500ms, jitter: false}", RetryPolicy(backoff="fixed", delay_s=0.5, jitter=False)),
        ("{on: data}", RetryPolicy(on=(ErrorClass.DATA,))),
        (
            "{on: [fatal, connection, connection], total: 1h}",
            RetryPolicy(on=(ErrorClass.CONNECTION, ErrorClass.FATAL), total_s=3600),
        ),
        ("{delay: 2m}", RetryPolicy(delay_s=120, max_delay_s=120)),
    ],
)
def test_a_retry_says_how_often_when_and_after_which_errors(written: str, meant: RetryPolicy) -> None:
    assert parsed(_node(f"retry: {written}")).nodes["a"].retry == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{backoff: fixed, max_delay: 5s}", "2:59: warning: with backoff: fixed every delay is the same"),
        ("{delay: 5s, max_delay: 1s}", "2:54: warning: no delay is longer than max_delay, so delay is never reached"),
    ],
)
def test_a_delay_that_has_no_effect_is_a_warning(written: str, said: str) -> None:
    assert said in one(_node(f"retry: {written}")).replace("flow.yaml:", "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{rows: 0}", Rejects(rows=0)),
        ("{rows: 100, percent: 2.5}", Rejects(rows=100, percent=2.5)),
        ("{}", Rejects()),
        ("", None),
    ],
)
def test_rejects_say_how_many_rows_a_step_may_put_aside(written: str, meant: Rejects | None) -> None:
    assert parsed(_node(f"rejects: {written}")).nodes["a"].rejects == meant


@pytest.mark.parametrize("percent", ["-1", "101", "true", "5%", "[5]"])
def test_a_percentage_that_cannot_be_is_named(percent: str) -> None:
    assert "percent must be a number from 0 to 100" in one(_node(f"rejects: {{percent: {percent}}}"))


def test_a_number_is_short_for_a_limit() -> None:
    assert parsed(_flow("concurrency: 3")).concurrency == Concurrency(limit=3)
    assert parsed(_flow("concurrency: {}")).concurrency == Concurrency(limit=1)
    assert parsed(_flow("concurrency:")).concurrency is None


def test_a_limit_may_count_by_params_and_say_what_happens_when_it_is_reached() -> None:
    found = parsed(_flow("params: {p: x}\nconcurrency: {limit: 2, key: 'c-${params.p}', when_full: cancel-new}"))
    assert found.concurrency == Concurrency(limit=2, key="c-${params.p}", when_full="cancel-new")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("true", "concurrency must be a whole number of runs from 1 to 10,000, not true"),
        ("{limit: 10001}", "limit must be a whole number of runs from 1 to 10,000, not 10001"),
        ("{key: customer}", 'did you mean "${params.customer}"?'),
        ("{key: a b}", "(leave it out, or name a param)"),
        ("{key: ''}", "key is empty"),
        ("{key: 5}", "key must be text, not 5"),
        ("{key: '${item}'}", "key is made of params, ${item} cannot be a part of it"),
        ("{key: '${parms.x}'}", "${parms.x} is no expression"),
        (f"{{key: '{'x' * 201}'}}", "key has 201 characters, 200 are possible"),
        ("{when_full: queued}", "did you mean 'queue'?"),
        ("{when_ful: queue}", "did you mean 'when_full'?"),
    ],
)
def test_a_limit_that_cannot_be_is_said_with_what_was_meant(written: str, said: str) -> None:
    assert said in one(_flow(f"concurrency: {written}"))


@pytest.mark.parametrize(
    ("key", "code"),
    [("${params.q}", "unknown-param"), ("${params.p.x}", "no-such-key")],
)
def test_a_key_may_only_name_what_the_flow_has(key: str, code: str) -> None:
    found = checked(_flow(f"params: {{p: x}}\nconcurrency: {{key: '{key}'}}"))
    problem = next(problem for problem in found if problem.severity == "error")
    assert (problem.code, problem.line, problem.column) == (code, 4, 20)


def test_a_param_that_only_the_key_names_is_used() -> None:
    found = checked(_flow("params: {p: x}\nconcurrency: {key: '${params.p}'}"))
    assert [problem for problem in found if problem.code == "unused-param"] == []


@pytest.mark.parametrize(("written", "meant"), [("priority: -100", -100), ("priority: 7", 7), ("priority:", 0)])
def test_a_priority_is_a_whole_number(written: str, meant: int) -> None:
    assert parsed(_flow(written)).priority == meant


@pytest.mark.parametrize("written", ["high", "1.5", "true", "-101"])
def test_another_priority_is_refused(written: str) -> None:
    assert "priority must be a whole number from -100 to 100" in one(_flow(f"priority: {written}"))


def test_a_flow_says_what_a_quarantine_does() -> None:
    assert parsed(_flow("quarantine: previous")).quarantine == "previous"
    assert parsed(_flow("quarantine:")).quarantine == "park"
