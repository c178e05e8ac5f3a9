"""A discovery entry on its way over a link: times become ages and back, since clocks differ."""

from __future__ import annotations

from plugmesh.discovery.port import Entry
from plugmesh.hub.wire import Presence


def presence_of(entry: Entry, now: float) -> Presence:
    """The entry as seen at `now` (the sender's monotonic clock)."""
    return Presence(
        registration=entry.registration,
        age_s=now - entry.beat_at,
        draining=entry.draining,
        running=entry.running,
        held=entry.held,
        connected=entry.connected,
        gone_age_s=None if entry.gone_at is None else now - entry.gone_at,
    )


def entry_of(presence: Presence, now: float) -> Entry:
    """The entry as it is at `now` (the receiver's monotonic clock)."""
    return Entry(
        registration=presence.registration,
        beat_at=now - presence.age_s,
        draining=presence.draining,
        running=presence.running,
        held=presence.held,
        connected=presence.connected,
        gone_at=None if presence.gone_age_s is None else now - presence.gone_age_s,
    )
