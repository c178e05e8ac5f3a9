"""What the hub tells about itself: messages by topic, what is kept, and what waits for each link."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from plugmesh.figures import Figure, Latency, amount, amounts, counts
from plugmesh.hub.hub import Hub

CALLS_OF_DISCOVERY = "Calls of discovery: of its instances where it is embedded, else of this process"
LINKS_SHOWN = 200
"""With more links than this, those for which the most waits are shown one by one."""


def hub_figures(hub: Hub) -> Iterator[Figure | Latency]:
    """The figures of a hub and its phone book, of the topics that anything was published on."""
    messages, size, delivered, kept = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for partition in hub.topics.partitions():
        messages[partition.topic] += partition.messages
        size[partition.topic] += partition.bytes
        delivered[partition.topic] += partition.delivered
        kept[partition.topic] += partition.backlog
    yield counts("plugmesh_bus_messages", "Messages published", "topic", messages)
    yield counts("plugmesh_bus_bytes", "Bytes published", "topic", size)
    yield counts("plugmesh_bus_delivered", "Messages handed to readers", "topic", delivered)
    yield amounts("plugmesh_bus_backlog", "Messages that no reader has committed yet", "topic", kept)
    yield amount("plugmesh_bus_kept_bytes", "Bytes of messages that no reader has committed yet", hub.topics.kept_bytes)
    yield amounts(
        "plugmesh_bus_age_seconds",
        "How long the oldest message waits that no reader has committed yet",
        "topic",
        _ages(hub),
    )
    yield hub.topics.commits
    yield counts("plugmesh_discovery_calls", CALLS_OF_DISCOVERY, "call", hub.directory.calls)
    yield amount("plugmesh_hub_links", "Processes that joined this hub", hub.links)
    waiting = hub.waiting_bytes()
    yield amount("plugmesh_hub_outbox_bytes", "Bytes that wait to be sent to all links", sum(waiting.values()))
    shown = sorted(waiting, key=waiting.__getitem__, reverse=True)[:LINKS_SHOWN]
    backlog = {link: waiting[link] for link in shown}
    yield amounts("plugmesh_hub_link_backlog_bytes", "Bytes that wait to be sent to a link", "link", backlog)


def _ages(hub: Hub) -> Mapping[str, float]:
    now = hub.topics.now()
    ages: dict[str, float] = {}
    for partition in hub.topics.partitions():
        since = partition.oldest_at
        age = 0.0 if since is None else now - since
        ages[partition.topic] = max(age, ages.get(partition.topic, 0.0))
    return ages
