"""How a document is described."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

Responses: TypeAlias = dict[int | str, dict[str, Any]]


class Document(BaseModel):
    """An answer, or a part of one. Every field is always there unless it says otherwise."""

    model_config = ConfigDict(extra="forbid")


def example(**fields: Any) -> ConfigDict:
    """The configuration of a document that has this example."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def answers(model: type[Document], status: int = 200, text: str = "The answer", *further: int) -> Responses:
    """The documentation of an answer, for `responses=` of a route; the same at `further` statuses."""
    return {one: {"model": model, "description": text} for one in (status, *further)}


def no_content(text: str) -> Responses:
    """The documentation of an answer without a body."""
    return {204: {"description": text}}


def stream_of(media_types: Sequence[str], text: str, *further: int, binary: bool = False) -> Responses:
    """The documentation of an answer that is no JSON document, at status 200 and `further`."""
    schema = {"type": "string", "format": "binary"} if binary else {"type": "string"}
    content = {media_type: {"schema": schema} for media_type in media_types}
    return {status: {"description": text, "content": content} for status in (200, *further)}
