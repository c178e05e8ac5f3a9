"""A flow file and what is handed in with it on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugmesh.cli.client import MeshClient
from plugmesh.errors import ConfigurationError, NotFound
from plugmesh.flows.parse import parse_flow_text


@dataclass(frozen=True, slots=True)
class FlowFile:
    """The text of a flow, and what it is called in messages."""

    name: str
    text: str


def read_flow(path: str) -> FlowFile:
    """Read a flow; `-` is standard input. Raises `NotFound`, `ConfigurationError`."""
    if path == "-":
        return FlowFile("<stdin>", sys.stdin.read())
    try:
        return FlowFile(path, Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no flow file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the flow file {path} cannot be read: {error}") from None


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


def hand_in(client: MeshClient, given: Iterable[str]) -> dict[str, Any]:
    """The inputs of a run: `name=path` is uploaded, `name=@file` is on the mesh already, `name:=JSON` is a value.

    Raises `NotFound` for a path that is not there, before anything is uploaded.
    """
    words = pairs(given, "--input")
    for name, value in words.items():
        if not name.endswith(":") and not value.startswith("@") and not Path(value).is_file():
            raise NotFound(f"--input {name}={value}: there is no such file (a file on the mesh: {name}=@NAME)")
    return {name.removesuffix(":"): _input(client, name, value) for name, value in words.items()}


def _input(client: MeshClient, name: str, value: str) -> dict[str, Any]:
    if name.endswith(":"):
        return {"value": _json(value, f"--input {name}={value}")}
    if value.startswith("@"):
        return {"file": value[1:]}
    stored = client.upload(Path(value).name, Path(value))
    fields = ("name", "key", "bytes", "hash", "media_type")
    # The whole reference, not the name: whoever uploads under the same name meanwhile changes nothing for this run.
    return {"kind": "file", **{field: stored[field] for field in fields}}


def params_of(flow: FlowFile, given: Iterable[str]) -> dict[str, Any]:
    """The params of a run; a param that the flow declares as a string is taken as it is, the others are JSON."""
    parsed = parse_flow_text(flow.text).flow
    types = {name: param.type for name, param in parsed.params.items()} if parsed is not None else {}
    words = pairs(given, "--param")
    return {name: _param(value, types.get(name, ""), f"--param {name}={value}") for name, value in words.items()}


def _param(value: str, declared: str, place: str) -> Any:
    if declared == "string":
        return value
    if declared:
        return _json(value, f"{place} (the flow declares {declared})")
    try:
        return json.loads(value)
    except ValueError:
        return value


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{place}: {text!r} is not JSON: {error}") from None
