"""The description of the API is complete: texts, schemas, examples, limits and problems of every operation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import validator_for

from gateway.documents.problem import CODES_OF
from gateway.parameters import TRACE_HEADER
from gateway.problems import MEDIA_TYPE
from plugmesh.codes.table import CODES
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House

BINARY = {"type": "string", "format": "binary"}
FREE = {
    "ModuleContract.params",  # a JSON Schema
    "FlowBody",  # checked by reading it, and so are the next ones
    "RunRequest.flow",
    "RunRequest.inputs",
    "RerunRequest.inputs",
    "ExplainRequest.flow",
    "ExplainRequest.inputs",
    "Description",  # OpenAPI describes itself
}
"""Schemas whose fields cannot be named here."""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    async def describe() -> dict[str, Any]:
        house = House(tmp_path_factory.mktemp("house"))
        await house.start(Settings())
        found: dict[str, Any] = house.app.openapi()
        await house.stop()
        return found

    return asyncio.run(describe())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where, media type and content of the request and of each answer."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "request", kind, content
    for status, answer in operation["responses"].items():
        for kind, content in answer.get("content", {}).items():
            yield status, kind, content


def test_every_operation_has_a_name_and_texts(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert len(names) > 40
    for where, operation in operations(document):
        assert operation["summary"], where
        assert len(operation["summary"]) < 120, where
        assert operation["description"], where
        assert len(operation["tags"]) == 1, where


def test_every_answer_says_what_it_is(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        good = [status for status in operation["responses"] if status < "400"]
        assert good, where
        for status, answer in operation["responses"].items():
            assert answer["description"] not in {"", "Successful Response", "Validation Error"}, (where, status)
            if status not in {"204", "304"}:
                assert answer["content"], (where, status)


def test_every_body_has_a_schema_and_an_example(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        for part, kind, content in bodies(operation):
            assert content.get("schema") or content["itemSchema"], (where, part, kind)
            binary_answer = part != "request" and content.get("schema") == BINARY
            assert binary_answer or "example" in content or content.get("examples"), (where, part, kind)


def test_examples_are_what_their_schemas_say(document: dict[str, Any]) -> None:
    validators: dict[str, Any] = {}
    for where, operation in operations(document):
        for part, kind, content in bodies(operation):
            if "json" not in kind or "ndjson" in kind:
                continue
            shown = [content["example"]] if "example" in content else []
            shown += [one["value"] for one in content.get("examples", {}).values()]
            schema = content["schema"]
            if str(schema) not in validators:
                validators[str(schema)] = validator_for({**schema, "components": document["components"]})
            for example in shown:
                wrong = validators[str(schema)].iter_errors(example)
                assert [str(error.message) for error in wrong] == [], (where, part)


def test_no_answer_is_an_object_of_anything(document: dict[str, Any]) -> None:
    found = set()
    for name, schema in document["components"]["schemas"].items():
        for place, part in _objects(name, schema):
            further = isinstance(part.get("additionalProperties"), dict) or part.get("patternProperties")
            typed = part.get("properties") or further
            if not typed or part.get("additionalProperties") is True:
                found.add(place)
    assert found <= FREE


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for reference in _references(document):
        assert reference.startswith("#/components/schemas/"), reference
        assert reference.rpartition("/")[2] in schemas, reference


def test_every_parameter_has_a_text_and_limits(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        for parameter in operation.get("parameters", []):
            place = (where, parameter["name"])
            assert parameter.get("description"), place
            if parameter["name"] == TRACE_HEADER["name"]:
                continue  # W3C: what is no trace is ignored, however long it is
            for schema in _alternatives(parameter["schema"]):
                assert _limited(schema), place


def test_every_problem_is_named_by_its_codes(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "400" or (where, status) == ("GET /readyz", "503"):
                continue
            assert list(answer["content"]) == [MEDIA_TYPE], (where, status)
            codes = answer[CODES_OF]
            assert codes, (where, status)
            assert {CODES[code].status for code in codes} == {int(status)}, (where, status)
            assert list(answer["content"][MEDIA_TYPE]["examples"]) == codes, (where, status)


def test_every_operation_says_who_may_use_it(document: dict[str, Any]) -> None:
    assert document["security"]
    for where, operation in operations(document):
        assert {"401", "403", "500"} <= operation["responses"].keys(), where


def _objects(place: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        yield place, schema
    for name, part in schema.get("properties", {}).items():
        yield from _objects(f"{place}.{name}", part)
    for part in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())):
        yield from _objects(place, part)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in schema.get("anyOf", [schema]):
        if one.get("type") == "array":
            assert "maxItems" in one
            yield one["items"]
        elif one.get("type") != "null":
            yield one


def _limited(schema: dict[str, Any]) -> bool:
    if "enum" in schema or "const" in schema or schema["type"] == "boolean":
        return True
    if schema["type"] == "string":
        return "maxLength" in schema
    return "minimum" in schema and ("maximum" in schema or schema["type"] == "number")
