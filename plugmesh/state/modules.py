"""What is kept about modules besides their contracts: which are disabled or quarantined, and what uses one."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from pydantic import ValidationError

from plugmesh.contracts.module import ModuleContract
from plugmesh.state.reads import Reader
from plugmesh.state.schema import conviction, module_switch, revision, run, saved_flow, saved_revision
from plugmesh.state.writes import Writer

_log = logging.getLogger(__name__)

EVERY_VERSION = "*"
MESH = "mesh"
"""The actor of what nobody has asked for: the mesh itself."""
SwitchKind: TypeAlias = Literal["disabled", "quarantined"]

MOST_REVISIONS = 1000
"""Flows of open runs that are looked through; a mesh with more says that the list is not whole."""


@dataclass(frozen=True, slots=True)
class ModuleSwitch:
    """A module that a person has disabled, in one version or (`*`) in all of them, or a version that the mesh has
    quarantined. `at` is Unix time."""

    module: str
    version: str
    actor: str
    at: float
    reason: str = ""
    kind: SwitchKind = "disabled"

    def __str__(self) -> str:
        who = "quarantined" if self.kind == "quarantined" else f"disabled by {self.actor}"
        return who + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Users:
    """Saved flows and open runs, newest first, at most so many as were asked for; `whole`: there are no more."""

    flows: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    whole: bool


def disable_module(writer: Writer, switch: ModuleSwitch) -> None:
    """Keep a switch; one of the same module and version is replaced."""

    def body() -> None:
        writer.connection.execute(_delete(switch.module, switch.version))
        writer.connection.execute(sa.insert(module_switch).values(**asdict(switch)))

    writer.transaction("module_switch", body)


def enable_module(writer: Writer, module: str, version: str) -> None:
    """Forget the switch of one version, and what spoke against it until now; with `*`, of all of the module."""

    def body() -> None:
        for table in (module_switch, conviction):
            writer.connection.execute(_delete(module, version, table, all_of_it=True))

    writer.transaction("module_switch", body)


def kept_contracts(reader: Reader) -> list[ModuleContract]:
    """Every contract ever seen, but for those that this version does not take any more: whoever serves them is told."""
    found = []
    for text in reader.contracts():
        try:
            found.append(ModuleContract.model_validate_json(text))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            _log.warning("a contract of an older version is left out: %s: %s", first["loc"], first["msg"])
    return found


def module_switches(reader: Reader) -> list[ModuleSwitch]:
    """Everything that is disabled or quarantined."""
    return [ModuleSwitch(**row) for row in reader.documents(sa.select(module_switch))]


def module_users(reader: Reader, module: str, *, limit: int) -> Users:
    """The saved flows whose newest revision uses `module`, and the runs with it that have not ended."""
    flows = _saved_flows(reader, module)
    runs, all_runs = _open_runs(reader, module, limit)
    return Users(flows[:limit], runs, len(flows) <= limit and all_runs)


def _saved_flows(reader: Reader, module: str) -> list[dict[str, Any]]:
    newest = sa.and_(
        saved_revision.c.namespace == saved_flow.c.namespace,
        saved_revision.c.name == saved_flow.c.name,
        saved_revision.c.number == saved_flow.c.number,
    )
    query = (
        sa.select(saved_flow.c.namespace, saved_flow.c.name, saved_flow.c.number, revision.c.flow)
        .join(saved_revision, newest)
        .join(revision, revision.c.key == saved_revision.c.revision)
        .where(saved_flow.c.deleted_at.is_(None), _mentions(module))
        .order_by(saved_flow.c.updated_at.desc())
        .limit(MOST_REVISIONS)
    )
    found = []
    for row in reader.documents(query):
        if used := _references(row["flow"], module):
            place = {"namespace": row["namespace"], "name": row["name"], "revision": row["number"]}
            found.append({**place, "modules": used})
    return found


def _open_runs(reader: Reader, module: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
    unfinished = sa.select(run.c.revision).where(run.c.ended_at.is_(None))
    query = sa.select(revision.c.key, revision.c.flow).where(revision.c.key.in_(unfinished), _mentions(module))
    rows = reader.documents(query.order_by(revision.c.key.desc()).limit(MOST_REVISIONS))
    used = {row["key"]: names for row in rows if (names := _references(row["flow"], module))}
    if not used:
        return [], len(rows) < MOST_REVISIONS
    columns = (run.c.id, run.c.namespace, run.c.flow, run.c.state, run.c.revision)
    wanted = sa.and_(run.c.ended_at.is_(None), run.c.revision.in_(list(used)))
    found = reader.documents(sa.select(*columns).where(wanted).order_by(run.c.key.desc()).limit(limit + 1))
    whole = len(found) <= limit and len(rows) < MOST_REVISIONS
    return [{**row, "modules": used[row.pop("revision")]} for row in found[:limit]], whole


def _mentions(module: str) -> sa.ColumnElement[bool]:
    """A first, coarse look: the flow's JSON text names the module somewhere."""
    return revision.c.flow.contains(f'"{module}', autoescape=True)


def _references(flow: str, module: str) -> list[str]:
    """How the nodes of a flow ask for `module`: `name`, `name@^1`."""
    references = {str(node.get("module", "")) for node in json.loads(flow)["nodes"].values()}
    return sorted(reference for reference in references if reference.partition("@")[0] == module)


def _delete(module: str, version: str, table: sa.Table = module_switch, *, all_of_it: bool = False) -> sa.Delete:
    query = sa.delete(table).where(table.c.module == module)
    return query if all_of_it and version == EVERY_VERSION else query.where(table.c.version == version)
