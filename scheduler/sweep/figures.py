"""What a sweeper tells about itself: rounds, what it deleted, what it could not delete, and when it was last here."""

from __future__ import annotations

from collections.abc import Iterator

from plugmesh.figures import Figure, Latency, amount, count, counts
from scheduler.sweep.sweeper import Sweeper


def sweeper_figures(sweeper: Sweeper) -> Iterator[Figure | Latency]:
    """The figures of one sweeper."""
    totals = sweeper.totals
    yield sweeper.lasted
    yield count("plugmesh_sweeper_rounds", "Rounds of the sweeper", sweeper.rounds)
    yield count("plugmesh_sweeper_failures", "Parts of rounds that failed, and are tried again", totals.failures)
    runs = {"data": totals.data_runs, "logs": totals.log_runs, "events": totals.event_runs, "run": totals.removed_runs}
    yield counts("plugmesh_sweeper_runs", "Ended runs of which a part was marked or deleted", "part", runs)
    objects = {"released": totals.released_objects, "garbage": totals.garbage_objects}
    yield counts("plugmesh_sweeper_objects", "Objects deleted: marked before, or of nobody (garbage)", "kind", objects)
    sizes = {"released": totals.released_bytes, "garbage": totals.garbage_bytes}
    yield counts("plugmesh_sweeper_bytes", "Bytes of deleted objects", "kind", sizes)
    yield count(
        "plugmesh_sweeper_file_versions", "Versions of files that were too many or too old", totals.file_versions
    )
    yield amount("plugmesh_sweeper_stuck_objects", "Objects that could not be deleted in the last round", sweeper.stuck)
    yield amount("plugmesh_sweeper_age_seconds", "How long ago the last round ended; 0 before the first", sweeper.age_s)
