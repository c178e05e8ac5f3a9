"""What `serve()` hands to the supervisor, and the supervisor to its executors: which code to load, from where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from plugmesh.contracts.module import ModuleContract

DRAIN_S = 25.0
"""Seconds that steps at work have to finish when their process is to end, unless it is told otherwise: whoever kills it
after 30 s, as Kubernetes does, finds nothing at work any more."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a module's code is: a file, loaded under a private name, or a module that can be imported."""

    file: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """One module with its source."""

    contract: ModuleContract
    source: Source


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything a supervisor needs to know. `path` is put first on `sys.path` of executors, never of the supervisor.

    The join token (or its file, read at each connection) and the URLs of bus and discovery are for the supervisor, and
    never reach user code. `backends`: the URLs of bus, discovery and objects, empty where the gateway tells. `otlp_headers` go
    to the collector of traces.
    `ahead`: attempts queued per slot beyond the one that runs, when steps are short.
    """

    served: tuple[Served, ...]
    url: str
    slots: int = 1
    ahead: int = 32
    labels: dict[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    idle_s: float = 60.0
    drain_s: float = DRAIN_S
    orphan_exit_s: float | None = None
    token: str = field(default="", repr=False)
    token_file: str = ""
    backends: tuple[str, ...] = field(default=("", "", ""), repr=False)
    otlp_headers: str = field(default="", repr=False)

    def encode(self) -> bytes:
        """As JSON."""
        document = {name: getattr(self, name) for name in _PLAIN}
        document["served"] = [
            {"contract": item.contract.model_dump(mode="json"), "source": asdict(item.source)} for item in self.served
        ]
        return json.dumps(document).encode()

    @classmethod
    def decode(cls, text: bytes) -> Launch:
        """From JSON."""
        document: dict[str, Any] = json.loads(text)
        served = tuple(
            Served(ModuleContract.model_validate(item["contract"]), Source(**item["source"]))
            for item in document.pop("served")
        )
        document["path"], document["backends"] = tuple(document["path"]), tuple(document["backends"])
        return cls(served=served, **document)


_PLAIN = (
    "url",
    "slots",
    "ahead",
    "labels",
    "path",
    "idle_s",
    "drain_s",
    "orphan_exit_s",
    "token",
    "token_file",
    "backends",
    "otlp_headers",
)


@dataclass(frozen=True, slots=True)
class ExecutorSetup:
    """The first frame that an executor gets: for each `name@version` where its code is and the code's digest. `traces`: spans
    of traced attempts are wanted; `tells`: so is a copy of what user code logs."""

    objects: str
    path: tuple[str, ...]
    sources: dict[str, tuple[Source, str]]
    concurrent: bool = False
    traces: bool = False
    tells: bool = False

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, text: bytes) -> ExecutorSetup:
        """From JSON."""
        document = json.loads(text)
        sources = {ref: (Source(**source), digest) for ref, (source, digest) in document.pop("sources").items()}
        return cls(
            sources=sources,
            objects=document["objects"],
            path=tuple(document["path"]),
            concurrent=document["concurrent"],
            traces=document["traces"],
            tells=document["tells"],
        )


def sources_of(served: Sequence[Served]) -> dict[str, tuple[Source, str]]:
    """What an executor is told about each module."""
    return {item.contract.ref: (item.source, item.contract.code_digest) for item in served}
