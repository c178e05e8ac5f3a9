"""Which permit a run needs: the name of its line, made of its flow and its params."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.permits import permit_of
from plugmesh.contracts.flow import Concurrency, Flow, FlowParam
from plugmesh.contracts.run import Permit
from plugmesh.errors import FlowInvalid


def flow(key: str | None = None, **limits: Any) -> Flow:
    """A flow that limits its runs."""
    params = {"p": FlowParam(type="object"), "q": FlowParam()}
    return Flow(name="f", params=params, nodes={}, concurrency=Concurrency(key=key, **limits))


def test_a_flow_that_limits_nothing_needs_no_permit() -> None:
    assert permit_of(Flow(name="f", nodes={}), {}) is None


def test_without_a_key_all_runs_of_a_flow_stand_in_one_line() -> None:
    found = permit_of(flow(limit=3, when_full="cancel-new"), {})
    assert found == Permit(name="f", limit=3, when_full="cancel-new")


@pytest.mark.parametrize(
    ("key", "params", "name"),
    [
        ("${params.q}", {"q": "eu"}, "f:eu"),
        ("${params.q}", {"q": 5}, "f:5"),
        ("c-${params.p.id}/${params.q}", {"p": {"id": True}, "q": None}, "f:c-true/null"),
        ("${params.p}", {"p": {"id": 1}}, 'f:{"id":1}'),
    ],
)
def test_the_key_is_filled_in_with_the_params_of_the_run(key: str, params: Any, name: str) -> None:
    found = permit_of(flow(key), params)
    assert found is not None
    assert found.name == name


def test_a_key_that_refers_to_nothing_is_said_with_its_place() -> None:
    with pytest.raises(FlowInvalid, match=r"concurrency\.key.*has no 'id' \(there is name\)"):
        permit_of(flow("${params.p.id}"), {"p": {"name": "x"}})


@given(st.text(max_size=700), st.text(max_size=700))
def test_any_two_values_have_two_names_that_a_database_can_tell_apart(one: str, other: str) -> None:
    names = [found.name for q in (one, other) if (found := permit_of(flow("${params.q}"), {"q": q}))]
    assert all(len(name) <= 500 and name.isprintable() and name.startswith("f:") for name in names)
    assert (names[0] == names[1]) == (one == other)
