"""What a gateway tells about itself: runs, who waits and streams, uploads, readers, instances and modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gateway.core import Gateway
from plugmesh import __version__
from plugmesh.figures import Figure, Latency, amount, amounts, count, counts
from plugmesh.runtime import Runtime
from registry.registry import Registry


def gateway_figures(gateway: Gateway) -> Iterator[Figure | Latency]:
    """The figures of one gateway."""
    waiting, feed, uploads = gateway.waiting, gateway.feed, gateway.uploads
    yield count("plugmesh_runs_submitted", "Runs accepted by this gateway", gateway.runs.submitted)
    yield counts("plugmesh_runs_ended", "Runs seen to end since the start", "state", waiting.ended)
    streams = waiting.streams
    yield amount("plugmesh_long_polls", "Requests that wait for the end of a run", len(waiting) - streams)
    yield amount("plugmesh_run_streams", "Streams of the changes or logs of one run", streams)
    yield amount("plugmesh_feed_clients", "Clients of the feed", len(feed))
    yield amount("plugmesh_feed_backlog", "Changes that the feed remembers", feed.backlog)
    yield count("plugmesh_feed_resyncs", "How often a client of the feed had to read everything anew", feed.resyncs)
    yield amount("plugmesh_uploads_active", "Files that come in now", uploads.active)
    yield count("plugmesh_uploads_stored", "Files that were stored", uploads.stored)
    yield count("plugmesh_uploads_bytes", "Bytes of the files that were stored", uploads.bytes)
    readers = {"idle": gateway.reader.idle, "busy": gateway.reader.processes - gateway.reader.idle}
    yield amounts("plugmesh_readers", "Processes that decode data", "state", readers)
    yield amount(
        "plugmesh_reader_waiting", "Questions that wait for a process that decodes data", gateway.reader.waiting
    )
    yield count(
        "plugmesh_reader_failures", "Processes that decode data that died or were stopped", gateway.reader.failures
    )
    yield gateway.reader.answers
    yield amount("plugmesh_modules", "Modules ever seen", len(gateway.modules.names()))


def process_figures(runtime: Runtime) -> Iterator[Figure]:
    """What Plugmesh it is, and what its clock says."""
    yield amounts("plugmesh_info", "1, with the version as a label", "version", {__version__: 1})
    yield amount("plugmesh_clock_seconds", "Unix time by the clock of this process's machine", runtime.wall())


def registry_figures(registry: Registry) -> Iterator[Figure]:
    """Who is there, and how long ago each was heard of."""
    members = tuple(registry.members().values())
    liveness = Counter(member.liveness.value for member in members)
    yield amounts("plugmesh_instances", "Instances by liveness", "liveness", liveness)
    yield amount("plugmesh_instances_draining", "Instances that finish and end", sum(one.draining for one in members))
    alive = [member.beat_age_s for member in members if member.liveness.value != "dead"]
    text = "How long ago the instance was heard of that is silent the longest, dead ones aside"
    yield amount("plugmesh_discovery_beat_age_seconds", text, max(alive, default=0.0))
    yield amount("plugmesh_slots", "Slots of instances that can be given work", sum(_slots(registry)))
    yield amount("plugmesh_contracts_unrecorded", "Contracts that are not in the database yet", registry.unrecorded)


def _slots(registry: Registry) -> Iterator[int]:
    return (member.registration.slots for member in registry.members().values() if member.usable)
