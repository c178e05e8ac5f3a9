"""Every text of limited length has room for what the mesh lets in: servers refuse what is longer, and SQLite does not say so."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from annotated_types import MaxLen
from pydantic import BaseModel

from gateway.batch import _KEY_CHARACTERS
from gateway.permits import _LONGEST
from gateway.requests import _STEP_CHARACTERS, RunRequest
from gateway.uploads import _MEDIA_TYPE, check_name, media_type_of
from plugmesh.contracts.base import NAME_PATTERN
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.instance import INSTANCE_CHARACTERS, Registration
from plugmesh.contracts.module import VERSION_CHARACTERS, ModuleContract
from plugmesh.contracts.run import AttemptState, Command, Permit, RunState, StepState, Submission
from plugmesh.flows.surface import NAME
from plugmesh.objects.keys import KEY_LIMIT
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.group import Group
from plugmesh.settings.settings import Settings
from plugmesh.state import dead_letters, notifications
from plugmesh.state.schema import metadata
from plugmesh.state.store import State
from plugmesh.state.writes import Writer
from tests.databases import new_database

NAME_CHARACTERS = 100
ID = len(SystemRuntime().new_id("notification"))
"""Ids that the mesh makes; no word before the number is longer."""
DIGEST = len("sha256:") + 64
HASH = len("xxh3_128:") + 32
ELEMENTS = len(str(2**31))
STEP = NAME_CHARACTERS + 1 + ELEMENTS
ACTOR = len("session")
"""Names of actors are words of `gateway.access`, until there are people with names."""


def longest(model: type[BaseModel], field: str) -> int:
    """What a contract lets in."""
    (found,) = [one.max_length for one in model.model_fields[field].metadata if isinstance(one, MaxLen)]
    return int(found)


def words(*groups: Any) -> int:
    return max(len(str(word)) for group in groups for word in group)


MODULE, VERSION = longest(ModuleContract, "name"), longest(ModuleContract, "version")
KEY = longest(Submission, "idempotency_key")
PERMIT = longest(Permit, "name")
SETTING = max(len(name) for table in Group.__subclasses__() for name in table.model_fields)
KINDS = words(get_args(Command.model_fields["kind"].annotation))

IN: dict[str, int] = {
    "mesh.name": 30, "mesh.value": 0,
    "shard.owner": ID, "shard.position": 64, "scheduler.id": ID,
    "process.id": ID, "process.role": words(["gateway", "scheduler", "builtins", "up"]), "process.host": 255,
    "process.version": VERSION_CHARACTERS, "process.knows": 32,
    "revision.digest": DIGEST, "revision.namespace": NAME_CHARACTERS, "revision.name": NAME_CHARACTERS,
    "run.id": ID, "run.namespace": NAME_CHARACTERS, "run.flow": NAME_CHARACTERS, "run.state": words(RunState),
    "run.idempotency_key": KEY, "run.actor": ACTOR, "run.origin": ID, "run.request_hash": longest(Submission, "request_hash"),
    "run_label.name": NAME_CHARACTERS, "run_label.value": 200,
    "permit.namespace": NAME_CHARACTERS, "permit.name": PERMIT, "permit.run": ID,
    "run_pin.run": ID, "run_pin.actor": ACTOR,
    "step.id": STEP, "step.state": words(StepState), "step.instance": longest(Registration, "instance"), "step.version": VERSION,
    "attempt.step": STEP, "attempt.state": words(AttemptState), "attempt.instance": longest(Registration, "instance"),
    "command.id": ID, "command.run": ID, "command.kind": KINDS, "command.actor": ACTOR,
    "contract.name": MODULE, "contract.version": VERSION, "contract.digest": DIGEST,
    "file.namespace": NAME_CHARACTERS, "file.name": 255, "file.object": KEY_LIMIT, "file.hash": HASH, "file.media_type": 200,
    "file.actor": ACTOR,
    "saved_flow.namespace": NAME_CHARACTERS, "saved_flow.name": NAME_CHARACTERS,
    "saved_revision.namespace": NAME_CHARACTERS, "saved_revision.name": NAME_CHARACTERS,
    "saved_revision.media_type": words(["application/yaml", "application/json"]), "saved_revision.actor": ACTOR,
    "module_switch.module": MODULE, "module_switch.version": VERSION, "module_switch.actor": ACTOR,
    "module_switch.kind": words(["disabled", "quarantined"]),
    "conviction.module": MODULE, "conviction.version": VERSION, "conviction.run": ID, "conviction.step": STEP,
    "setting.name": SETTING, "setting.actor": ACTOR,
    "notification.id": ID + 1 + 4, "notification.run": ID, "notification.namespace": NAME_CHARACTERS,
    "notification.state": words(notifications.STATES),
    "dead_letter.id": ID + 1 + STEP, "dead_letter.run": ID, "dead_letter.namespace": NAME_CHARACTERS,
    "dead_letter.flow": NAME_CHARACTERS, "dead_letter.step": STEP, "dead_letter.module": MODULE + 1 + VERSION,
    "dead_letter.outcome": words(StepState), "dead_letter.state": words(dead_letters.STATES), "dead_letter.redrive": ID,
    "dead_letter.actor": ACTOR,
    "run_data.run": ID, "run_data.namespace": NAME_CHARACTERS, "run_data.flow": NAME_CHARACTERS,
    "run_borrow.run": ID, "run_borrow.lender": KEY_LIMIT,
    "plan_answer.question": 64,
}  # fmt: skip
"""The longest text that gets into each column."""

COLUMNS = [
    pytest.param(column, id=f"{table.name}.{column.name}")
    for table in metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, sa.String) and column.type.length is not None
]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_has_room_for_the_longest_text_that_is_let_in(column: sa.Column[str]) -> None:
    assert isinstance(column.type, sa.String)
    assert column.type.length is not None
    assert IN[f"{column.table.name}.{column.name}"] <= column.type.length


def test_names_have_at_most_as_many_characters_as_are_counted_here() -> None:
    assert NAME.pattern == NAME_PATTERN
    assert re.fullmatch(NAME_PATTERN, "a" * NAME_CHARACTERS)
    assert not re.fullmatch(NAME_PATTERN, "a" * (NAME_CHARACTERS + 1))


def test_what_the_gateway_lets_in_is_not_longer() -> None:
    assert longest(ModuleContract, "version") == VERSION_CHARACTERS
    assert longest(Registration, "instance") == INSTANCE_CHARACTERS
    assert len(f"{'k' * _KEY_CHARACTERS}/{10_000}") <= KEY
    assert _LONGEST <= PERMIT
    assert _STEP_CHARACTERS >= STEP
    assert len(check_name("n" * 255)) == IN["file.name"]
    assert _MEDIA_TYPE.fullmatch(f"{'a' * 100}/{'b' * 99}")
    assert len(media_type_of("x.csv", f"{'a' * 100}/{'b' * 100}")) < IN["file.media_type"]
    labels = str(RunRequest.model_json_schema()["properties"]["labels"])
    assert f"'maxLength': {IN['run_label.value']}" in labels


def test_a_version_that_is_too_long_is_refused_where_it_is_declared() -> None:
    with pytest.raises(ValueError, match="at most 64 characters"):
        ModuleContract(name="a.b", version="1.0.0-" + "x" * VERSION_CHARACTERS)


async def test_a_contract_that_is_not_taken_any_more_keeps_no_mesh_from_its_start(tmp_path: Path) -> None:
    state = await State.open(new_database(tmp_path), SystemRuntime())
    old = ModuleContract(name="a.b").model_dump_json().replace("0.1.0", "1.0.0-" + "x" * VERSION_CHARACTERS)
    for name, body in (("a.b", old), ("a.c", ModuleContract(name="a.c").model_dump_json())):
        await state.write(Writer.record_contract, name, "1", "d", body)
    assert [one.name for one in await state.load()] == ["a.c"]
    await state.close()


def test_all_settings_are_counted() -> None:
    assert {name for group in Group.__subclasses__() for name in group.model_fields} >= {"state", "port"}
    assert Settings().state == ""


def test_a_digest_is_as_long_as_is_counted_here() -> None:
    assert len(Flow(name="f", nodes={"a": Node(module="x.y")}).digest) == DIGEST
