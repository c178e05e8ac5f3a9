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
