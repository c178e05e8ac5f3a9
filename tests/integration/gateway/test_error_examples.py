"""The examples in the reference of error codes are what a gateway answers."""

from __future__ import annotations

from plugmesh.codes.examples import EXAMPLES, answer_to
from tests.integration.gateway.house import House


async def test_each_example_is_answered_as_its_page_says(house: House) -> None:
    for code, example in EXAMPLES.items():
        method, path = example.request.split(" ")
        answer = await house.client.request(
            method, path, headers=dict(example.headers), content=example.body.encode() or None
        )
        assert answer.json() == answer_to(code, example)
        assert answer.status_code == answer.json()["status"]


async def test_a_path_that_several_routes_have_names_all_methods(house: House) -> None:
    answer = await house.client.request("PATCH", "/api/v1/runs/run-1")
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


async def test_a_query_parameter_with_one_value_is_taken_once(house: House) -> None:
    twice = await house.client.get("/api/v1/runs?limit=1&limit=2")
    assert (twice.status_code, twice.json()["args"]) == (400, {"parameter": "limit"})
    several = await house.client.get("/api/v1/runs?state=failed&state=queued&label=a:1&label=b:2")
    assert several.status_code == 200
