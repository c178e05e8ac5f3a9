"""Answers about the server itself."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from gateway.documents.document import Document, example


class Health(Document):
    """What answers. Who shows no token where one is needed is told only `alive`."""

    model_config = example(
        alive=True,
        service="plugmesh",
        version="0.2.0",
        protocol="1.0",
        python="3.12.8",
        architecture="x86_64",
        system="Linux",
    )

    alive: Literal[True]
    service: Literal["plugmesh"] = "plugmesh"
    version: str = ""
    protocol: str = Field(default="", description="Version of what crosses processes")
    python: str = ""
    architecture: str = ""
    system: str = ""


class Readiness(Document):
    """Whether the server can take work, and of each part `ok` or what is wrong with it."""

    model_config = example(ready=True, checks={"state": "ok", "modules": "ok", "scheduler": "ok"})

    ready: bool
    checks: dict[str, str]


class Description(Document):
    """This API as an OpenAPI 3.1 document."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"openapi": "3.1.0", "info": {"title": "Plugmesh"}, "paths": {}}]},
    )

    openapi: str
    info: dict[str, JsonValue]
    paths: dict[str, JsonValue]
