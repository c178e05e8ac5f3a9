"""Types for params that mean something to the mesh: the form shows a column picker, the planner counts columns as read.

Each behaves as the plain value it extends, and marks its JSON Schema with `x-mesh`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class OfPort:
    """Says which input a column belongs to, where there are several: `key: Annotated[Column, OfPort("left")]`."""

    name: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "x-port": self.name}


class _Text(str):
    """A string with a meaning."""

    __slots__ = ()
    mesh: ClassVar[str]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(min_length=1), serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "x-mesh": cls.mesh}


class Column(_Text):
    """The name of a column of an input. It counts as read."""

    mesh = "column"


class Expression(_Text):
    """A SQL expression over an input's columns. The columns it names count as read."""

    mesh = "expression"


class Connection(_Text):
    """The name of a connection. The mesh keeps none so far: the module looks it up where it runs."""

    mesh = "connection"


class Secret(_Text):
    """A secret, or where it is. Its `repr` does not show it, so that it does not reach a log by accident; the mesh stores
    and shows the params of a run as they are, so it is better the name of a variable or file that has it."""

    mesh = "secret"

    def __repr__(self) -> str:
        return "Secret('***')"


class Columns(list[str]):
    """Names of columns of an input, in order. They count as read."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.list_schema(core_schema.str_schema(min_length=1))
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "minLength": 1}, "x-mesh": "columns"}
