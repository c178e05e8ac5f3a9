"""What a registry knows of one instance: its entry, and what was found out about each of its offers."""

from __future__ import annotations

from plugmesh.contracts.instance import Offer
from plugmesh.discovery.port import Entry
from registry.liveness import Case
from registry.member import Member, Refusal
from registry.versions import precedence


class Instance:
    """An offer is usable, refused with a reason (`unread`: its contract could not be read), or not looked at yet."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.case = Case()
        self.usable: set[Offer] = set()
        self.refused: dict[Offer, str] = {}
        self.unread: set[Offer] = set()
        self.read_again_at = 0.0
        self.reading = False
        self.is_draining = False
        """It has said so itself, which discovery may tell later."""

    def replace(self, entry: Entry) -> None:
        """A newer entry of the same instance: what was found out about offers that stay is still true."""
        known, self.entry = self.entry.registration, entry
        if entry.registration == known:
            return
        offers = set(entry.registration.offers)
        self.usable &= offers
        self.unread &= offers
        self.refused = {offer: reason for offer, reason in self.refused.items() if offer in offers}

    def open_offers(self) -> list[Offer]:
        """Offers that are neither usable nor refused for good."""
        settled = self.usable | (self.refused.keys() - self.unread)
        return [offer for offer in self.entry.registration.offers if offer not in settled]

    def must_read(self, now: float) -> bool:
        """Some offer was not looked at yet, or it is time to look again at one that could not be read."""
        if self.reading:
            return False
        return any(offer not in self.unread or now >= self.read_again_at for offer in self.open_offers())

    def member(self, now: float, grace_until: float) -> Member:
        """What the others see."""
        entry = self.entry
        versions: dict[str, list[str]] = {}
        for offer in sorted(self.usable, key=lambda offer: precedence(offer.version)):
            versions.setdefault(offer.name, []).append(offer.version)
        return Member(
            instance=entry.registration.instance,
            registration=entry.registration,
            liveness=self.case.judge(entry, now, grace_until),
            draining=entry.draining or self.is_draining,
            running=entry.running,
            beat_age_s=max(0.0, now - entry.beat_at),
            offers={name: tuple(found) for name, found in versions.items()},
            refused=tuple(Refusal(offer.name, offer.version, reason) for offer, reason in self.refused.items()),
            connected=entry.connected,
            gone_at=entry.gone_at,
            held=entry.held,
        )
