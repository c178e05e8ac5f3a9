"""What a notifier tells about itself: tries, how they ended, how long they took, and what waits."""

from __future__ import annotations

from collections.abc import Iterator

from plugmesh.figures import Figure, Latency, amount, count, counts
from scheduler.notify.notifier import Notifier


def notifier_figures(notifier: Notifier) -> Iterator[Figure | Latency]:
    """The figures of one notifier."""
    yield notifier.lasted
    yield count("plugmesh_webhook_tries", "Calls of webhooks", notifier.tries)
    ends = {"delivered": notifier.delivered, "failed": notifier.failed}
    yield counts("plugmesh_webhook_ended", "Webhooks that were delivered, or given up", "state", ends)
    yield amount("plugmesh_webhook_waiting", "Webhooks that are due, or being called", notifier.waiting)
