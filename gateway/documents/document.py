"""How a document is described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, TypeAdapter

Responses: TypeAlias = dict[int | str, dict[str, Any]]

JSON = "application/json"
COMPONENTS = "#/components/schemas/{model}"
"""Where the description of the API has its schemas."""

FRAMES = "x-plugmesh-frames"
"""Where the description of a stream says which document each event carries."""


_LINE = {"itemSchema": {"type": "object"}}


@dataclass(frozen=True, slots=True)
class Described:
    """A schema that is made when the description is asked for: making all of them takes half a second.

    With `event`: of a server-sent event that carries the model as its data; with `mode` "validation", of a body that
    is taken.
    """

    model: type[BaseModel] | UnionType
    event: str = ""
    mode: Literal["validation", "serialization"] = "serialization"

    def schema(self) -> dict[str, Any]:
        """The JSON Schema."""
        document = schema_of(self.model, self.mode)
        if not self.event:
            return document
        data = {"type": "string", "contentMediaType": JSON, "contentSchema": document}
        properties = {"event": {"const": self.event}, "data": data, "id": {"type": "string"}}
        return {"type": "object", "properties": properties, "required": ["event", "data"]}


class Document(BaseModel):
    """An answer, or a part of one. A field without a default is always there; one with a default may be absent."""

    model_config = ConfigDict(extra="forbid")


def example(**fields: Any) -> ConfigDict:
    """The configuration of a document that has this example."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def answers(
    model: type[BaseModel] | UnionType, status: int = 200, text: str = "The answer", *further: int
) -> Responses:
    """The documentation of an answer, for `responses=` of a route; the same at `further` statuses."""
    return {one: {"description": text, "content": {JSON: {"schema": Described(model)}}} for one in (status, *further)}


def no_content(text: str) -> Responses:
    """The documentation of an answer without a body."""
    return {204: {"description": text}}


def stream_of(kinds: Mapping[str, str] | Sequence[str], text: str, *further: int, binary: bool = False) -> Responses:
    """The documentation of an answer that is no JSON document, at status 200 and `further`.

    `kinds` are media types, each with an example unless it is `binary`.
    """
    schema = {"type": "string", "format": "binary"} if binary else {"type": "string"}
    content: dict[str, dict[str, Any]] = {kind: {"schema": schema} for kind in kinds}
    if isinstance(kinds, Mapping):
        content = {
            kind: {**(_LINE if kind.endswith("ndjson") else {"schema": schema}), "example": shown}
            for kind, shown in kinds.items()
        }
    return {status: {"description": text, "content": content} for status in (200, *further)}


def frames_of(frames: Mapping[str, type[BaseModel] | UnionType], text: str, shown: str) -> Responses:
    """The documentation of server-sent events: the document that each event has as its data, and an example."""
    told = [Described(model, event) for event, model in frames.items()]
    content = {"text/event-stream": {"itemSchema": {"anyOf": told}, "example": shown}}
    return {200: {"description": text, "content": content}}


def schema_of(model: Any, mode: Literal["validation", "serialization"] = "validation") -> dict[str, Any]:
    """The JSON Schema of a model, referring to the description's components."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)  # a model, or several of which an answer is one
    return adapter.json_schema(ref_template=COMPONENTS, mode=mode)
