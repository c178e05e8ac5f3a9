"""Instances as the scheduler sees them: seats for placement, and who has just gone away."""

from __future__ import annotations

from collections.abc import Callable

from registry.liveness import Liveness
from registry.registry import Member, Registry
from scheduler.placement import Seat

BACK_WITHIN_S = 1.0
"""A closed connection that is not back after this time means that the instance is gone."""


def seat_of(member: Member, registry: Registry) -> Seat:
    """What placement needs to know of a member: what it offers without what a person has disabled. Who is quarantined
    counts when a version is chosen: it is not simply gone."""
    registration = member.registration
    offers = {name: _allowed(name, versions, registry) for name, versions in member.offers.items()}
    return Seat(
        instance=member.instance,
        slots=registration.slots,
        prefetch=registration.prefetch,
        offers={name: versions for name, versions in offers.items() if versions},
        labels=registration.labels,
        host=registration.host,
        open=member.liveness is Liveness.ALIVE and not member.draining,
    )


def _allowed(name: str, versions: tuple[str, ...], registry: Registry) -> tuple[str, ...]:
    switches = ((version, registry.disabled(name, version)) for version in versions)
    return tuple(version for version, switch in switches if switch is None or switch.kind == "quarantined")


class Departures:
    """Instances whose connection was closed by the peer, and when that becomes a loss. Pure: the clock is passed in.

    Silence is never a departure: it waits for the leases.
    """

    def __init__(self) -> None:
        self._gone: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._gone)

    def left(self, instance: str, now: float) -> None:
        """The connection was closed, or the instance signed off."""
        self._gone.setdefault(instance, now + BACK_WITHIN_S)

    def back(self, instance: str) -> None:
        """It is connected again."""
        self._gone.pop(instance, None)

    def lost(self, now: float, lose: Callable[[str], None]) -> None:
        """Call `lose` for each instance that did not come back in time."""
        for instance in [name for name, when in self._gone.items() if when <= now]:
            del self._gone[instance]
            lose(instance)
