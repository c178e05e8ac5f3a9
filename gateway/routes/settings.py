"""`/settings`: what is set, and changing it while the server runs."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, JsonValue
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.bodies import read_json, read_json_body, read_model
from gateway.core import Gateway
from gateway.documents.document import answers
from gateway.documents.problem import problems
from gateway.documents.settings import SettingList, ShownSetting
from gateway.parameters import path_parameter
from gateway.routing import API, actor_of, json_body
from plugmesh.settings.stored import StoredSettings

_BODY_BYTES = 64 * 1024
_NAME = [path_parameter("name", "The setting's name", "rows_default")]


class SettingRequest(BaseModel):
    """`PUT /settings/{name}`: the value, as in a settings file; `null` or `"none"` for without."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"value": 200}]})

    value: JsonValue


class SettingsRoutes:
    """Endpoints about settings."""

    def __init__(self, gateway: Gateway) -> None:
        self._settings = StoredSettings(gateway.settings, gateway.state, gateway.runtime)

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        many, one = f"{API}/settings", f"{API}/settings/{{name}}"
        path = {"parameters": _NAME}
        put = {**json_body(SettingRequest), **path}
        tags: list[str] = ["settings"]
        add = app.add_api_route
        shown = answers(ShownSetting)
        changed = shown | problems("conflict", "request-invalid")
        add(many, self.list_settings, methods=["GET"], tags=[*tags], responses=answers(SettingList))
        add(one, self.get, methods=["GET"], tags=[*tags], openapi_extra=path, responses=shown)
        add(one, self.put, methods=["PUT"], tags=[*tags], openapi_extra=put, responses=changed)
        add(one, self.delete, methods=["DELETE"], tags=[*tags], openapi_extra=path, responses=changed)

    @access(Action.LIST, Kind.SETTING)
    async def list_settings(self, request: Request) -> Response:
        """Every setting: `value`, `default`, `source` (where the value comes from), `changeable` while the server runs.

        Secrets are not shown.
        """
        return Json({"settings": self._settings.all()})

    @access(Action.READ, Kind.SETTING)
    async def get(self, request: Request) -> Response:
        """One setting."""
        return Json(self._settings.one(request.path_params["name"]))

    @access(Action.WRITE, Kind.SETTING)
    async def put(self, request: Request) -> Response:
        """Change a setting: in force at once, and after a restart. 409 for one that needs a restart to change."""
        asked = read_model(SettingRequest, read_json(await read_json_body(request, _BODY_BYTES)))
        return Json(await self._settings.put(request.path_params["name"], asked.value, actor_of(request).name))

    @access(Action.WRITE, Kind.SETTING)
    async def delete(self, request: Request) -> Response:
        """Back to what is configured by options, environment and file."""
        return Json(await self._settings.reset(request.path_params["name"], actor_of(request).name))
