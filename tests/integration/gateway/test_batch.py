"""Many runs in one request."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.batch import SLICE_RUNS
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import FLOW, House

BATCH = "/api/v1/runs:batch"


async def post(house: House, document: Any) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return await house.client.post(BATCH, content=body, headers={"content-type": "application/json"})


async def test_each_item_stands_alone(house: House) -> None:
    items = [{"flow": FLOW}, {"flow": {"flow": "bad name"}}, {"flow": {"ref": "a/b"}}, 7, {"flow": FLOW, "labls": {}}]
    answer = await post(house, {"runs": [*items, {"flow": FLOW, "labels": {"n": "5"}}]})
    assert answer.status_code == 200
    found = answer.json()["runs"]
    assert [one["index"] for one in found] == list(range(6))
    assert [one.get("problem", {}).get("code") for one in found] == [
        None,
        "flow-invalid",
        "not-found",
        "bad-request",
        "request-invalid",
        None,
    ]
    assert found[1]["problem"]["problems"]
    assert {"index": 0, "id": found[0]["id"], "state": "queued", "repeated": False} == found[0]
    assert (await house.client.get(f"/api/v1/runs/{found[5]['id']}")).json()["labels"] == {"n": "5"}


async def test_the_same_batch_again_makes_no_run_twice(house: House) -> None:
    batch = {"idempotency_key": "week", "runs": [{"flow": FLOW}, {"flow": FLOW}]}
    first, second = [(await post(house, batch)).json()["runs"] for _ in range(2)]
    assert [one["id"] for one in first] == [one["id"] for one in second]
    assert [one["repeated"] for one in second] == [True, True]
    assert {submission.idempotency_key for submission in house.intake.submissions} == {"week/0", "week/1"}
    changed = {**batch, "runs": [{"flow": FLOW}, {"flow": FLOW, "labels": {"a": "b"}}]}
    assert [one.get("problem", {}).get("code") for one in (await post(house, changed)).json()["runs"]] == [
        None,
        "conflict",
    ]


async def test_others_requests_go_on_while_a_large_batch_is_submitted(house: House) -> None:
    count = 8 * SLICE_RUNS
    large = asyncio.ensure_future(post(house, {"runs": [{"flow": FLOW}] * count}))
    answered = 0
    while not large.done():
        assert (await house.client.get("/healthz")).status_code == 200
        answered += 1
        await asyncio.sleep(0)  # the request above never left this process, so it need not have let others run
    assert len((await large).json()["runs"]) == count
    assert answered >= 8


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "the body must be a JSON object with the list runs at line 1 column 1"),
        (b"[]", "the body must be a JSON object"),
        (b"{}", "the body must have the list runs"),
        (b'{"runs": 3}', "runs must be a list of requests at line 1 column 10"),
        (b'{"runs": [], "idempotency": "x"}', "no field 'idempotency' (did you mean 'idempotency_key'?)"),
        (b'{"runs": [], "idempotency_key": ""}', "idempotency_key is a text of 1 to 190 characters"),
        (b'{"runs": [{}\n{}]}', "a comma or a closing bracket is expected at line 2 column 1"),
        (b'{"runs": [{"a": }]}', "the body is not JSON: Expecting value at line 1 column 17"),
        (b'{"runs": []', "a comma or a closing brace is expected"),
        (b'{"runs": []} x', "something follows its end at line 1 column 14"),
        (b'{"runs": [], "runs": []}', "a new name in quotes is expected"),
        (b'{"runs": ["\xff"]}', "the body is not UTF-8 text, at byte 11"),
        (b'{"runs": [' + b"[" * 100_000, "the body is nested too deep"),
    ],
)
async def test_what_is_no_batch_is_refused_whole(house: House, body: bytes, text: str) -> None:
    answer = await post(house, body)
    assert answer.status_code == 400
    assert text in answer.json()["detail"]
    assert house.intake.submissions == []


async def test_an_empty_batch_is_a_batch(house: House) -> None:
    assert (await post(house, b' { "runs" : [ ] } ')).json() == {"runs": []}


async def test_an_item_that_is_nested_too_deep_is_that_items_problem(house: House) -> None:
    deep = "[" * 900 + "]" * 900
    found = (await post(house, f'{{"runs": [{{"flow": {deep}}}, {json.dumps({"flow": FLOW})}]}}'.encode())).json()[
        "runs"
    ]
    assert [one.get("problem", {}).get("code") for one in found] == ["bad-request", None]
    assert "nested too deep" in found[0]["problem"]["detail"]


async def test_a_batch_has_an_end(house: House) -> None:
    answer = await post(house, {"runs": [0] * 10_001})
    assert (answer.status_code, answer.json()["code"]) == (413, "limit-exceeded")
    assert "at most 10,000 runs" in answer.json()["detail"]


class TestSize:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(batch_limit_bytes=1000, json_limit_bytes=10)

    async def test_a_batch_has_a_size_of_its_own(self, house: House) -> None:
        assert (await post(house, {"runs": [{"flow": FLOW}]})).status_code == 200
        assert (await post(house, {"runs": [{"flow": FLOW}] * 20})).status_code == 413
