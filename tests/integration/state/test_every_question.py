"""Every question that the mesh asks can be asked of every database: found by its signature, asked with anything."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import plugmesh.state
from plugmesh.errors import NotFound
from plugmesh.state.database import Database
from plugmesh.state.reads import Reader
from plugmesh.state.records import StoredRun
from plugmesh.state.runs import RunFilter

RUN = StoredRun(
    key=1, id="r", shard=1, namespace="n", flow="f", revision=1, state="running", reason=None, inputs="{}", params="{}",
    labels="{}", outputs=None, idempotency_key=None, actor="me", origin=None, timeout_s=None, submitted_at=1.0,
    started_at=None, ended_at=None,
)  # fmt: skip
ANYTHING: dict[str, Any] = {
    "int": 1, "float": 1.0, "str": "x", "StoredRun": RUN, "Collection[str]": ["x", "y"], "Sequence[str]": ["x"],
    "Collection[int]": [1, 2], "Part": "data", "tuple[float, str]": (1.0, "x"), "tuple[str, str]": ("x", "y"),
    "RunFilter": RunFilter("n", "f", ["running"], {"a": "b", "c": "d"}, 1.0, 2.0), "FlowName": ("n", "f"),
}  # fmt: skip
"""A value of each type that questions take."""
OF_WHAT_IS_THERE = {"Reader.flow_text", "retention.flow_retention", "flows.flow_source"}
"""They are asked of a row that was read before."""


def questions() -> dict[str, Callable[..., Any]]:
    """Those in all modules of the state: functions whose first parameter is a `Reader`, and its own."""
    found: dict[str, Callable[..., Any]] = {}
    for info in pkgutil.iter_modules(plugmesh.state.__path__):
        if info.name == "migrations":
            continue
        module = importlib.import_module(f"plugmesh.state.{info.name}")
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
                first = next(iter(inspect.signature(function).parameters.values()), None)
                if first is not None and first.annotation == "Reader":
                    found[f"{info.name}.{name}"] = function
    plain = {"rows", "documents"}  # they take a query
    own = {name: value for name, value in vars(Reader).items() if inspect.isfunction(value) and name[0] != "_"}
    return found | {f"Reader.{name}": value for name, value in own.items() if name not in plain}


def anything(parameter: inspect.Parameter, *, whole: bool) -> Any:
    """A value for it: with `whole` also where `None` would do."""
    kinds = [kind.strip() for kind in str(parameter.annotation).split("|")]
    known = [ANYTHING[kind] for kind in kinds if kind in ANYTHING]
    if not whole and "None" in kinds:
        return None
    assert known, f"{parameter}: add a value of that type to ANYTHING"
    return known[0]


@pytest.mark.parametrize("whole", [True, False], ids=["all told", "least told"])
def test_every_question_is_answered(kept_databases, whole, server):
    database = Database(kept_databases(server))
    reader = Reader(database)
    for name, question in questions().items():
        if name in OF_WHAT_IS_THERE:
            continue
        parameters = list(inspect.signature(question).parameters.values())[1:]
        given = {one.name: anything(one, whole=whole) for one in parameters}
        with suppress(NotFound):
            question(reader, **given)
    database.close()


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.servers) for name in ("postgres", "mariadb")])
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_there_are_as_many_questions_as_somebody_has_counted() -> None:
    assert len(questions()) > 60
