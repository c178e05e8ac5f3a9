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
from plugmesh.errors import ErrorClass

DEFAULT_NAMESPACE = "default"
PRIORITY_LIMIT = 100
"""Priorities go from minus this to this."""
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
    """How often a step is tried when the module fails with an error of one of the classes `on`.

    The n-th delay is at most `min(max_delay_s, delay_s * 2**(n-1))` seconds, or `delay_s` with a `fixed` backoff; with
    `jitter` it is drawn from 0 to that (full jitter). `total_s` bounds all tries of a step together, from when it
    was first ready: no try begins later. Lost and returned attempts are no tries.
    """

    attempts: int = Field(default=3, ge=1, le=100)
    backoff: Literal["exponential", "fixed"] = "exponential"
    delay_s: float = Field(default=1.0, ge=0, le=3600)
    max_delay_s: float = Field(default=30.0, ge=0, le=86400)
    jitter: bool = True
    on: tuple[ErrorClass, ...] = (ErrorClass.TRANSIENT, ErrorClass.CONNECTION)
    total_s: float | None = Field(default=None, gt=0)


class Rejects(Contract):
    """How many rows a step may reject (send to its dead letters) and still succeed; `None`: any number."""

    rows: int | None = Field(default=None, ge=0)
    percent: float | None = Field(default=None, ge=0, le=100)


class Concurrency(Contract):
    """How many runs of a flow may be under way at a time.

    `key` may contain `${params.…}`: each value that it takes is counted apart. When there are `limit` already, a new run
    waits in line (`queue`), is cancelled (`cancel-new`), or takes the place of the others (`cancel-running`).
    """

    limit: int = Field(default=1, ge=1, le=10_000)
    key: str | None = Field(default=None, max_length=200)
    when_full: Literal["queue", "cancel-new", "cancel-running"] = "queue"


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
    rejects: Rejects | None = None


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
    """A whole flow. Node names have no dots; `outputs` maps a name to the node output that it shows.

    `priority`: steps of runs with a higher one go first. `quarantine` says what becomes of a step whose module version
    is quarantined: it waits (`park`), or the newest older version that fits is used (`previous`).
    """

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
    priority: int = Field(default=0, ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT)
    concurrency: Concurrency | None = None
    quarantine: Literal["park", "previous"] = "park"

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits: equal flows have equal digests."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
