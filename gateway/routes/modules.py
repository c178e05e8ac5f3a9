"""`/modules` and `/instances`: what can be used, and who serves it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.core import Gateway
from gateway.routing import API, responses


class ModuleRoutes:
    """Endpoints about modules and instances."""

    def __init__(self, gateway: Gateway) -> None:
        self._modules = gateway.modules

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        add = app.add_api_route
        add(f"{API}/modules", self.list_modules, methods=["GET"], tags=["modules"])
        add(f"{API}/modules/{{name}}", self.get, methods=["GET"], tags=["modules"], responses=responses(404))
        add(f"{API}/instances", self.instances, methods=["GET"], tags=["modules"])

    @access(Action.LIST, Kind.MODULE)
    async def list_modules(self, request: Request) -> Response:
        """Every module that was ever here: versions, kind, texts, and `live`, the number of instances serving it."""
        return Json({"modules": self._modules.all()})

    @access(Action.READ, Kind.MODULE)
    async def get(self, name: str, version: str | None = None) -> Response:
        """A module's contract: of the asked version, or of the one that a run would get now."""
        return Json(self._modules.contract(name, version))

    @access(Action.LIST, Kind.INSTANCE)
    async def instances(self, request: Request) -> Response:
        """Every known instance with its liveness, slots and modules, and those of its modules that were refused."""
        return Json({"instances": self._modules.instances()})
