"""Answering a question about a module's plan in an executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from module_sdk.executor.runner import Runner
from module_sdk.planning import answer
from module_sdk.workspace import Workspace
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES
from plugmesh.contracts.messages import AskPlan, PlanAnswered

_ERROR_CHARS = 1000


def planned(runner: Runner, asked: AskPlan, loaded: Callable[[], object] = bool) -> bytes:
    """The answer, as a message; whatever goes wrong is said in it. `loaded` is called when the module's file was imported
    for it."""
    try:
        said = _answered(runner, asked, loaded)
    except BaseException as error:  # noqa: BLE001  whatever user code raises is no answer, and not our end
        return _without(asked, f"{type(error).__name__}: {error}"[:_ERROR_CHARS])
    return said if len(said) <= MESSAGE_LIMIT_BYTES else _without(asked, "its columns are too many for a message")


def _answered(runner: Runner, asked: AskPlan, loaded: Callable[[], object]) -> bytes:
    question = asked.question
    cold = not runner.is_loaded(question)
    caller = runner.caller(question)
    if cold:
        loaded()
    workspace = Workspace(lambda: runner.store, _no_key, runner.outside)
    try:
        found = answer(caller.module, question, workspace.file)
    finally:
        workspace.close()
    return PlanAnswered(instance=asked.instance, id=asked.id, answer=found).encode()


def _without(asked: AskPlan, error: str) -> bytes:
    return PlanAnswered(instance=asked.instance, id=asked.id, error=error).encode()


def _no_key(word: str) -> NoReturn:
    raise AssertionError(f"a plan writes nothing, not even {word!r}")
