"""Answers about instances."""

from __future__ import annotations

from pydantic import Field

from gateway.documents.document import Document, example
from registry.liveness import Liveness

_SHOWN = {
    "id": "i-06f3k8m2q9s1tbvw",
    "host": "laptop",
    "pid": 4711,
    "liveness": "alive",
    "usable": True,
    "draining": False,
    "connected": True,
    "beat_age_s": 1.2,
    "slots": 4,
    "running": 1,
    "load": 0.25,
    "labels": {},
    "modules": ["table.filter@1.0.0"],
    "refused": [],
    "started_at": 1795271167.2,
    "sdk": "0.2.0",
}


class RefusedModule(Document):
    """A module that contradicts what is known under its name and version."""

    module: str
    version: str
    difference: str


class ShownInstance(Document):
    """A process that serves modules."""

    id: str
    host: str
    pid: int
    liveness: Liveness
    usable: bool = Field(description="Whether it is given work")
    draining: bool
    connected: bool | None = Field(description="Null where no connection is held")
    beat_age_s: float = Field(description="How long ago it was heard of")
    slots: int
    running: int
    load: float = Field(description="Attempts at work for each slot")
    labels: dict[str, str]
    modules: list[str] = Field(description="NAME@VERSION of each that it may be given")
    refused: list[RefusedModule]
    started_at: float
    sdk: str = Field(description="Version of the SDK that it runs on")


class InstanceList(Document):
    """Every known instance."""

    model_config = example(instances=[_SHOWN])

    instances: list[ShownInstance]


class HeldAttempt(Document):
    """An attempt that an instance has."""

    run: str
    step: str
    epoch: int


class ShownOffer(Document):
    """A module that an instance offers, and what keeps it from being used."""

    module: str
    version: str
    digest: str
    usable: bool
    refused: str | None
    disabled: bool


class OneInstance(ShownInstance):
    """An instance with what it offers and has."""

    model_config = example(
        **_SHOWN,
        held=[{"run": "run-06f3k8m2q9s1tbvx", "step": "clean", "epoch": 1}],
        offers=[
            {
                "module": "table.filter",
                "version": "1.0.0",
                "digest": "sha256:5e0f",
                "usable": True,
                "refused": None,
                "disabled": False,
            }
        ],
    )

    held: list[HeldAttempt] = Field(description="As its last beat said")
    offers: list[ShownOffer]
