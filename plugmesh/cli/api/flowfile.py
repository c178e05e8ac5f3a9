"""A flow file, or the name of a saved flow, and what is handed in with it on the command line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugmesh.errors import ConfigurationError, NotFound

_SAVED = re.compile(r"(?:[A-Za-z_][\w-]*/[A-Za-z_][\w-]*|[A-Za-z_][\w-]*@\d+|[A-Za-z_][\w-]*/[A-Za-z_][\w-]*@\d+)")
"""`NAMESPACE/NAME`, with or without `@REVISION`, or `NAME@REVISION`."""

Upload = Callable[[str, Path], Any]
"""Stores a local file under a name; returns the version that was made."""


@dataclass(frozen=True, slots=True)
class FlowFile:
    """The text of a flow, and what it is called in messages; or, with `saved`, a flow that the mesh keeps."""

    name: str
    text: str = ""
    saved: bool = False

    @property
    def submitted(self) -> str | dict[str, str]:
        """What a request says it wants to run."""
        return {"ref": self.name} if self.saved else self.text


def read_flow(path: str) -> FlowFile:
    """Read a flow; `-` is standard input. Raises `NotFound`, `ConfigurationError`."""
    try:
        return FlowFile("<stdin>", sys.stdin.read()) if path == "-" else FlowFile(path, Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no flow file {path}") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the flow file {path} cannot be read: {error}") from None


def find_flow(word: str) -> FlowFile:
    """A flow file, or a saved flow where there is no file of that name. Raises `NotFound`, `ConfigurationError`."""
    if _SAVED.fullmatch(word) and not Path(word).exists():
        namespace, name = word.split("/") if "/" in word else ("default", word)
        return FlowFile(f"{namespace}/{name}", saved=True)
    return read_flow(word)


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """`name=value` words as a dict. Raises `ConfigurationError`."""
    found: dict[str, str] = {}
    for word in given:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise ConfigurationError(f"{option} {word!r}: write {option} NAME=VALUE")
        if name in found:
            raise ConfigurationError(f"{option} {name} was given twice")
        found[name] = value
    return found


def hand_in(given: Iterable[str], upload: Upload) -> dict[str, Any]:
    """The inputs of a run: `name=path` is uploaded, `name=@file` is on the mesh already, `name:=JSON` is a value.

    Raises `NotFound` for a path that is not there, before anything is uploaded.
    """
    words = pairs(given, "--input")
    for name, value in words.items():
        if not name.endswith(":") and not value.startswith("@") and not Path(value).is_file():
            raise NotFound(f"--input {name}={value}: there is no such file (a file on the mesh: {name}=@NAME)")
    return {name.removesuffix(":"): _input(upload, name, value) for name, value in words.items()}


def _input(upload: Upload, name: str, value: str) -> dict[str, Any]:
    if name.endswith(":"):
        return {"value": json_of(value, f"--input {name}={value}")}
    if value.startswith("@"):
        return {"file": value[1:]}
    stored = upload(Path(value).name, Path(value))
    fields = ("name", "key", "bytes", "hash", "media_type")
    # The whole reference, not the name: whoever uploads under the same name meanwhile changes nothing for this run.
    return {"kind": "file", **{field: stored[field] for field in fields}}


def params_of(text: str, given: Iterable[str]) -> dict[str, Any]:
    """The params of a run; a param that the flow declares as a string is taken as it is, the others are JSON."""
    words = pairs(given, "--param")
    types = _declared(text) if words else {}
    return {name: _param(value, types.get(name, ""), f"--param {name}={value}") for name, value in words.items()}


def params_like(was: Mapping[str, Any], given: Iterable[str]) -> dict[str, Any]:
    """Other params for a run that had these: one that was a text stays one, the others are JSON."""
    types = {name: "string" for name, value in was.items() if isinstance(value, str)}
    words = pairs(given, "--param")
    return {name: _param(value, types.get(name, ""), f"--param {name}={value}") for name, value in words.items()}


def json_of(text: str, place: str) -> Any:
    """A word of the command line as JSON. Raises `ConfigurationError`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{place}: {text!r} is not JSON: {error}") from None


def _declared(text: str) -> Mapping[str, str]:
    from plugmesh.flows.parse import parse_flow_text  # noqa: PLC0415  slow; few commands read a flow

    parsed = parse_flow_text(text).flow
    return {name: param.type for name, param in parsed.params.items()} if parsed is not None else {}


def _param(value: str, declared: str, place: str) -> Any:
    if declared == "string":
        return value
    if declared:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ConfigurationError(f"{place}: {value!r} is no {declared}, which the flow asks for") from None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
