"""The bodies of requests about runs: what may be in them."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticCustomError

from plugmesh.contracts.base import NAME_PATTERN
from plugmesh.contracts.flow import PRIORITY_LIMIT
from plugmesh.contracts.notify import MOST_NOTIFY, Notify

Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]

Priority = Annotated[int | None, Field(ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT, strict=True)]

Timeout = Annotated[float | None, Field(gt=0, le=10 * 365 * 86_400.0, allow_inf_nan=False, strict=True)]
"""Seconds; as long as a flow file can say."""
_LATEST = 1e11
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _unix_time(given: Any) -> Any:
    """A text as RFC 3339 has it becomes Unix time; a number stays what it is."""
    if given is None or (isinstance(given, int | float) and not isinstance(given, bool)):
        return given
    try:
        if isinstance(given, str) and _RFC_3339.fullmatch(given):
            return datetime.fromisoformat(given.upper()).timestamp()
    except (ValueError, OverflowError):
        pass
    message = "this is no moment: write Unix seconds, or text such as 2026-12-24T18:30:00Z, with its zone"
    raise PydanticCustomError("moment", message)


_AS_WRITTEN: JsonValue = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": _LATEST},
        {"type": "string", "format": "date-time"},
        {"type": "null"},
    ],
}
Deadline = Annotated[
    Annotated[float, Field(gt=0, le=_LATEST, allow_inf_nan=False)] | None,
    BeforeValidator(_unix_time),
    WithJsonSchema(_AS_WRITTEN),
]

_MOST_STEPS, _STEP_CHARACTERS = 1000, 250
StepName = Annotated[str, Field(min_length=1, max_length=_STEP_CHARACTERS)]


def _word_or_steps(given: Any) -> Any:
    """One problem for whatever it is not, instead of one for each of the things that it could be."""
    steps = given if isinstance(given, list) and 0 < len(given) <= _MOST_STEPS else [""]
    if given in ("failed", "start") or all(isinstance(one, str) and 0 < len(one) <= _STEP_CHARACTERS for one in steps):
        return given
    raise PydanticCustomError("from", 'write "failed", "start", or a list of steps such as ["load"]')


From = Annotated[
    Literal["failed", "start"] | Annotated[list[StepName], Field(min_length=1, max_length=_MOST_STEPS)],
    BeforeValidator(_word_or_steps),
]

_EXAMPLE_FLOW: JsonValue = {"flow": "sales/report", "nodes": {"load": {"module": "csv.read", "in": "${inputs.orders}"}}}


class NotifyRequest(Notify):
    """A webhook to call when the run has ended in one of the states in `on`."""

    model_config = ConfigDict(extra="forbid")


class RunRequest(BaseModel):
    """`POST /runs`. `flow` is a flow as a JSON object, or its YAML or JSON text, or `{"ref": "NAMESPACE/NAME@3"}`: a
    saved flow, by its newest revision unless one is named.

    `inputs` are `{"file": "NAME"}` (its newest version), `{"value": …}` or whole references. `priority` stands in place of
    the flow's own. The run ends at its `deadline`, whether it has begun or not.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"flow": {"ref": "sales/report@3"}, "inputs": {"orders": {"file": "orders.csv"}}},
                {"flow": _EXAMPLE_FLOW, "params": {"day": "2026-11-20"}, "labels": {"team": "ops"}},
                {"flow": {"ref": "sales/report"}, "priority": 20, "deadline": "2099-12-24T18:30:00Z"},
            ]
        },
    )

    flow: dict[str, Any] | str
    inputs: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, JsonValue] = Field(default_factory=dict)
    timeout_s: Timeout = None
    labels: dict[Name, Label] = Field(default_factory=dict, max_length=64)
    strict: bool = Field(default=False, strict=True)
    notify: list[NotifyRequest] = Field(default_factory=list, max_length=MOST_NOTIFY)
    priority: Priority = None
    deadline: Deadline = None

    @property
    def hash(self) -> str:
        """The same for requests that ask for the same; 64 hex digits."""
        return _hash(self.model_dump(mode="json", exclude_defaults=True))


class RerunRequest(BaseModel):
    """`POST /runs/{run}/rerun`. `from` says what runs again: all that did not succeed (`failed`), everything (`start`), or
    these steps and all below them. With `only`, these steps run and nothing below them. A step is a node's name, or
    `NODE.3` for one element of a mapped node.

    `params` and `inputs` are those that shall be other ones. What is not said is as it was in the first run, but for the
    deadline.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{}, {"from": ["load"], "params": {"day": "2026-11-21"}}, {"only": ["load.3"], "priority": 20}]
        },
    )

    from_: From = Field(default="failed", alias="from")
    only: list[StepName] = Field(default_factory=list, max_length=_MOST_STEPS)
    inputs: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, JsonValue] = Field(default_factory=dict)
    timeout_s: Timeout = None
    labels: dict[Name, Label] | None = Field(default=None, max_length=64)
    notify: list[NotifyRequest] | None = Field(default=None, max_length=MOST_NOTIFY)
    priority: Priority = None
    deadline: Deadline = None

    def hash(self, run: str) -> str:
        """The same for requests that ask for the same rerun of the same run; 64 hex digits."""
        return _hash({"rerun": run, **self.model_dump(mode="json", exclude_defaults=True)})


class FlowBody(BaseModel):
    """A flow, as `docs/reference/flow-file.md` describes it. What is in it is checked by reading it, not by this model."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [_EXAMPLE_FLOW]})

    flow: str = Field(description="NAME or NAMESPACE/NAME")
    nodes: dict[str, JsonValue] = Field(description="By name: an object with `module`, `in`, `params`, …")


class BatchRequest(BaseModel):
    """`POST /runs:batch`. With `idempotency_key`, run number i (from 0) is submitted with the key `KEY/i`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "runs": [{"flow": {"ref": "sales/report"}, "params": {"day": day}} for day in ("Mon", "Tue")],
                    "idempotency_key": "week-47",
                }
            ]
        },
    )

    runs: list[RunRequest] = Field(max_length=10_000)
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=190)


class ControlRequest(BaseModel):
    """`POST /runs/{id}/cancel`, `pause` and `resume`: why, for whoever looks at the run later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"reason": "wrong input file"}]}
    )

    reason: str = Field(default="", max_length=1000)


def _hash(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
