"""What a flow file says about the time after a run: webhooks, and how long things are kept."""

import pytest

from plugmesh.contracts.flow import Retention
from plugmesh.contracts.notify import ALL_ENDS, MOST_NOTIFY, Notify
from plugmesh.flows.parse import parse_flow_text
from tests.unit.flows.checking import checked, one, parsed

NODES = "nodes: {a: {module: m}}\n"
HOOK = "https://hooks.example.org/x"


def _flow(text: str) -> str:
    return f"flow: f\n{NODES}{text}\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (f"notify: {HOOK}", (Notify(url=HOOK),)),
        (f"notify: {{url: '{HOOK}', on: failed}}", (Notify(url=HOOK, on=("failed",)),)),
        (
            f"notify: [{HOOK}, {{url: '{HOOK}', on: [timed_out, failed, failed]}}]",
            (Notify(url=HOOK), Notify(url=HOOK, on=("failed", "timed_out"))),
        ),
        (f"notify: [{HOOK}, {HOOK}]", (Notify(url=HOOK),)),
        ("notify: []", ()),
        ("notify:", ()),
    ],
)
def test_webhooks_are_addresses_mappings_or_lists_of_them(written: str, meant: tuple[Notify, ...]) -> None:
    assert parsed(_flow(written)).notify == meant


def test_a_webhook_hears_of_every_end_unless_it_says_of_which() -> None:
    assert parsed(_flow(f"notify: {HOOK}")).notify[0].on == ALL_ENDS


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("notify: ftp://x/y", "3:9: error: a webhook is called by http or https, not by 'ftp'"),
        ("notify: hooks", "3:9: error: a webhook is called by http or https, not by 'nothing'"),
        ("notify: 'https://me:pw@x/y'", "an address holds no user name or password: a webhook is signed instead"),
        ("notify: 'https://exämple.org'", "write https://HOST/PATH, in ASCII"),
        (f"notify: https://x/{'y' * 3000}", "an address has at most 2000 characters"),
        ("notify: 'https://x/${params.y}'", "takes no ${…} (hand it in with the run: its notify)"),
        ("notify: [5]", "3:10: error: a webhook is an address or a mapping, not 5"),
        ("notify: {on: failed}", "a webhook lacks its url (url: https://HOST/PATH)"),
        (f"notify: {{url: '{HOOK}', on: [faild]}}", "timed_out, not \"faild\" (did you mean 'failed'?)"),
        (f"notify: {{url: '{HOOK}', on: []}}", "so the webhook would never be called (leave it out for all of them)"),
        (f"notify: {{url: '{HOOK}', on: {{}}}}", "not a mapping"),
        (f"notify: {{url: '{HOOK}', onn: failed}}", "did you mean 'on'?"),
        (
            f"notify: {{url: '{HOOK}', Token: x}}",
            "a flow holds no secrets: webhooks are signed with the mesh's own key",
        ),
        (f"notify: [{', '.join([HOOK] * (MOST_NOTIFY + 1))}]", "notify names 11 webhooks, 10 are possible"),
        ("retention: 5d", "retention must be a mapping"),
        (
            "retention: {log: 5d}",
            '3:13: error: retention has no key "log"; there are: runs, data, logs, events, data_bytes',
        ),
        ("retention: {data_bytes: 0}", "data_bytes cannot be 0: it is a number of bytes above zero"),
        (
            "retention: {data_bytes: 1 XB}",
            'data_bytes cannot be "1 XB": it is a number of bytes, or text such as 512 KiB',
        ),
        ("retention: {runs: 0}", "runs must be more than zero"),
        ("retention: {events: soon}", "events must be a number of seconds, or text such as 500ms, 90s, 5m, 2h, 1d"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(written: str, said: str) -> None:
    assert said in one(_flow(written).replace("flow.yaml:", ""))


def test_no_message_shows_an_address_which_may_be_a_secret() -> None:
    text = _flow("notify: [ftp://x/s3cret, 'https://a:s3cret@x/', 'https://x/s3cret/${params.p}', https://y/s3cret ß]")
    assert [problem for problem in parse_flow_text(text).problems if "s3cret" in str(problem)] == []
    assert len(parse_flow_text(text).problems) == 4


def test_retention_is_read_in_seconds() -> None:
    assert parsed(_flow("retention: {runs: 7d, logs: 1h}")).retention == Retention(runs_s=604800, logs_s=3600)
    assert parsed(_flow("retention: {data_bytes: 2 MB}")).retention == Retention(data_bytes=2_000_000)
    assert parsed(_flow("retention: {}")).retention is None


def test_what_would_outlast_its_run_is_a_warning() -> None:
    (problem,) = (found for found in checked(_flow("retention: {runs: 1d, data: 2d}")) if found.code == "bad-retention")
    assert str(problem) == (
        "flow.yaml:3:29: warning: data go with their run, which is kept for a shorter time (raise runs, or leave this out)"
    )


def test_params_that_no_message_can_carry_are_refused_with_the_way_out() -> None:
    text = _flow("").replace("m}", "m, params: {rows: " + str(["x" * 1000] * 33).replace("'", "") + ", n: 5}}", 1)
    (problem,) = (found for found in checked(text) if found.code == "params-too-large")
    assert problem.message == "the params of node 'a' are 33,101 bytes of JSON, 32,768 are possible"
    assert problem.hint == "hand what is in 'rows' over in a file or a table, as an input of the flow"
    assert (problem.line, problem.column) == (2, 39)


def test_what_is_filled_in_later_does_not_count_yet() -> None:
    item = '"${params.' + "p" * 90 + '}"'
    text = f"flow: f\nparams: {{{'p' * 90}: x}}\nnodes: {{a: {{module: m, params: {{rows: [{', '.join([item] * 400)}]}}}}}}"
    assert [problem for problem in checked(text) if problem.severity == "error"] == []
