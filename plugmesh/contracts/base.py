"""What every contract has in common: frozen, versioned, tolerant of newer minor versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict

from plugmesh.errors import ProtocolMismatch

PROTOCOL = "1.0"
"""Version `major.minor` of everything that crosses a process. A newer minor only adds fields with defaults."""

NAME_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_-]{0,99}$"
"""Names of nodes, ports, params, inputs, outputs and namespaces: no dots, so that a step id can be split at them."""

MODULE_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$"
"""Names of modules: dotted lower-case words, at most 200 characters."""


def _supported(version: str) -> str:
    if version == PROTOCOL:
        return version
    major = version.partition(".")[0]
    supported = PROTOCOL.partition(".")[0]
    if not major.isdecimal() or int(major) > int(supported):
        raise ProtocolMismatch(
            f"this message speaks protocol {version!r}, but this side understands {supported}.x: "
            "upgrade Plugmesh here, or start the other side with an older version"
        )
    return version


ProtocolVersion = Annotated[str, AfterValidator(_supported)]


class Contract(BaseModel):
    """Immutable data. Unknown fields are ignored: they come from a newer minor version."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with changed fields. What was computed once from the old fields (digests) is computed again."""
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - type(copy).model_fields.keys():
            del copy.__dict__[name]
        return copy


class Versioned(Contract):
    """A document that crosses a process on its own.

    Raises `ProtocolMismatch` when read from a newer major version.
    """

    v: ProtocolVersion = PROTOCOL

    def encode(self) -> bytes:
        """Compact JSON without nulls; what travels on the bus and lies in the object store."""
        # What `model_dump_json` does, without making text of the bytes and bytes of the text.
        data: bytes = self.__pydantic_serializer__.to_json(self, exclude_none=True, by_alias=True)
        return data
