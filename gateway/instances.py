"""Instances as the gateway shows them, and what a person may ask of one: to drain, or to run more or fewer at a time."""

from __future__ import annotations

from typing import Any

from plugmesh.bus.port import Bus
from plugmesh.contracts.messages import DISPATCH, Drain, SetSlots, split_attempt_id
from plugmesh.errors import Conflict, InvalidMessage, NotFound
from plugmesh.flows.problem import did_you_mean
from registry.liveness import Liveness
from registry.registry import Member, Registry


class Instances:
    """The members of the registry, and the bus on which they are told things."""

    def __init__(self, registry: Registry, bus: Bus) -> None:
        self._registry = registry
        self._bus = bus

    def all(self) -> list[dict[str, Any]]:
        """Every instance, dead ones included as long as they are known."""
        members = self._registry.members()
        return [instance_document(members[name]) for name in sorted(members)]

    def one(self, instance: str) -> dict[str, Any]:
        """One instance with its offers and the attempts that its last beat named. Raises `NotFound`."""
        member = self._member(instance)
        return {**instance_document(member), "held": _held(member), "offers": self._offers(member)}

    async def drain(self, instance: str, actor: str, within_s: float | None) -> dict[str, Any]:
        """Tell an instance to finish and end. Raises `NotFound`, `Conflict` if it cannot hear."""
        member = self._hearing(instance)
        await self._tell(member, Drain(instance=instance, actor=actor, within_s=within_s))
        return self.one(instance)

    async def set_slots(self, instance: str, slots: int, actor: str) -> dict[str, Any]:
        """Tell an instance how many attempts to run at a time. Raises `NotFound`, `Conflict` if it cannot hear."""
        member = self._hearing(instance)
        await self._tell(member, SetSlots(instance=instance, slots=slots, actor=actor))
        return self.one(instance)

    async def _tell(self, member: Member, message: Drain | SetSlots) -> None:
        await self._bus.publish(DISPATCH, member.registration.partition, message.encode())

    def _member(self, instance: str) -> Member:
        members = self._registry.members()
        if instance not in members:
            hint = did_you_mean(instance, members) or "GET /api/v1/instances lists them"
            raise NotFound(f"there is no instance {instance[:100]!r} ({hint})", kind="instance", name=instance[:100])
        return members[instance]

    def _hearing(self, instance: str) -> Member:
        member = self._member(instance)
        if member.connected is False or member.liveness is Liveness.DEAD:
            raise Conflict(
                f"instance {instance} is not connected and cannot be told anything now: its steps go to others when "
                "their leases end; ask again when it is back",
                state=member.liveness.value,
            )
        return member

    def _offers(self, member: Member) -> list[dict[str, Any]]:
        refused = {(refusal.module, refusal.version): refusal.difference for refusal in member.refused}
        return [
            {
                "module": offer.name,
                "version": offer.version,
                "digest": offer.digest,
                "usable": member.serves(offer.name, offer.version),
                "refused": refused.get((offer.name, offer.version)),
                "disabled": self._registry.disabled(offer.name, offer.version) is not None,
            }
            for offer in member.registration.offers
        ]


def instance_document(member: Member) -> dict[str, Any]:
    """One instance as lists and the feed show it."""
    registration = member.registration
    return {
        "id": member.instance,
        "host": registration.host,
        "pid": registration.pid,
        "liveness": member.liveness.value,
        "usable": member.usable,
        "draining": member.draining,
        "connected": member.connected,
        "beat_age_s": round(member.beat_age_s, 3),
        "slots": registration.slots,
        "running": member.running,
        "load": round(member.running / registration.slots, 3),
        "labels": registration.labels,
        "modules": [f"{name}@{version}" for name, versions in sorted(member.offers.items()) for version in versions],
        "refused": [
            {"module": refusal.module, "version": refusal.version, "difference": refusal.difference}
            for refusal in member.refused
        ],
        "started_at": registration.started_at,
        "sdk": registration.sdk,
    }


def _held(member: Member) -> list[dict[str, Any]]:
    return [found for attempt in member.held if (found := _attempt(attempt)) is not None]


def _attempt(attempt: str) -> dict[str, Any] | None:
    try:
        run, step, epoch = split_attempt_id(attempt)
    except InvalidMessage:  # what an instance says about itself is no reason to fail
        return None
    return {"run": run, "step": step, "epoch": epoch}
