"""What a round did, or would do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of objects that were to be deleted; `stuck` are the keys of those that are still there."""

    objects: int = 0
    bytes: int = 0
    stuck: frozenset[str] = frozenset()


@dataclass(slots=True)
class Report:
    """Counts. `young_runs` ended within the grace, and are not looked at yet; `data_*`, `log_runs`, `file_versions`:
    marked to go; `released_*`: deleted; `garbage_*`: deleted, and never referred to; `stuck_objects`: could not be
    deleted; `later_*`: marked, and deleted when the grace is over."""

    young_runs: int = 0
    measured_runs: int = 0
    data_runs: int = 0
    data_bytes: int = 0
    log_runs: int = 0
    event_runs: int = 0
    removed_runs: int = 0
    file_versions: int = 0
    released_objects: int = 0
    released_bytes: int = 0
    garbage_objects: int = 0
    garbage_bytes: int = 0
    abandoned_writes: int = 0
    stuck_objects: int = 0
    later_runs: int = 0
    later_bytes: int = 0
    failures: int = 0

    def __bool__(self) -> bool:
        quiet = {"young_runs", "measured_runs", "later_runs", "later_bytes"}
        return any(getattr(self, field.name) for field in fields(self) if field.name not in quiet)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:,}" for name, value in asdict(self).items() if value).replace("_", " ")

    def document(self, *, dry_run: bool) -> dict[str, Any]:
        """For the API."""
        return {"dry_run": dry_run, **asdict(self)}

    def add_deleted(self, deleted: Deleted, *, garbage: bool = False) -> None:
        """Count what was deleted, and what could not be."""
        if garbage:
            self.garbage_objects += deleted.objects
            self.garbage_bytes += deleted.bytes
        else:
            self.released_objects += deleted.objects
            self.released_bytes += deleted.bytes
        self.stuck_objects += len(deleted.stuck)

    def add(self, other: Report) -> None:
        """Add another round's counts (not those of what is still to come)."""
        for field in fields(self):
            if not field.name.startswith(("later_", "young_")):
                setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
