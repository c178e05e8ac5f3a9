"""Steps: pages, attempts, logs, artifacts, timelines, and what a replay needs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from plugmesh.contracts.data import FileRef, ValueRef
from plugmesh.contracts.messages import LogRef
from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind
from plugmesh.objects.keys import attempt_prefix
from plugmesh.settings.settings import Settings
from plugmesh.state.records import AttemptRow, StepRow
from plugmesh.steplog import chunk_key
from tests.integration.gateway.house import House, step_row
from tests.waiting import wait_until

RUNS = "/api/v1/runs"
LINES = [
    {"at": 1.5, "level": "info", "stream": "stdout", "text": "Reading orders"},
    {"at": 1.6, "level": "warning", "stream": "log", "text": "a row is odd"},
    {"at": 1.7, "level": "error", "stream": "log", "text": "too many odd rows"},
]


async def get(house: House, path: str, status: int = 200) -> Any:
    answer = await house.client.get(f"{RUNS}/{path}")
    assert answer.status_code == status, answer.text
    return answer.json()


async def lines_of(house: House, path: str) -> list[dict[str, Any]]:
    answer = await house.client.get(f"{RUNS}/{path}")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines() if line]


def put(house: House, key: str, data: bytes) -> None:
    writer = house.objects.create(key)
    writer.write(data)
    writer.commit()


def log_text(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def put_log(house: House, key: str, lines: list[dict[str, Any]] = LINES) -> str:
    put(house, key, log_text(lines))
    return LogRef(key=key, bytes=1, lines=len(lines)).model_dump_json()


async def add_attempt(house: House, run: str, epoch: int, state: str, **columns: Any) -> None:
    row = AttemptRow(run, "only", epoch, state, "i-0", None, None, None, 1.0)._replace(**columns)
    await house.intake.commit(run, keys={run: house.intake.keys[run]}, attempts=[row])


# -- lists -----------------------------------------------------------------------------------------------------------


async def test_steps_are_listed_by_state_page_by_page(house: House) -> None:
    run = await house.submit()
    rows = [step_row(run, f"only.{number}", "failed" if number == 1 else "succeeded") for number in range(4)]
    await house.intake.advance(run, "running", *rows)
    first = await get(house, f"{run}/steps?state=succeeded&limit=2")
    assert [step["id"] for step in first["steps"]] == ["only.0", "only.2"]
    second = await get(house, f"{run}/steps?state=succeeded&limit=2&cursor={first['next_cursor']}")
    assert ([step["id"] for step in second["steps"]], second["next_cursor"]) == (["only.3"], None)
    assert first["counts"] == {"succeeded": 3, "failed": 1}
    assert len((await get(house, f"{run}/steps?state=failed,succeeded"))["steps"]) == 4
    problem = await get(house, f"{run}/steps?state=done", 400)
    assert "'done' is no state of a step: there are pending" in problem["detail"]


async def test_a_step_shows_what_it_used_how_far_it_is_and_what_it_left(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(
        run,
        "running",
        step_row(
            run,
            "only",
            "running",
            instance="i-1",
            stats='{"rows_in": 3, "wall_s": 2.0}',
            progress='{"done": 1.0, "total": 4.0, "message": "reading", "at": 5.0}',
            artifacts=json.dumps([{"kind": "file", "name": "a.html", "key": "data/k", "bytes": 3, "hash": "xxh3:0"}]),
        ),
    )
    artifact = {"name": "a.html", "bytes": 3, "media_type": "application/octet-stream"}
    for step in ((await get(house, f"{run}/steps"))["steps"][0], await get(house, f"{run}/steps/only")):
        assert (step["stats"]["rows_in"], step["progress"]["done"], step["artifacts"]) == (3, 1.0, [artifact])


async def test_every_attempt_is_shown_with_the_one_that_counts_at_the_end(house: House) -> None:
    run = await house.submit()
    await add_attempt(house, run, 1, "lost", reason="the lease ran out")
    succeeded = step_row(run, "only", "succeeded", epoch=2, instance="i-1", ended_at=9.0, stats='{"wall_s": 1.0}')
    await house.intake.advance(run, "succeeded", succeeded)
    attempts = (await get(house, f"{run}/steps/only"))["attempts"]
    assert [(one["epoch"], one["state"], one["instance"], one["at"]) for one in attempts] == [
        (1, "lost", "i-0", 1.0),
        (2, "succeeded", "i-1", 9.0),
    ]
    assert attempts[0]["reason"] == "the lease ran out"
    assert attempts[1]["stats"] == {"wall_s": 1.0}


async def test_the_attempt_that_failed_a_step_is_shown_with_its_instance_and_reason(house: House) -> None:
    run = await house.submit()
    error = json.dumps({"type": "ValueError", "message": "no", "code": "raised"})
    failed: dict[str, Any] = {
        "instance": "i-1",
        "error": error,
        "reason": "raised",
        "ended_at": 9.0,
        "stats": '{"wall_s": 1.0}',
    }
    await house.intake.advance(run, "failed", step_row(run, "only", "failed", **failed))
    (attempt,) = (await get(house, f"{run}/steps/only"))["attempts"]
    assert (attempt["state"], attempt["instance"], attempt["reason"], attempt["at"]) == ("failed", "i-1", "raised", 9.0)
    assert (attempt["error"]["message"], attempt["stats"]) == ("no", {"wall_s": 1.0})


async def test_a_step_that_failed_without_an_attempt_shows_none(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "failed", step_row(run, "only", "failed", epoch=0, reason="parked-too-long"))
    assert (await get(house, f"{run}/steps/only"))["attempts"] == []


async def test_a_steps_answer_has_its_error_and_module(house: House) -> None:
    run = await house.submit()
    error = json.dumps({"type": "ValueError", "message": "no"})
    await house.intake.advance(run, "failed", step_row(run, "only", "failed", error=error, instance="i-1"))
    step = await get(house, f"{run}/steps/only")
    assert (step["state"], step["error"]["message"], step["module"]) == ("failed", "no", "table.make")
    assert "its nodes are only" in (await get(house, f"{run}/steps/onyl", 404))["detail"]


# -- timeline --------------------------------------------------------------------------------------------------------


def change(step: str, state: str, at: float, **fields: Any) -> dict[str, Any]:
    return {"change": "step", "step": step, "state": state, "at": at, **fields}


async def test_a_timeline_says_when_a_step_was_in_which_state(house: House) -> None:
    run = await house.submit()
    who = {"epoch": 1, "instance": "i-1"}
    await house.intake.advance(run, "running", changes=[change("only", "ready", 1.0)])
    await house.intake.advance(run, "running", changes=[change("only", "assigned", 2.0, **who)])
    await house.intake.advance(run, "running", changes=[change("only", "running", 3.0, **who)])
    ended = step_row(run, "only", "succeeded")
    await house.intake.advance(run, "succeeded", ended, changes=[change("only", "succeeded", 5.0, **who)])
    timeline = await get(house, f"{run}/timeline")
    spans = timeline["steps"][0]["spans"]
    assert [(span["state"], span["from"], span["to"]) for span in spans] == [
        ("ready", 1.0, 2.0),
        ("assigned", 2.0, 3.0),
        ("running", 3.0, 5.0),
        ("succeeded", 5.0, 5.0),
    ]
    assert [span["instance"] for span in spans] == [None, "i-1", "i-1", "i-1"]
    assert (timeline["run"]["id"], timeline["run"]["state"], timeline["next_cursor"]) == (run, "succeeded", None)


async def test_a_timeline_comes_page_by_page(house: House) -> None:
    run = await house.submit()
    names = ["only.0", "only.1", "only.2"]
    rows = [step_row(run, name, "ready", ready_at=1.0) for name in names]
    await house.intake.advance(run, "running", *rows, changes=[change(name, "ready", 1.0) for name in names])
    first = await get(house, f"{run}/timeline?limit=2")
    second = await get(house, f"{run}/timeline?limit=2&cursor={first['next_cursor']}")
    assert [step["id"] for step in first["steps"] + second["steps"]] == names
    assert second["steps"][0]["spans"] == [{"state": "ready", "from": 1.0, "to": None, "epoch": None, "instance": None}]


async def test_without_event_rows_a_timeline_is_made_of_what_the_steps_say(house: House) -> None:
    run = await house.submit()
    row = step_row(run, "only", "succeeded", ready_at=1.0, started_at=2.0, ended_at=4.0, instance="i-1")
    await house.intake.advance(run, "succeeded", row)
    spans = (await get(house, f"{run}/timeline"))["steps"][0]["spans"]
    assert [(span["state"], span["from"], span["to"]) for span in spans] == [
        ("ready", 1.0, 2.0),
        ("running", 2.0, 4.0),
        ("succeeded", 4.0, 4.0),
    ]


# -- logs ------------------------------------------------------------------------------------------------------------


async def logged(house: House) -> str:
    return await house.finished(ValueRef(value=1), log=put_log(house, "runs/t/log"))


async def test_a_log_is_json_lines_with_numbers_or_text(house: House) -> None:
    run = await logged(house)
    found = await lines_of(house, f"{run}/steps/only/logs")
    assert found == [{"n": number, **line, "epoch": 1} for number, line in enumerate(LINES, 1)]
    answer = await house.client.get(f"{RUNS}/{run}/steps/only/logs?format=text")
    assert answer.text == "Reading orders\na row is odd\ntoo many odd rows\n"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("level=warning", [2, 3]),
        ("level=error", [3]),
        ("search=ODD", [2, 3]),
        ("after=2", [3]),
        ("after=1&level=warning&search=many", [3]),
        ("search=nothing", []),
    ],
)
async def test_lines_are_chosen(house: House, query: str, numbers: list[int]) -> None:
    run = await logged(house)
    assert [line["n"] for line in await lines_of(house, f"{run}/steps/only/logs?{query}")] == numbers


async def test_a_step_without_a_log_has_an_empty_one(house: House) -> None:
    run = await house.submit()
    assert await lines_of(house, f"{run}/steps/only/logs") == []


async def test_each_attempt_has_a_log_of_its_own(house: House) -> None:
    run = await house.submit()
    await add_attempt(house, run, 1, "failed", log=put_log(house, "runs/t/one", LINES[:1]))
    row = step_row(run, "only", "succeeded", epoch=2, log=put_log(house, "runs/t/two", LINES[1:]))
    await house.intake.advance(run, "succeeded", row)
    assert [line["text"] for line in await lines_of(house, f"{run}/steps/only/logs")] == [
        line["text"] for line in LINES[1:]
    ]
    assert [line["text"] for line in await lines_of(house, f"{run}/steps/only/logs?epoch=1")] == [LINES[0]["text"]]
    problem = await get(house, f"{run}/steps/only/logs?epoch=3", 404)
    assert "has no attempt 3; its attempts are [1, 2]" in problem["detail"]


async def test_a_log_that_is_gone_is_said_to_be_gone(house: House) -> None:
    log = LogRef(key="runs/t/none", bytes=1, lines=1).model_dump_json()
    run = await house.finished(ValueRef(value=1), log=log)
    assert (await get(house, f"{run}/steps/only/logs", 410))["code"] == "object-missing"


async def test_the_chunks_of_a_running_step_are_its_log_so_far(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "running", step_row(run, "only", "running", instance="i-1"))
    prefix = attempt_prefix("checks", run, "only", 1)
    put(house, chunk_key(prefix, 1), log_text(LINES[:2]))
    assert [line["n"] for line in await lines_of(house, f"{run}/steps/only/logs")] == [1, 2]


async def test_who_follows_gets_what_comes_until_the_step_has_ended(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "running", step_row(run, "only", "running", instance="i-1"))
    prefix = attempt_prefix("checks", run, "only", 1)
    put(house, chunk_key(prefix, 1), log_text(LINES[:1]))
    following = asyncio.ensure_future(lines_of(house, f"{run}/steps/only/logs?follow=true"))
    await wait_until(lambda: len(house.gateway.waiting) == 1)
    put(house, chunk_key(prefix, 2), log_text(LINES[1:]))
    log = LogRef(key=chunk_key(prefix, 1), bytes=1, lines=3, chunks=2)
    row = step_row(run, "only", "succeeded", instance="i-1", log=log.model_dump_json())
    await house.intake.advance(run, "succeeded", row)
    assert [(line["n"], line["text"]) for line in await following] == [
        (number, line["text"]) for number, line in enumerate(LINES, 1)
    ]


async def test_who_follows_a_step_that_is_tried_again_gets_the_further_attempt_too(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "running", step_row(run, "only", "running", instance="i-1"))
    put(house, chunk_key(attempt_prefix("checks", run, "only", 1), 1), log_text(LINES[:1]))
    following = asyncio.ensure_future(lines_of(house, f"{run}/steps/only/logs?follow=true"))
    await wait_until(lambda: len(house.gateway.waiting) == 1)
    await asyncio.wait([following], timeout=0.05)
    log = put_log(house, "runs/t/two", LINES[1:])
    await house.intake.advance(run, "succeeded", step_row(run, "only", "succeeded", epoch=2, instance="i-2", log=log))
    found = [(line["epoch"], line["n"]) for line in await following]
    assert found[-2:] == [(2, 1), (2, 2)]


async def test_the_log_of_a_run_that_is_deleted_ends(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "running", step_row(run, "only", "running", instance="i-1"))
    following = asyncio.ensure_future(house.client.get(f"{RUNS}/{run}/steps/only/logs?follow=true"))
    await wait_until(lambda: len(house.gateway.waiting) == 1)
    await house.intake.advance(run, "cancelled", announce=False)
    assert (await house.client.delete(f"{RUNS}/{run}")).status_code == 204
    assert (await following).status_code == 200


class TestSilence:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(recheck_s=0.05)

    async def test_who_follows_in_silence_gets_an_empty_line_now_and_then(self, house: House) -> None:
        run = await house.submit()
        await house.intake.advance(run, "running", step_row(run, "only", "running", instance="i-1"))
        answer = asyncio.ensure_future(house.client.get(f"{RUNS}/{run}/steps/only/logs?follow=true"))
        await asyncio.wait([answer], timeout=0.7)
        await house.intake.advance(run, "succeeded", step_row(run, "only", "succeeded", instance="i-1"))
        assert set((await answer).text) <= {"\n"}


# -- artifacts -------------------------------------------------------------------------------------------------------


async def test_an_artifact_is_downloaded_whole_or_in_part(house: House) -> None:
    put(house, "data/k", b"<html>")
    file = FileRef(name="a b.html", key="data/k", bytes=6, hash="xxh3:00", media_type="text/html")
    run = await house.finished(ValueRef(value=1), artifacts=json.dumps([file.model_dump(mode="json")]))
    path = f"{RUNS}/{run}/steps/only/artifacts/a%20b.html"
    answer = await house.client.get(path)
    assert (answer.content, answer.headers["content-type"].partition(";")[0]) == (b"<html>", "text/html")
    assert answer.headers["content-disposition"].startswith("attachment;")
    part = await house.client.get(path, headers={"range": "bytes=1-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"html", "bytes 1-4/6")
    problem = await get(house, f"{run}/steps/only/artifacts/b.html", 404)
    assert "has no artifact 'b.html': it has a b.html" in problem["detail"]


# -- replay ----------------------------------------------------------------------------------------------------------

JOIN = ModuleContract(
    name="value.join",
    inputs=(InputPort(name="left", kind=PortKind.VALUE, variadic=True), InputPort(name="extra", kind=PortKind.VALUE)),
    outputs=(OutputPort(name="out", kind=PortKind.VALUE),),
    params={"type": "object", "properties": {"tax": {"type": "number"}}},
)
GIVE = ModuleContract(
    name="value.give",
    outputs=(OutputPort(name="out", kind=PortKind.VALUE),),
    params={"type": "object", "properties": {"n": {}}},
)
REPLAYED = {
    "flow": "checks/replayed",
    "inputs": {"start": "value"},
    "params": {"tax": 0.2},
    "nodes": {
        "many": {"module": "value.give", "map": [7, 8, 9], "params": {"n": "${item}"}},
        "all": {
            "module": "value.join",
            "in": {"left": "many", "extra": "${inputs.start}"},
            "params": {"tax": "${params.tax}"},
        },
    },
}


async def replayed(house: House) -> str:
    await house.plug_in(JOIN, "i-1")
    await house.plug_in(GIVE, "i-2")
    inputs = {"start": {"value": "s"}}
    answer = await house.client.post(RUNS, json={"flow": REPLAYED, "inputs": inputs, "params": {"tax": 0.5}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def element(run: str, number: int) -> StepRow:
    return step_row(run, f"many.{number}", "succeeded", ValueRef(value=number), version="0.1.0")


async def test_a_replay_has_what_the_step_was_handed(house: House) -> None:
    run = await replayed(house)
    mapped = [element(run, number) for number in (2, 0, 1)]
    failed = step_row(run, "all", "failed", version="0.1.0", epoch=3, error='{"type": "E", "message": "no"}')
    await house.intake.advance(run, "failed", *mapped, step_row(run, "many", "succeeded"), failed)
    document = await get(house, f"{run}/steps/all/replay")
    assert (document["module"], document["version"], document["digest"]) == ("value.join", "0.1.0", JOIN.digest)
    assert (document["params"], document["epoch"], document["error"]["message"]) == ({"tax": 0.5}, 3, "no")
    assert document["inputs"] == {
        "left": [{"kind": "value", "value": number} for number in (0, 1, 2)],
        "extra": [{"kind": "value", "value": "s"}],
    }


async def test_an_element_of_a_mapped_node_is_replayed_with_its_item(house: House) -> None:
    run = await replayed(house)
    await house.intake.advance(run, "running", element(run, 1))
    assert (await get(house, f"{run}/steps/many.1/replay"))["params"] == {"n": 8}
    problem = await get(house, f"{run}/steps/many/replay", 409)
    assert "replay one of them, such as many.0" in problem["detail"]


async def test_a_step_whose_parents_have_no_outputs_cannot_be_replayed(house: House) -> None:
    run = await replayed(house)
    problem = await get(house, f"{run}/steps/all/replay", 409)
    assert "'many', which is before it, is pending" in problem["detail"]


async def test_a_replay_needs_to_know_the_module(house: House) -> None:
    run = await house.submit()
    assert "start a process that serves it" in (await get(house, f"{run}/steps/only/replay", 404))["detail"]
