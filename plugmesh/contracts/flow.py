"""A flow in its canonical form: what the YAML or JSON text means, after parsing, before any value is filled in."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Literal

from pydantic import Field, JsonValue

from plugmesh.contracts.base import Contract, Versioned
from plugmesh.contracts.module import Limits, PortKind
from plugmesh.contracts.notify import Notify

DEFAULT_NAMESPACE = "default"
PARAMS_LIMIT_BYTES = 32 * 1024
"""Params of one node, filled in, as JSON: they travel in a message of 64 KiB."""


class FlowInput(Contract):
    """Something handed in with each run."""

    kind: PortKind = PortKind.TABLE
    optional: bool = False
    doc: str = ""


class FlowParam(Contract):
    """A setting of the flow. `required` when it has no default."""

    type: Literal["string", "integer", "number", "boolean", "array", "object"] = "string"
    default: JsonValue = None
    required: bool = True
    doc: str = ""


class Source(Contract):
    """Where an edge comes from: the output `port` of `node` (`None`: its only output), or the flow input `input`."""

    node: str | None = None
    port: str | None = None
    input: str | None = None


class RetryPolicy(Contract):
    """How often a step is tried when the module fails with a transient or connection error.

    The n-th delay is drawn from 0 to `min(max_delay_s, delay_s * 2**(n-1))` (full jitter).
    """

    attempts: int = Field(default=3, ge=1, le=100)
    delay_s: float = Field(default=1.0, ge=0, le=3600)
    max_delay_s: float = Field(default=30.0, ge=0, le=86400)


class Node(Contract):
    """A place in the flow.

    `module` is `name`, `name@1.2.0` or `name@^1`. `inputs` maps a port to its edges; the empty name stands for the
    module's only input. `params` may contain `${...}`. `map` is a list or a `${...}` that gives one: the node runs
    once for each element, which its params see as `${item}`. `after` are nodes that must have succeeded first.
    """

    module: str
    inputs: dict[str, tuple[Source, ...]] = {}
    params: dict[str, JsonValue] = {}
    bind: dict[str, str] = {}
    map: JsonValue = None
    after: tuple[str, ...] = ()
    retry: RetryPolicy | None = None
    timeout_s: float | None = Field(default=None, gt=0)
    limits: Limits | None = None
    labels: dict[str, str] = {}


class Retention(Contract):
    """How long what a run left is kept after its end, in seconds; `None`: as long as the mesh's settings say.

    `runs_s` ends all of it; `data_s` (outputs), `logs_s` and `events_s` can only end earlier.
    `data_bytes`: so much may the outputs of all runs of the flow take up; the oldest go first.
    """

    runs_s: float | None = Field(default=None, gt=0)
    data_s: float | None = Field(default=None, gt=0)
    logs_s: float | None = Field(default=None, gt=0)
    events_s: float | None = Field(default=None, gt=0)
    data_bytes: int | None = Field(default=None, gt=0, lt=2**63)


class Flow(Versioned):
    """A whole flow. Node names have no dots; `outputs` maps a name to the node output that it shows."""

    namespace: str = DEFAULT_NAMESPACE
    name: str
    doc: str = ""
    inputs: dict[str, FlowInput] = {}
    params: dict[str, FlowParam] = {}
    nodes: dict[str, Node]
    outputs: dict[str, Source] = {}
    timeout_s: float | None = Field(default=None, gt=0)
    park_s: float = Field(default=86_400.0, gt=0)
    notify: tuple[Notify, ...] = ()
    retention: Retention | None = None

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits: equal flows have equal digests."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
