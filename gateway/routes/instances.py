"""`/instances`: who serves modules, what each one does, and what may be asked of it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import FastAPI, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.bodies import read_json, read_json_body, read_model
from gateway.core import Gateway
from gateway.documents.document import answers
from gateway.documents.instances import InstanceList, OneInstance
from gateway.documents.problem import problems
from gateway.parameters import ID_CHARACTERS
from gateway.routing import API, actor_of, json_body

InstanceId = Annotated[
    str, Path(description="The instance's id", max_length=ID_CHARACTERS, examples=["i-06f3k8m2q9s1tbvw"])
]


class DrainRequest(BaseModel):
    """`POST /instances/{instance}/drain`: how long what has started may take; as the instance was configured otherwise."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra={"examples": [{"within_s": 60}]}
    )

    within_s: float | None = Field(default=None, ge=0, le=86_400, allow_inf_nan=False)


class SlotsRequest(BaseModel):
    """`PATCH /instances/{instance}`: how many attempts it runs at a time from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"slots": 4}]})

    slots: int = Field(ge=1, le=1024, strict=True)


class InstanceRoutes:
    """Endpoints about instances."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._instances = gateway.instances

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        many, one = f"{API}/instances", f"{API}/instances/{{instance}}"
        add = app.add_api_route
        tags: list[str | Enum] = ["instances"]
        add(many, self.list_instances, methods=["GET"], tags=tags, responses=answers(InstanceList))
        add(one, self.get, methods=["GET"], tags=tags, responses=answers(OneInstance))
        changed = answers(OneInstance, 202, "It is told") | problems("conflict", "request-invalid")
        slots = json_body(SlotsRequest)
        add(one, self.patch, methods=["PATCH"], tags=tags, status_code=202, openapi_extra=slots, responses=changed)
        drain = json_body(DrainRequest, required=False)
        path = f"{one}/drain"
        add(path, self.drain, methods=["POST"], tags=tags, status_code=202, openapi_extra=drain, responses=changed)

    @access(Action.LIST, Kind.INSTANCE)
    async def list_instances(self, request: Request) -> Response:
        """Every known instance with its liveness, slots and modules, and those of its modules that were refused."""
        return Json({"instances": self._instances.all()})

    @access(Action.READ, Kind.INSTANCE)
    async def get(self, instance: InstanceId) -> Response:
        """One instance: what lists show, what it offers, and the attempts that it said to have in its last beat."""
        return Json(self._instances.one(instance))

    @access(Action.WRITE, Kind.INSTANCE)
    async def drain(self, request: Request, instance: InstanceId) -> Response:
        """Ask an instance to take nothing new, finish what has started, and end. It is told, not waited for."""
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        asked = read_model(DrainRequest, read_json(body)) if body else DrainRequest()
        return Json(await self._instances.drain(instance, actor_of(request).name, asked.within_s), 202)

    @access(Action.WRITE, Kind.INSTANCE)
    async def patch(self, request: Request, instance: InstanceId) -> Response:
        """Let an instance run more or fewer attempts at a time. It registers again with the new number of slots."""
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        asked = read_model(SlotsRequest, read_json(body))
        return Json(await self._instances.set_slots(instance, asked.slots, actor_of(request).name), 202)
