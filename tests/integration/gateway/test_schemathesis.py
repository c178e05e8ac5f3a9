"""The API does what its description says: generated requests, right and wrong ones, for every operation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from requests import Request
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from tests.integration.gateway.house import URL
from tests.integration.gateway.whole_house import WholeHouse

CHECKS: list[Any] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
NOT_SO = {
    ("POST /api/v1/runs:batch", checks.negative_data_rejection),  # each of its requests has an answer of its own
    ("POST /api/v1/validate", checks.negative_data_rejection),  # what is wrong is the answer
}
TAGS = ["data", "dlq", "feed", "files", "flows", "health", "instances", "modules", "notifications", "runs", "session"]
TAGS += ["settings", "steps", "mesh"]
QUICK, MANY = 3, 50
"""Requests of one kind to one operation."""


_settings = partial(
    settings,
    database=None,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeHouse]:
    house = WholeHouse(tmp_path_factory.mktemp("house"))
    yield house
    house.stop()


@pytest.fixture(scope="module")
def api(house: WholeHouse) -> Any:
    return schemathesis.openapi.from_dict(house.description())


# Those of data read tables in processes of their own, which takes longer than all others together.
@pytest.mark.parametrize("tag", [pytest.param(tag, marks=pytest.mark.full if tag == "data" else ()) for tag in TAGS])
def test_answers_are_as_described(house: WholeHouse, api: Any, tag: str) -> None:
    ask_all(house, api, tag, QUICK)


@pytest.mark.full
@pytest.mark.parametrize("tag", TAGS)
def test_many_answers_are_as_described(house: WholeHouse, api: Any, tag: str) -> None:
    ask_all(house, api, tag, MANY)


def test_every_operation_is_asked(api: Any) -> None:
    assert {operation.tags[0] for operation in all_operations(api)} == set(TAGS)


def all_operations(api: Any) -> list[Any]:
    """The operations; those that take something away come last."""
    found = [one.ok() for one in api.get_all_operations()]
    return sorted(found, key=lambda operation: operation.method == "delete")


def ask_all(house: WholeHouse, api: Any, tag: str, examples: int) -> None:
    """Send generated requests to each operation that has this tag."""
    for operation in all_operations(api):
        if operation.tags[0] == tag:
            house.fill()
            for mode in GenerationMode:
                _ask_one(house, operation, mode, examples)


def _ask_one(house: WholeHouse, operation: Any, mode: GenerationMode, examples: int) -> None:
    case = st.one_of([operation.as_strategy(mode), *_of_what_is_there(house, operation, mode)])
    chosen = [check for check in CHECKS if (operation.label, check) not in NOT_SO]

    @_settings(max_examples=examples)
    @given(case)
    def check(case: schemathesis.Case) -> None:
        prepared = Request(**case.as_transport_kwargs(base_url=URL)).prepare()
        answer = house.ask(prepared)
        found = Response(answer.status, answer.headers, answer.body, prepared, elapsed=0.0, verify=False)
        case.validate_response(found, checks=chosen)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that has no parts
        check()


def _of_what_is_there(house: WholeHouse, operation: Any, mode: GenerationMode) -> Iterator[Any]:
    """Requests about things that are there."""
    names = re.findall(r"{(\w+)}", operation.path)
    if names:
        for index in range(3):
            ids = {name: house.ids[name][index % len(house.ids[name])] for name in names}
            yield operation.as_strategy(mode, path_parameters=ids)
