"""Answers are what the description of the API says, and so are its examples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.documents import data, files, flows, health, instances, modules, notifications, problem, retention, runs
from gateway.documents import settings as of_settings
from gateway.documents.document import Document
from gateway.requests import BatchRequest, ControlRequest, RunRequest
from plugmesh.contracts.data import ValueRef
from plugmesh.state.records import AttemptRow
from tests.integration.gateway.house import FLOW, House, step_row

API = "/api/v1"
MODELS = [
    model
    for module in (data, files, flows, health, instances, modules, notifications, problem, retention, runs, of_settings)
    for model in vars(module).values()
    if isinstance(model, type)
    and issubclass(model, Document)
    and model is not Document
    and not model.__name__.startswith("_")
]


@pytest.mark.parametrize("model", [*MODELS, RunRequest, BatchRequest, ControlRequest], ids=lambda model: model.__name__)
def test_examples_are_what_they_are_examples_of(model: Any) -> None:
    extra = model.model_config.get("json_schema_extra") or {}
    for example in extra.get("examples", []):
        model.model_validate(example)


async def answer(house: House, model: type[Document], path: str, method: str = "GET", **request: Any) -> None:
    found = await house.client.request(method, API + path, **request)
    assert found.is_success, found.text
    model.model_validate_json(found.content)


async def test_answers_about_runs_are_as_described(house: House) -> None:
    await answer(house, runs.AcceptedRun, "/runs", "POST", json={"flow": FLOW})
    await answer(house, runs.BatchAnswer, "/runs:batch", "POST", json={"runs": [{"flow": FLOW}, {}]})
    run = await house.submit(labels={"a": "1"})
    await answer(house, runs.ShownRun, f"/runs/{run}")
    lost = AttemptRow(
        run, "only", 1, "lost", "i-1", "gone", '{"type": "E", "message": "m"}', None, 1.0, '{"wall_s": 1.0}'
    )
    await house.intake.commit(run, keys={run: house.intake.keys[run]}, attempts=[lost])
    row = step_row(
        run,
        "only",
        "succeeded",
        ValueRef(value=[1]),
        epoch=2,
        stats='{"rows_in": 1}',
        progress='{"done": 1.0, "total": null, "message": "", "at": 1.0}',
        artifacts=json.dumps([{"kind": "file", "name": "a", "key": "data/k", "bytes": 3, "hash": "xxh3:0"}]),
        ended_at=2.0,
    )
    change = {"change": "step", "step": "only", "state": "succeeded", "at": 2.0}
    await house.intake.advance(run, "succeeded", row, changes=[change])
    one = f"/runs/{run}"
    await answer(house, runs.ShownRun, one)
    await answer(house, runs.RunList, "/runs")
    await answer(house, runs.StepList, f"{one}/steps")
    await answer(house, runs.OneStep, f"{one}/steps/only")
    await answer(house, runs.Timeline, f"{one}/timeline")
    await answer(house, runs.ControlledRun, f"{one}/cancel", "POST")


async def test_answers_about_flows_are_as_described(house: House) -> None:
    one = "/flows/checks/one"
    for doc in ("a", "b"):
        await answer(house, flows.FlowSaved, one, "PUT", json={**FLOW, "doc": doc})
    await answer(house, flows.SavedFlow, one)
    await answer(house, flows.FlowList, "/flows")
    await answer(house, flows.RevisionList, f"{one}/revisions")
    await answer(house, flows.FlowDiff, f"{one}/diff")
    for flow in (FLOW, {**FLOW, "nodes": {}}):
        await answer(house, flows.Validation, "/validate", "POST", json=flow)


async def test_answers_about_files_are_as_described(house: House) -> None:
    await answer(house, files.StoredVersion, "/files/a", "PUT", content=b"x")
    await answer(house, files.FileList, "/files")
    await answer(house, files.VersionList, "/files/a/versions")
