"""What a live process tells about itself: once (registration) and every two seconds (beat)."""

from __future__ import annotations

import zlib

from pydantic import Field

from plugmesh.contracts.base import MODULE_PATTERN, Contract, Versioned
from plugmesh.contracts.module import VERSION_PATTERN

DISPATCH_PARTITIONS = 64
"""Partitions of the `dispatch` topic: an instance reads one of them."""


class Offer(Contract):
    """One module that an instance serves; the contract lies in the object store under its digest."""

    name: str = Field(pattern=MODULE_PATTERN, max_length=200)
    version: str = Field(pattern=VERSION_PATTERN)
    digest: str


INSTANCE_CHARACTERS = 64
"""The longest id of an instance."""


class Registration(Versioned):
    """An instance's entry in the phone book.

    `partition` is where it reads `dispatch`. `slots` is how many attempts it runs at a time; `prefetch` how many
    more it will queue when steps are short.
    """

    instance: str = Field(max_length=INSTANCE_CHARACTERS)
    host: str
    pid: int = 0
    slots: int = Field(default=1, ge=1, le=1024)
    prefetch: int = Field(default=8, ge=0, le=16_384)
    partition: int = Field(ge=0, lt=DISPATCH_PARTITIONS)
    labels: dict[str, str] = {}
    offers: tuple[Offer, ...]
    started_at: float = 0.0
    sdk: str = ""


class Beat(Versioned):
    """A sign of life. `held` lists the attempts the instance has (at most 256 are listed), so that lost dispatches
    and orphans are found. A draining instance takes no new work."""

    instance: str
    held: tuple[str, ...] = ()
    running: int = 0
    draining: bool = False


def dispatch_partition(instance: str) -> int:
    """The partition of `dispatch` that `instance` reads."""
    return zlib.crc32(instance.encode()) % DISPATCH_PARTITIONS
