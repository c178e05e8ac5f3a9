"""The bodies of requests about runs: what may be in them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from plugmesh.contracts.base import NAME_PATTERN
from plugmesh.contracts.notify import MOST_NOTIFY, Notify

Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]

_EXAMPLE_FLOW: JsonValue = {"flow": "sales/report", "nodes": {"load": {"module": "csv.read", "in": "${inputs.orders}"}}}


class NotifyRequest(Notify):
    """A webhook to call when the run has ended in one of the states in `on`."""

    model_config = ConfigDict(extra="forbid")


class RunRequest(BaseModel):
    """`POST /runs`. `flow` is a flow as a JSON object, or its YAML or JSON text, or `{"ref": "NAMESPACE/NAME@3"}`: a
    saved flow, by its newest revision unless one is named.

    `inputs` are `{"file": "NAME"}` (its newest version), `{"value": …}` or whole references.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"flow": {"ref": "sales/report@3"}, "inputs": {"orders": {"file": "orders.csv"}}},
                {"flow": _EXAMPLE_FLOW, "params": {"day": "2026-11-20"}, "labels": {"team": "ops"}},
            ]
        },
    )

    flow: dict[str, Any] | str
    inputs: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, JsonValue] = Field(default_factory=dict)
    timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False, strict=True)
    labels: dict[Name, Label] = Field(default_factory=dict, max_length=64)
    strict: bool = Field(default=False, strict=True)
    notify: list[NotifyRequest] = Field(default_factory=list, max_length=MOST_NOTIFY)

    @property
    def hash(self) -> str:
        """The same for requests that ask for the same; 64 hex digits."""
        document = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


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


class CancelRequest(BaseModel):
    """`POST /runs/{id}/cancel`: why, for whoever looks at the run later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"reason": "wrong input file"}]}
    )

    reason: str = Field(default="", max_length=1000)
