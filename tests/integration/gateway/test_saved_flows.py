"""Flows kept by name: save, look, compare, delete, and run by name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.gateway.house import House, contract_of

FLOWS = "/api/v1/flows"
ONE = f"{FLOWS}/checks/one"
TEXT = "# made by hand\nflow: checks/one\nnodes:\n  only: {module: table.make}\n"
OTHER = TEXT.replace("only:", "another:") + "timeout: 60\n"


async def put(house: House, text: str = TEXT, path: str = ONE, **headers: str) -> Any:
    headers = {"content-type": "application/yaml", **headers}
    return await house.client.put(path, content=text.encode(), headers=headers)


async def saved(house: House, text: str = TEXT, path: str = ONE, **headers: str) -> dict[str, Any]:
    answer = await put(house, text, path, **headers)
    assert answer.status_code in {200, 201}, answer.text
    return dict(answer.json())


async def test_a_saved_flow_keeps_its_text_and_what_it_means(house: House) -> None:
    await house.plug_in(contract_of())
    answer = await put(house, path=f"{ONE}?message=first")
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    document = answer.json()
    assert (document["revision"], document["unchanged"], document["warnings"]) == (1, False, [])
    flow = (await house.client.get(ONE)).json()
    assert (flow["text"], flow["message"], flow["actor"]) == (TEXT, "first", "local")
    assert list(flow["flow"]["nodes"]) == ["only"]
    assert flow["digest"] == document["digest"]
    as_text = await house.client.get(ONE, headers={"accept": "application/yaml"})
    assert (as_text.text, as_text.headers["content-type"].partition(";")[0]) == (TEXT, "application/yaml")


async def test_the_same_text_again_is_no_new_revision(house: House) -> None:
    await saved(house)
    answer = await put(house)
    assert (answer.status_code, answer.json()["revision"], answer.json()["unchanged"]) == (200, 1, True)
    assert (await saved(house, OTHER))["revision"] == 2


async def test_a_flow_can_be_saved_as_json(house: House) -> None:
    flow = {"flow": "checks/one", "nodes": {"only": {"module": "table.make"}}}
    assert (await house.client.put(ONE, json=flow)).status_code == 201
    assert (await house.client.get(ONE)).json()["media_type"] == "application/json"


async def test_errors_in_a_flow_have_line_and_column_and_nothing_is_saved(house: House) -> None:
    answer = await put(house, "flow: checks/one\nnodes:\n  a: {module: table.make, in: b}\n")
    assert (answer.status_code, answer.json()["code"]) == (422, "flow-invalid")
    assert [(problem["line"], problem["code"]) for problem in answer.json()["problems"]] == [(3, "unknown-node")]
    assert (await house.client.get(ONE)).status_code == 404


async def test_an_absent_module_is_a_warning(house: House) -> None:
    assert (await saved(house))["warnings"][0]["code"] == "unknown-module"


async def test_who_saves_over_what_others_saved_is_told(house: House) -> None:
    await saved(house)
    await saved(house, OTHER, **{"if-match": '"1"'})
    answer = await put(house, TEXT, **{"if-match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "was to follow revision 1, but its newest revision is 2" in answer.json()["detail"]
    wrong = await put(house, TEXT, **{"if-match": '"abc"'})
    assert (wrong.status_code, "If-Match is the number of a revision" in wrong.json()["detail"]) == (400, True)


async def test_of_many_who_save_over_the_same_revision_one_does(house: House) -> None:
    texts = [f"{TEXT}timeout: {seconds}\n" for seconds in range(1, 7)]
    answers = await asyncio.gather(*[put(house, text, **{"if-match": '"0"'}) for text in texts])
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
    answers = await asyncio.gather(*[put(house, text) for text in texts])
    assert len({answer.json()["revision"] for answer in answers}) == 6, "no number is given twice"


async def test_the_path_names_the_flow_and_another_name_in_the_text_is_a_warning(house: House) -> None:
    document = await saved(house, path=f"{FLOWS}/team/copy")
    assert (document["namespace"], document["name"]) == ("team", "copy")
    assert document["warnings"][-1]["code"] == "other-name"
    short = TEXT.replace("checks/one", "copy")
    assert all(one["code"] != "other-name" for one in (await saved(house, short, f"{FLOWS}/team/copy"))["warnings"])
    assert (await house.client.get(f"{FLOWS}/team/copy")).json()["flow"]["namespace"] == "team"


@pytest.mark.parametrize("name", ["a b", "1", "é", "x" * 101, "a.b"])
async def test_a_name_that_no_flow_can_have_is_refused(house: House, name: str) -> None:
    answer = await put(house, path=f"{FLOWS}/checks/{name}")
    assert answer.status_code == 400
    assert "cannot be the name of a flow: it has letters, digits, _ and -" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/csv"])
async def test_a_flow_is_yaml_or_json_and_says_so(house: House, kind: str) -> None:
    answer = await put(house, **{"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


async def test_revisions_are_listed_and_read_by_number(house: House) -> None:
    for text in (TEXT, OTHER, TEXT):
        await saved(house, text)
    first = (await house.client.get(f"{ONE}/revisions?limit=2")).json()
    second = (await house.client.get(f"{ONE}/revisions?limit=2&cursor={first['next_cursor']}")).json()
    assert [one["revision"] for one in first["revisions"] + second["revisions"]] == [3, 2, 1]
    assert second["next_cursor"] is None
    assert (await house.client.get(f"{ONE}?revision=2")).json()["text"] == OTHER
    missing = await house.client.get(f"{ONE}?revision=9")
    assert (missing.status_code, "its newest is 3" in missing.json()["detail"]) == (404, True)


async def test_flows_are_listed_by_name(house: House) -> None:
    for path in ("a/y", "a/x", "b/x"):
        await saved(house, path=f"{FLOWS}/{path}")
    first = (await house.client.get(f"{FLOWS}?limit=2")).json()
    second = (await house.client.get(FLOWS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    names = [f"{one['namespace']}/{one['name']}" for one in first["flows"] + second["flows"]]
    assert (names, second["next_cursor"]) == (["a/x", "a/y", "b/x"], None)
    assert len((await house.client.get(f"{FLOWS}?namespace=b")).json()["flows"]) == 1
    assert (await house.client.get(f"{FLOWS}?cursor=x")).status_code == 400


async def test_a_difference_names_parts_and_lines(house: House) -> None:
    await saved(house)
    await saved(house, OTHER)
    found = (await house.client.get(f"{ONE}/diff?from=1&to=2")).json()
    assert (found["nodes"]["added"], found["nodes"]["removed"]) == (["another"], ["only"])
    assert found["settings"]["changed"] == {"timeout_s": {"from": None, "to": 60.0}}
    assert "+timeout: 60\n" in found["text"]
    assert (await house.client.get(f"{ONE}/diff")).json() == found


async def test_a_deleted_flow_is_gone_and_its_number_goes_on(house: House) -> None:
    await saved(house)
    assert (await house.client.delete(ONE)).status_code == 204
    for path in (ONE, f"{ONE}/revisions", f"{ONE}/diff"):
        assert (await house.client.get(path)).status_code == 404
    assert (await house.client.delete(ONE)).status_code == 404
    assert (await saved(house))["revision"] == 2


async def test_a_flow_that_is_not_there_is_said_to_be_missing_with_the_nearest_name(house: House) -> None:
    await saved(house)
    problem = (await house.client.get(f"{FLOWS}/checks/onne")).json()
    assert "there is no saved flow checks/onne (did you mean 'one'?)" in problem["detail"]


class TestRunsByName:
    async def submit(self, house: House, ref: Any, **body: Any) -> Any:
        return await house.client.post("/api/v1/runs", json={"flow": {"ref": ref}, **body})

    async def test_a_run_pins_the_revision_that_it_was_made_of(self, house: House) -> None:
        await saved(house)
        await saved(house, OTHER)
        runs = [(await self.submit(house, ref)).json()["id"] for ref in ("checks/one", "checks/one@1")]
        await saved(house, TEXT + "doc: newer\n")
        documents = [(await house.client.get(f"/api/v1/runs/{run}")).json() for run in runs]
        assert [document["flow_revision"] for document in documents] == [2, 1]
        assert [document["steps"][0]["id"] for document in documents] == ["another", "only"]
        assert [document["timeout_s"] for document in documents] == [60.0, None]

    async def test_a_name_without_a_namespace_is_in_the_default_one(self, house: House) -> None:
        await saved(house, TEXT.replace("checks/", ""), f"{FLOWS}/default/one")
        assert (await self.submit(house, "one")).status_code == 202

    @pytest.mark.parametrize("ref", ["", "a/b/c", "a@b", "a@", "@1", 3, None])
    async def test_a_reference_that_cannot_be_read_is_refused(self, house: House, ref: Any) -> None:
        answer = await self.submit(house, ref)
        assert answer.status_code == 400
        assert "NAMESPACE/NAME" in answer.json()["detail"]

    async def test_a_reference_stands_alone(self, house: House) -> None:
        await saved(house)
        answer = await house.client.post("/api/v1/runs", json={"flow": {"ref": "checks/one", "nodes": {}}})
        assert (answer.status_code, "with nothing beside it" in answer.json()["detail"]) == (400, True)

    async def test_a_flow_or_revision_that_is_not_there_is_not_found(self, house: House) -> None:
        await saved(house)
        assert (await self.submit(house, "checks/two")).status_code == 404
        answer = await self.submit(house, "checks/one@7")
        assert (answer.status_code, "has no revision 7" in answer.json()["detail"]) == (404, True)

    async def test_a_saved_flow_is_checked_again_against_the_modules_that_are_there(self, house: House) -> None:
        await saved(house)
        assert (await self.submit(house, "checks/one", strict=True)).status_code == 422
        assert (await self.submit(house, "checks/one")).json()["warnings"]
        await house.plug_in(contract_of())
        assert (await self.submit(house, "checks/one", strict=True)).json()["warnings"] == []
