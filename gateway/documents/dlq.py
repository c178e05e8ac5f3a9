"""Answers about dead letters, and the bodies of requests about them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.documents.document import Document, example

_LETTER = {
    "id": "run-06qk3v9r2m8w0001.clean",
    "run": "run-06qk3v9r2m8w0001",
    "namespace": "default",
    "flow": "report",
    "step": "clean",
    "epoch": 1,
    "module": "shop.clean@1.0.0",
    "outcome": "succeeded",
    "rows": 3,
    "reasons": {"qty is not above zero": 2, "no price": 1},
    "state": "open",
    "edited_rows": None,
    "redrive": None,
    "actor": None,
    "reason": None,
    "at": 1795271167.2,
    "changed_at": None,
    "data_gone_at": None,
}


class DeadLetter(Document):
    """The rows that a step rejected."""

    model_config = example(**_LETTER)

    id: str = Field(description="The run and the step")
    run: str
    namespace: str
    flow: str
    step: str
    epoch: int = Field(description="The attempt that rejected them")
    module: str = Field(description="With its version")
    outcome: Literal["succeeded", "failed"] = Field(description="How the step ended")
    rows: int = Field(description="How many were rejected and kept")
    reasons: dict[str, int] = Field(description="The most frequent reasons, and for how many rows each was given")
    state: Literal["open", "redriven", "discarded"]
    edited_rows: int | None = Field(description="How many rows it has since it was corrected; null: it was not")
    redrive: str | None = Field(description="The run that got the rows")
    actor: str | None = Field(description="Who changed it last")
    reason: str | None = Field(description="Why it was discarded")
    at: float = Field(description="When the step ended (Unix seconds)")
    changed_at: float | None
    data_gone_at: float | None = Field(description="Since when its rows are gone, with the data of its run")


class OneDeadLetter(DeadLetter):
    """One dead letter."""

    model_config = example(**_LETTER, ports=["orders"])

    ports: list[str] | None = Field(
        description="The inputs of the step that its rows can be given to; null: nobody knows the module now"
    )


class DeadLetterList(Document):
    """A page of dead letters, newest first."""

    model_config = example(letters=[_LETTER], next_cursor=None)

    letters: list[DeadLetter]
    next_cursor: str | None


class Redriven(Document):
    """The run that has the rows."""

    model_config = example(
        id="run-06qk3v9r2m8w0001.clean", run="run-06qk3v9r2m8w0042", repeated=False, origin="run-06qk3v9r2m8w0001"
    )

    id: str
    run: str
    repeated: bool = Field(description="Whether it had them already")
    origin: str = Field(description="The run whose step rejected the rows")


class RedriveRequest(BaseModel):
    """`POST /dlq/{letter}/redrive`. `port` is the input that gets the rows; needed only where a step reads several tables."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{}, {"port": "orders"}]})

    port: str | None = Field(default=None, max_length=300)


class DiscardRequest(BaseModel):
    """`POST /dlq/{letter}/discard`."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"reason": "test data"}]})

    reason: str = Field(default="", max_length=1000)
