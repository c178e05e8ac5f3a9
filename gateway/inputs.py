"""What a submit hands in, as references: a file's name becomes its newest version, which the run keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.errors import RequestInvalid
from gateway.files import find_newest
from plugmesh.contracts.data import (
    VALUE_LIMIT_BYTES,
    AnyReference,
    FileRef,
    Reference,
    ValueRef,
    referenced_keys,
    value_bytes,
)
from plugmesh.contracts.flow import DEFAULT_NAMESPACE
from plugmesh.errors import ConfigurationError, NotFound
from plugmesh.objects.keys import check_key, lender_of
from plugmesh.state.records import StoredFile
from plugmesh.state.retention import gone
from plugmesh.state.store import State

_REFERENCE: TypeAdapter[Reference] = TypeAdapter(Reference)
_FORMS = 'write {"file": "NAME"}, {"value": …} or a whole reference'


async def resolve(state: State, namespace: str, given: Mapping[str, Any]) -> dict[str, AnyReference]:
    """References for the inputs of a request. Raises `RequestInvalid` with every input that cannot be used."""
    found: dict[str, AnyReference] = {}
    problems: list[dict[str, str]] = []
    for name, document in given.items():
        try:
            found[name] = await _resolve(state, namespace, document)
        except (ValueError, NotFound, ConfigurationError) as error:
            problems.append({"where": f"inputs.{name}", "message": _text(error)})
    if problems:
        texts = "; ".join(f"{problem['where']}: {problem['message']}" for problem in problems)
        raise RequestInvalid(f"the run cannot start: {texts}", tuple(problems))
    return found


def file_ref(file: StoredFile) -> FileRef:
    """The reference to one version of a file."""
    return FileRef(name=file.name, key=file.object, bytes=file.bytes, hash=file.hash, media_type=file.media_type)


async def _named(state: State, namespace: str, name: str) -> StoredFile:
    """The file that a run in `namespace` means by `name`: `NAMESPACE/NAME`, or a name there or in `default`."""
    told, slash, rest = name.partition("/")
    if slash:
        return await find_newest(state, (told,), rest)
    return await find_newest(state, tuple(dict.fromkeys((namespace, DEFAULT_NAMESPACE))), name)


async def _resolve(state: State, namespace: str, document: Any) -> AnyReference:
    if not isinstance(document, dict):
        raise ValueError(_FORMS)
    if set(document) == {"file"}:
        if not isinstance(document["file"], str):
            raise ValueError("file must be the name of an uploaded file")
        return file_ref(await _named(state, namespace, document["file"]))
    if set(document) == {"value"}:
        return _value(document["value"])
    if "kind" not in document:
        raise ValueError(_FORMS)
    reference = _REFERENCE.validate_python(document)
    lenders = {lender_of(check_key(key)) for key in referenced_keys(reference)}
    for lender in sorted(await state.read(gone, lenders) if lenders else ()):
        raise ValueError(f"the data of {lender} was removed, as retention says, or deleted: hand in what is there")
    return _value(reference.value) if isinstance(reference, ValueRef) else reference


def _value(value: Any) -> ValueRef:
    size = value_bytes(value)
    if size > VALUE_LIMIT_BYTES:
        raise ValueError(f"the value has {size} bytes of JSON, {VALUE_LIMIT_BYTES} are possible: hand it in as a file")
    return ValueRef(value=value)


def _text(error: Exception) -> str:
    if isinstance(error, ValidationError):
        places = (".".join(str(part) for part in found["loc"]) + ": " + found["msg"] for found in error.errors())
        return "this is no reference: " + "; ".join(places)
    return str(error)
