"""Who is told when a run has ended: a webhook, called by the mesh, signed, and tried again until it was heard."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugmesh.contracts.base import Contract

NotifyOn = Literal["succeeded", "failed", "cancelled", "timed_out"]

ALL_ENDS: tuple[NotifyOn, ...] = ("succeeded", "failed", "cancelled", "timed_out")

MOST_NOTIFY = 10
"""Webhooks of one run, those of its flow included."""


class Notify(Contract):
    """A webhook: the `http` or `https` address that gets a `POST` when a run ends in one of the states in `on`."""

    url: str = Field(max_length=2000)
    on: tuple[NotifyOn, ...] = ALL_ENDS
