"""`/modules`: what can be used, its contracts and texts, who uses it, and whether it may be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.bodies import read_json, read_json_body, read_model
from gateway.core import Gateway
from gateway.documents.document import JSON, Responses, answers, stream_of
from gateway.documents.modules import (
    EXAMPLE_CONTRACT,
    ModuleList,
    ModuleUsers,
    OneModule,
    ShownModule,
    VersionsOfModule,
)
from gateway.documents.problem import problems
from gateway.module_docs import module_page
from gateway.parameters import ModuleName as Name
from gateway.routing import API, actor_of, json_body
from gateway.unplugged import Unpluggeds
from plugmesh.contracts.module import ModuleContract
from plugmesh.state.convictions import convictions_of
from plugmesh.state.modules import module_users

Version = Annotated[str, Path(description="A version, like `1.2.0`", max_length=100, examples=["1.0.0"])]
ThisVersion = Annotated[
    str | None, Query(description="Of this version; of the one that a run would get now otherwise", max_length=100)
]

Most = Annotated[int, Query(ge=1, le=1000, description="Of flows, and of runs")]

MOST_CONVICTIONS = 20
"""So many are shown of a module."""
MARKDOWN = "text/markdown; charset=utf-8"


class SwitchRequest(BaseModel):
    """`POST /modules/{name}/disable` and `/enable`: one version, or all of them, and why."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"version": "1.0.0", "reason": "too slow"}]}
    )

    version: str | None = Field(default=None, min_length=1, max_length=64)
    reason: str = Field(default="", max_length=1000)


class ModuleRoutes:
    """Endpoints about modules."""

    def __init__(self, gateway: Gateway, unplugged: Unpluggeds = tuple) -> None:
        self._gateway = gateway
        self._unplugged = unplugged
        self._modules = gateway.modules

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        many, one = f"{API}/modules", f"{API}/modules/{{name}}"
        contract = answers(ModuleContract)
        contract[200]["content"][JSON]["example"] = EXAMPLE_CONTRACT
        page = stream_of(
            {"text/markdown": "# Filter rows\n\nKeep the rows for which an expression is true.\n"}, "A page"
        )
        gets: tuple[tuple[str, Callable[..., Any], Responses], ...] = (
            (many, self.list_modules, answers(ModuleList)),
            (one, self.get, answers(OneModule)),
            (f"{one}/versions", self.versions, answers(VersionsOfModule)),
            (f"{one}/versions/{{version}}", self.contract, contract),
            (f"{one}/docs", self.docs, page),
            (f"{one}/users", self.users, answers(ModuleUsers)),
        )
        for path, endpoint, found in gets:
            app.add_api_route(path, endpoint, methods=["GET"], tags=["modules"], responses=found)
        body = json_body(SwitchRequest, required=False)
        for verb, switch in (("disable", self.disable), ("enable", self.enable)):
            app.add_api_route(
                f"{one}/{verb}",
                switch,
                methods=["POST"],
                tags=["modules"],
                openapi_extra=body,
                responses=answers(ShownModule) | problems("conflict", "request-invalid"),
            )

    @access(Action.LIST, Kind.MODULE)
    async def list_modules(self, request: Request) -> Response:
        """Every module that was ever here: versions, kind, texts, who disabled it or why it is quarantined (`disabled`,
        by its `kind`), and `live`, the number of instances that can be given work for it. `not_plugged_in` are the files
        of watched folders that could not be plugged in."""
        files = [asdict(file) for file in self._unplugged()]
        return Json({"modules": self._modules.all(), "not_plugged_in": files})

    @access(Action.READ, Kind.MODULE)
    async def get(self, name: Name, version: ThisVersion = None) -> Response:
        """A module's contract: of the asked version, or of the one that a run would get now. `disabled` says who disabled
        it, or why the mesh quarantined it; `convictions` are the steps that ended its processes."""
        found = self._modules.contract(name, version)
        told = await self._gateway.state.read(convictions_of, name, MOST_CONVICTIONS)
        convictions = [{key: value for key, value in one._asdict().items() if key != "module"} for one in told]
        return Json({**found, "convictions": convictions})

    @access(Action.READ, Kind.MODULE)
    async def versions(self, name: Name) -> Response:
        """Every version that was ever here, newest first, with the instances that can be given work for it."""
        return Json({"name": name, "versions": self._modules.all_versions(name)})

    @access(Action.READ, Kind.MODULE)
    async def contract(self, name: Name, version: Version) -> Response:
        """The contract of one version, as its instances registered it."""
        return Json(self._modules.known(name, version).model_dump(mode="json"))

    @access(Action.READ, Kind.MODULE)
    async def docs(self, name: Name, version: ThisVersion = None) -> Response:
        """The module's page, made from its contract, as Markdown."""
        headers = {"x-content-type-options": "nosniff"}
        page = module_page(self._modules.known(name, version))
        return Response(page, media_type=MARKDOWN, headers=headers)

    @access(Action.READ, Kind.MODULE)
    async def users(self, name: Name, limit: Most = 100) -> Response:
        """The saved flows whose newest revision uses the module, and the runs with it that have not ended.

        At most `limit` of each; `whole` is false if there are more.
        """
        self._modules.known(name)
        users = await self._gateway.state.read(module_users, name, limit=limit)
        return Json({"name": name, "flows": users.flows, "runs": users.runs, "whole": users.whole})

    @access(Action.WRITE, Kind.MODULE)
    async def disable(self, request: Request, name: Name) -> Response:
        """Give a module, or one of its versions, no new attempts: what runs goes on, other steps park and say why."""
        asked = await self._switch(request)
        at, actor = self._gateway.runtime.wall(), actor_of(request).name
        changed = await self._modules.disable(name, asked.version, actor=actor, reason=asked.reason, at=at)
        return Json(changed)

    @access(Action.WRITE, Kind.MODULE)
    async def enable(self, request: Request, name: Name) -> Response:
        """Let a module be used again (without `version`: all of its versions); steps that waited for it go on.

        It lifts a quarantine, too: what was counted until then does not count any more.
        """
        asked = await self._switch(request)
        return Json(await self._modules.enable(name, asked.version))

    async def _switch(self, request: Request) -> SwitchRequest:
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        return read_model(SwitchRequest, read_json(body)) if body else SwitchRequest()
