"""Submit, look, wait, list, cancel."""

from __future__ import annotations

import asyncio
import json

import pytest

from plugmesh.contracts.data import FileRef, ValueRef
from plugmesh.contracts.flow import Flow
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import FLOW, House, contract_of, step_row
from tests.waiting import wait_until

RUNS = "/api/v1/runs"
AS_JSON = {"content-type": "application/json"}


async def test_a_submitted_run_is_stored_and_can_be_read(house: House) -> None:
    await house.plug_in(contract_of())
    answer = await house.client.post(RUNS, json={"flow": FLOW, "labels": {"team": "ops"}})
    assert answer.status_code == 202
    accepted = answer.json()
    assert (accepted["state"], accepted["warnings"], accepted["repeated"]) == ("queued", [], False)
    assert answer.headers["location"] == f"{RUNS}/{accepted['id']}"
    run = (await house.client.get(answer.headers["location"])).json()
    assert (run["id"], run["state"], run["namespace"], run["flow"]) == (accepted["id"], "queued", "checks", "one")
    assert run["labels"] == {"team": "ops"}
    assert [(step["id"], step["state"]) for step in run["steps"]] == [("only", "pending")]
    assert run["outputs"] == {"result": {"step": "only", "port": None}}


async def test_a_module_that_nobody_serves_is_a_warning_with_what_was_probably_meant(house: House) -> None:
    await house.plug_in(contract_of())
    flow = {**FLOW, "nodes": {"only": {"module": "table.mak"}}}
    answer = await house.client.post(RUNS, json={"flow": flow})
    assert answer.status_code == 202
    warning = answer.json()["warnings"][0]
    assert warning["code"] == "unknown-module"
    assert "table.make" in warning["hint"]


async def test_strict_refuses_a_module_that_nobody_serves(house: House) -> None:
    answer = await house.client.post(RUNS, json={"flow": FLOW, "strict": True})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["code"] == "unknown-module"
    assert house.intake.submissions == []


async def test_a_module_that_comes_later_is_no_warning_any_more(house: House) -> None:
    assert (await house.client.post(RUNS, json={"flow": FLOW})).json()["warnings"]
    await house.plug_in(contract_of())
    assert (await house.client.post(RUNS, json={"flow": FLOW})).json()["warnings"] == []


async def test_all_problems_of_a_flow_come_at_once_with_line_and_column(house: House) -> None:
    text = "flow: checks/bad\nnodes:\n  a: {module: table.make, inn: b}\n  c: {module: table.make, after: [d]}\n"
    answer = await house.client.post(RUNS, json={"flow": text})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:plugmesh:problem:flow-invalid"
    assert answer.headers["content-type"] == "application/problem+json"
    assert [found["line"] for found in problem["problems"] if found["severity"] == "error"] == [3, 4]
    assert all(found["column"] for found in problem["problems"])


async def test_a_flow_can_be_yaml_text(house: House) -> None:
    text = "flow: checks/one\nnodes:\n  only: {module: table.make}\n"
    assert (await house.client.post(RUNS, json={"flow": text})).status_code == 202


async def test_a_misspelt_field_is_named_with_what_was_meant(house: House) -> None:
    answer = await house.client.post(RUNS, json={"flow": FLOW, "parms": {}, "timeout_s": -1})
    assert answer.status_code == 422
    assert "did you mean 'params'?" in answer.text
    assert {problem["where"] for problem in answer.json()["problems"]} == {"parms", "timeout_s"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b'{"flow": NaN}', "not JSON"),
        (b"[]", "object"),
        (b'{"flow": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deep at line 1"),
        (b"\xff\xfe", "not JSON"),
        (b'{"flow": "\\ud800"}', "not JSON"),
    ],
)
async def test_a_body_that_cannot_be_read_is_the_clients_mistake(house: House, body: bytes, said: str) -> None:
    answer = await house.client.post(RUNS, content=body, headers=AS_JSON)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", [RUNS, f"{RUNS}/run-x/cancel"])
async def test_what_a_web_page_can_send_without_asking_is_no_json(house: House, path: str, kind: str) -> None:
    answer = await house.client.post(path, content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


async def test_a_body_over_the_limit_is_refused(house: House) -> None:
    answer = await house.client.post(RUNS, content=b" " * (17 * 1024 * 1024), headers=AS_JSON)
    assert answer.status_code == 413
    assert "json_limit_bytes" in answer.json()["detail"]


async def test_the_same_idempotency_key_answers_with_the_same_run(house: House) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = (await house.client.post(RUNS, json={"flow": FLOW}, headers=headers)).json()
    again = (await house.client.post(RUNS, json={"flow": FLOW}, headers=headers)).json()
    assert again["id"] == first["id"]
    assert again["repeated"]


async def test_the_same_flow_is_parsed_once(house: House) -> None:
    await house.submit()
    await house.submit()
    first, second = (submission.flow for submission in house.intake.submissions)
    assert isinstance(first, Flow)
    assert first is second


async def test_a_files_name_becomes_its_newest_version_which_the_run_keeps(house: House) -> None:
    flow = {
        "flow": "checks/count",
        "inputs": {"data": {"kind": "file"}},
        "nodes": {"n": {"module": "files.count", "params": {"file": "${inputs.data}"}}},
    }
    for text in (b"old", b"newer"):
        await house.client.put("/api/v1/files/data.csv", content=text)
    answer = await house.client.post(RUNS, json={"flow": flow, "inputs": {"data": {"file": "data.csv"}}})
    assert answer.status_code == 202, answer.text
    pinned = house.intake.submissions[0].inputs["data"]
    assert isinstance(pinned, FileRef)
    assert pinned.bytes == len(b"newer")
    assert bytes(house.objects.read(pinned.key)) == b"newer"


async def test_every_input_that_cannot_be_used_is_named(house: House) -> None:
    await house.client.put("/api/v1/files/flights.csv", content=b"x")
    inputs = {"a": {"file": "flight.csv"}, "b": 3, "c": {"kind": "file", "name": "x"}, "d": {"value": "v" * 9000}}
    flow = {**FLOW, "inputs": {name: {"kind": "value"} for name in inputs}}
    answer = await house.client.post(RUNS, json={"flow": flow, "inputs": inputs})
    assert answer.status_code == 422
    problems = {problem["where"]: problem["message"] for problem in answer.json()["problems"]}
    assert sorted(problems) == ["inputs.a", "inputs.b", "inputs.c", "inputs.d"]
    assert "did you mean 'flights.csv'?" in problems["inputs.a"]


async def test_a_reference_whose_key_is_no_key_is_refused(house: House) -> None:
    flow = {**FLOW, "inputs": {"a": {"kind": "file"}}}
    evil = {"kind": "file", "name": "x", "key": "../../etc/passwd", "bytes": 1, "hash": "xxh3:0"}
    answer = await house.client.post(RUNS, json={"flow": flow, "inputs": {"a": evil}})
    assert answer.status_code == 422
    assert "../../etc/passwd" in answer.json()["detail"]


async def test_values_and_params_are_handed_in(house: House) -> None:
    flow = {
        "flow": "one",
        "inputs": {"limit": "value"},
        "params": {"name": {"type": "string"}},
        "nodes": {"only": {"module": "m", "params": {"a": "${inputs.limit}", "b": "${params.name}"}}},
    }
    body = {"flow": flow, "inputs": {"limit": {"value": 5}}, "params": {"name": "x"}}
    answer = await house.client.post(RUNS, json=body)
    assert answer.status_code == 202, answer.text
    submission = house.intake.submissions[0]
    assert submission.inputs == {"limit": ValueRef(value=5)}
    assert submission.params == {"name": "x"}


async def test_an_unknown_run_is_not_found(house: House) -> None:
    for path in ("r-1", "r-1?wait_s=1", "r-1/events", "r-1/steps", "r-1/steps/a", "r-1/steps/a/outputs/out"):
        answer = await house.client.get(f"{RUNS}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), path


async def test_waiting_ends_when_the_run_ends(house: House) -> None:
    run = await house.submit()
    waiting = asyncio.ensure_future(house.client.get(f"{RUNS}/{run}?wait_s=60"))
    await wait_until(lambda: len(house.gateway.waiting) == 1)
    await house.intake.advance(run, "running", step_row(run, "only", "running"))
    assert not waiting.done()
    await house.intake.advance(run, "succeeded", step_row(run, "only", "succeeded", ValueRef(value=7)))
    document = (await waiting).json()
    assert document["state"] == "succeeded"
    assert document["steps"][0]["outputs"] == {"out": {"kind": "value", "value": 7}}
    assert document["outputs"] == {"result": {"step": "only", "port": "out", "kind": "value", "value": 7}}
    assert len(house.gateway.waiting) == 0


async def test_waiting_for_a_run_that_has_ended_answers_at_once(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "failed", reason="because")
    async with asyncio.timeout(30):
        document = (await house.client.get(f"{RUNS}/{run}?wait_s=60")).json()
    assert (document["state"], document["reason"]) == ("failed", "because")


class TestAskingAgainSoon:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(recheck_s=0.05)

    async def test_waiting_finds_an_end_that_was_not_announced(self, house: House) -> None:
        await ends_unannounced(house)

    async def test_nobody_waits_on_for_a_client_that_has_left(self, house: House) -> None:
        run = await house.submit()
        messages: list[dict[str, object]] = [{"type": "http.request", "body": b"", "more_body": False}]
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"{RUNS}/{run}",
            "raw_path": f"{RUNS}/{run}".encode(),
            "query_string": b"wait_s=60",
            "headers": [(b"host", b"127.0.0.1:8720")],
        }
        async with asyncio.timeout(30):
            await house.app(scope, receive, send)
        assert len(house.gateway.waiting) == 0


async def ends_unannounced(house: House) -> None:
    run = await house.submit()
    waiting = asyncio.ensure_future(house.client.get(f"{RUNS}/{run}?wait_s=60"))
    await wait_until(lambda: len(house.gateway.waiting) == 1)
    await house.intake.advance(run, "succeeded", announce=False)
    assert (await waiting).json()["state"] == "succeeded"


async def test_a_wait_that_is_over_answers_with_how_things_stand(house: House) -> None:
    run = await house.submit()
    assert (await house.client.get(f"{RUNS}/{run}?wait_s=0.01")).json()["state"] == "queued"


@pytest.mark.parametrize("wait", ["nan", "-1", "x", "inf"])
async def test_a_wait_that_is_no_time_is_refused(house: House, wait: str) -> None:
    assert (await house.client.get(f"{RUNS}/r?wait_s={wait}")).status_code == 400


async def test_closing_lets_everybody_who_waits_go(house: House) -> None:
    run = await house.submit()
    waiting = asyncio.ensure_future(house.client.get(f"{RUNS}/{run}?wait_s=60"))
    await wait_until(lambda: len(house.gateway.waiting) == 1)
    house.gateway.close_streams()
    assert (await waiting).json()["state"] == "queued"


async def test_runs_are_listed_newest_first_page_by_page(house: House) -> None:
    ids = [await house.submit() for _ in range(5)]
    await house.intake.advance(ids[0], "failed")
    first = (await house.client.get(f"{RUNS}?limit=3")).json()
    assert [run["id"] for run in first["runs"]] == ids[:1:-1]
    second = (await house.client.get(f"{RUNS}?limit=3&cursor={first['next_cursor']}")).json()
    assert [run["id"] for run in second["runs"]] == ids[1::-1]
    assert second["next_cursor"] is None
    failed = (await house.client.get(f"{RUNS}?state=failed,succeeded&flow=one&namespace=checks")).json()
    assert [run["id"] for run in failed["runs"]] == ids[:1]
    assert len((await house.client.get(f"{RUNS}?flow=checks/one")).json()["runs"]) == 5
    assert (await house.client.get(f"{RUNS}?flow=other/one")).json()["runs"] == []


@pytest.mark.parametrize("query", ["state=nonsense", "limit=0", "limit=x", "cursor=x", "cursor=" + "9" * 40])
async def test_a_list_that_makes_no_sense_is_a_problem(house: House, query: str) -> None:
    answer = await house.client.get(f"{RUNS}?{query}")
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]


async def test_a_cancel_becomes_a_command(house: House) -> None:
    run = await house.submit()
    answer = await house.client.post(f"{RUNS}/{run}/cancel", json={"reason": "not needed"})
    assert (answer.status_code, answer.json()["id"]) == (202, run)
    command = house.intake.commands[0]
    assert (command.run, command.kind, command.reason, command.actor) == (run, "cancel", "not needed", "local")


async def test_a_cancel_needs_no_body_and_changes_nothing_for_a_run_that_has_ended(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "succeeded")
    answer = await house.client.post(f"{RUNS}/{run}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "succeeded")
    assert house.intake.commands == []


async def test_a_mapped_nodes_output_is_a_list(house: House) -> None:
    run = await house.submit()
    values = [ValueRef(value=number).model_dump(mode="json") for number in range(3)]
    elements = [step_row(run, f"only.{number}", "succeeded", ValueRef(value=number)) for number in (2, 0, 1)]
    await house.intake.advance(
        run, "succeeded", step_row(run, "only", "succeeded"), *elements, outputs={"result": values}
    )
    document = (await house.client.get(f"{RUNS}/{run}")).json()
    assert [step["id"] for step in document["steps"]] == ["only", "only.0", "only.1", "only.2"]
    assert [item["value"] for item in document["outputs"]["result"]["items"]] == [0, 1, 2]


async def test_numbers_of_any_size_survive(house: House) -> None:
    flow = {
        "flow": "n",
        "params": {"n": {"type": "integer"}},
        "nodes": {"a": {"module": "m", "params": {"n": "${params.n}"}}},
    }
    body = json.dumps({"flow": flow, "params": {"n": 2**80}}).encode()
    answer = await house.client.post(RUNS, content=body, headers=AS_JSON)
    assert answer.status_code in {202, 422}
    if answer.status_code == 202:
        assert (await house.client.get(answer.headers["location"])).json()["params"] == {"n": 2**80}


# -- webhooks, keys, labels, lists -----------------------------------------------------------------------------------


async def test_the_webhooks_of_a_run_are_those_of_the_request(house: House) -> None:
    notify = [{"url": "https://example.org/a", "on": ["failed"]}, {"url": "https://example.org/b"}]
    await house.submit(notify=notify)
    found = house.intake.submissions[0].notify
    assert [(one.url, len(one.on)) for one in found] == [("https://example.org/a", 1), ("https://example.org/b", 4)]


@pytest.mark.parametrize(
    ("notify", "text"),
    [
        ([{"url": "ftp://example.org"}], "notify.0: a webhook is called by http or https, not by 'ftp'"),
        ([{"url": "https://a", "on": ["done"]}], "notify.0.on.0"),
        ([{"url": "https://a", "secret": "x"}], "there is no such field"),
        ([{"url": f"https://a/{number}"} for number in range(11)], "at most 10 items"),
    ],
)
async def test_a_webhook_that_cannot_be_called_is_refused_before_the_run_is_made(
    house: House, notify: list[dict[str, object]], text: str
) -> None:
    answer = await house.client.post(RUNS, json={"flow": FLOW, "notify": notify})
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")
    assert text in answer.json()["detail"]
    assert house.intake.submissions == []


async def test_a_key_that_was_used_for_another_request_is_a_conflict(house: House) -> None:
    headers = {"idempotency-key": "k"}
    first = await house.client.post(RUNS, json={"flow": FLOW, "labels": {"a": "1", "b": "2"}}, headers=headers)
    again = await house.client.post(
        RUNS, json={"params": {}, "labels": {"b": "2", "a": "1"}, "flow": FLOW}, headers=headers
    )
    assert (again.json()["id"], again.json()["repeated"]) == (first.json()["id"], True)
    other = await house.client.post(RUNS, json={"flow": FLOW, "labels": {"a": "1"}}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


async def test_runs_are_listed_by_label_and_time(house: House) -> None:
    runs = [await house.submit(labels=labels) for labels in ({"a": "1"}, {"a": "1", "b": "x:y"}, {"a": "2"})]

    async def listed(query: str) -> list[str]:
        return [run["id"] for run in (await house.client.get(f"{RUNS}?{query}")).json()["runs"]]

    assert await listed("label=a:1") == [runs[1], runs[0]]
    assert await listed("label=a:1&label=b:x:y") == [runs[1]]
    assert await listed("label=a:3") == []
    times = [submission.submitted_at for submission in house.intake.submissions]
    assert await listed(f"since={times[0]!r}") == runs[::-1]
    assert await listed(f"until={times[0]!r}") == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("label=a", "label must be NAME:VALUE, not 'a'"),
        ("label=:a", "label must be NAME:VALUE"),
        ("label=a:1&label=a:2", "no run has two values of the label 'a'"),
        ("cursor=abc", "cursor must be the next_cursor of the page before"),
        ("state=done", "'done' is no state of a run: there are queued"),
        ("stat=failed", "did you mean 'state'?"),
    ],
)
async def test_a_filter_that_cannot_be_used_says_why(house: House, query: str, text: str) -> None:
    answer = await house.client.get(f"{RUNS}?{query}")
    assert (answer.status_code, text in answer.json()["detail"]) == (400, True), answer.text


async def test_the_last_page_of_runs_has_no_cursor(house: House) -> None:
    runs = [await house.submit() for _ in range(4)]
    first = (await house.client.get(f"{RUNS}?limit=2")).json()
    await house.submit()
    second = (await house.client.get(f"{RUNS}?limit=2&cursor={first['next_cursor']}")).json()
    assert [run["id"] for run in first["runs"] + second["runs"]] == runs[::-1]
    assert second["next_cursor"] is None


async def test_the_elements_of_mapped_nodes_are_counted(house: House) -> None:
    flow = {
        "flow": "checks/mapped",
        "params": {"days": [1, 2, 3, 4]},
        "nodes": {"each": {"module": "table.make", "map": "${params.days}"}, "one": {"module": "table.make"}},
    }
    run = str((await house.client.post(RUNS, json={"flow": flow})).json()["id"])
    assert (await house.client.get(f"{RUNS}/{run}")).json()["nodes"] == {"each": {"pending": 4}}
    states = ("succeeded", "succeeded", "running")
    rows = [step_row(run, f"each.{number}", state) for number, state in enumerate(states)]
    await house.intake.advance(run, "running", *rows, step_row(run, "one", "succeeded"))
    nodes = (await house.client.get(f"{RUNS}/{run}")).json()["nodes"]
    assert nodes == {"each": {"succeeded": 2, "running": 1, "pending": 1}}


# -- delete ----------------------------------------------------------------------------------------------------------


async def test_a_run_is_deleted_once_it_has_ended(house: House) -> None:
    run = await house.submit(labels={"a": "1"})
    refused = await house.client.delete(f"{RUNS}/{run}")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "is queued: only a run that has ended can be deleted, so cancel it first" in refused.json()["detail"]
    await house.intake.advance(run, "succeeded", step_row(run, "only", "succeeded"))
    assert (await house.client.delete(f"{RUNS}/{run}")).status_code == 204
    for path in (run, f"{run}?wait_s=1", f"{run}/steps", f"{run}/timeline", f"{run}/steps/only/logs"):
        assert (await house.client.get(f"{RUNS}/{path}")).status_code == 404
    assert (await house.client.get(RUNS)).json()["runs"] == []
    assert (await house.client.delete(f"{RUNS}/{run}")).status_code == 404


async def test_the_key_of_a_deleted_run_can_be_used_again(house: House) -> None:
    headers = {"idempotency-key": "k"}
    run = (await house.client.post(RUNS, json={"flow": FLOW}, headers=headers)).json()["id"]
    await house.intake.advance(run, "failed")
    await house.client.delete(f"{RUNS}/{run}")
    again = (await house.client.post(RUNS, json={"flow": FLOW}, headers=headers)).json()
    assert (again["repeated"], again["id"] != run) == (False, True)
