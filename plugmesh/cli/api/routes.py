"""Where things are in the API: addresses, paths and queries made of words that may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlsplit

from plugmesh.errors import ConfigurationError, NotFound

_IDS = {"runs": ("run", "runs"), "dlq": ("dead letter", "dlq ls"), "instances": ("instance", "instances")}
"""What has an id in which no slash can be, and the command that lists it."""


def at(*words: str) -> str:
    """A path below the API's root. Raises `NotFound` for what can be no id, such as the name of a flow or a file."""
    for kind, name in pairwise(words[:2]):
        if kind in _IDS and (name in {"", ".", ".."} or "/" in name):
            raise NotFound(f"there is no {_IDS[kind][0]} {name[:120]!r}: `plugmesh {_IDS[kind][1]}` lists them")
    return "".join(f"/{quote(word, safe='', errors='surrogateescape')}" for word in words)


def step_at(run: str, step: str, *words: str) -> str:
    """The path of a step, or of something of it."""
    return at("runs", run, "steps", step, *words)


def output_at(run: str, step: str, port: str, *words: str) -> str:
    """The path of an output of a step, or of a view of it."""
    return step_at(run, step, "outputs", port, *words)


def flow_at(name: str, *words: str) -> str:
    """The path of a saved flow that is named as in a flow file: `NAME` or `NAMESPACE/NAME`."""
    namespace, _, last = name.rpartition("/")
    return at("flows", namespace or "default", last, *words)


def host_of(url: str) -> str:
    """The host that a mesh's address names. Raises `ConfigurationError`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable or not url.isprintable():
        raise ConfigurationError(f"{url!r} is no address of a mesh: write http://127.0.0.1:8720 (PLUGMESH_URL, --url)")
    return str(parts.hostname)


def query_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a query; those that are `None` are left out."""
    return {name: _word(value) for name, value in given.items() if value is not None}


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="replace")
    return value
