"""An instance as the registry presents it: its registration, what it may be used for, and whether it is alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plugmesh.contracts.instance import Registration
from registry.liveness import Liveness


@dataclass(frozen=True, slots=True)
class Refusal:
    """A module that an instance offers and the mesh does not use, and why."""

    module: str
    version: str
    difference: str


@dataclass(frozen=True, slots=True)
class Member:
    """One instance. `offers` maps the names of its usable modules to their versions, lowest first.

    `beat_age_s` is as old as the last judgement (half a second at most) and does not count when members are compared.
    `held` are the attempts that its last beat named; `gone_at` is when its connection was closed (the process's
    monotonic clock), `None` while it is connected.
    """

    instance: str
    registration: Registration
    liveness: Liveness
    draining: bool
    running: int
    beat_age_s: float = field(compare=False)
    offers: Mapping[str, tuple[str, ...]]
    refused: tuple[Refusal, ...]
    connected: bool | None
    gone_at: float | None
    held: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """It may be given new work."""
        return self.liveness is Liveness.ALIVE and not self.draining

    def serves(self, name: str, version: str) -> bool:
        """It has this module to use."""
        return version in self.offers.get(name, ())


@dataclass(frozen=True, slots=True)
class MemberChange:
    """What changed at once: a member (`before` is `None` when it is new, `after` when it left; `instance` is `None`
    when it was none of them), and the names of the modules whose contracts, whose versions with a usable member, or
    whose switches changed. `enabled`: the name and version (or `*`) that a person has enabled."""

    instance: str | None
    before: Member | None
    after: Member | None
    modules_changed: frozenset[str] = frozenset()
    enabled: tuple[str, str] | None = None


def usable_modules(member: Member | None) -> frozenset[tuple[str, str]]:
    """The names and versions for which the member may be given new work."""
    if member is None or not member.usable:
        return frozenset()
    return frozenset((name, version) for name, versions in member.offers.items() for version in versions)
