"""Answers about what is kept."""

from __future__ import annotations

from pydantic import Field

from gateway.documents.document import Document, example


class KindUsage(Document):
    """What one kind of thing takes up."""

    kind: str
    objects: int
    bytes: int


class FlowUsage(Document):
    """What the ended runs of one flow keep."""

    namespace: str
    flow: str
    runs: int
    objects: int
    bytes: int
    log_objects: int
    log_bytes: int


class FileUsage(Document):
    """What the files of one namespace take up; `deleted` versions still have to go."""

    namespace: str
    versions: int
    bytes: int
    deleted: int


class Holder(Document):
    """Why something is kept beyond its time: a person's pin, or a run whose outputs lie there."""

    held: str = Field(description="A run, or a version of a file (its object)")
    by: str
    actor: str | None
    reason: str
    until: float | None


class Usage(Document):
    """What is kept. Runs count some minutes after their end, when it was looked at what they left."""

    model_config = example(
        bytes=52_428_800,
        limit_bytes=None,
        marked_runs=1,
        marked_bytes=1_048_576,
        free_bytes=0,
        swept_at=1795271167.2,
        kinds=[{"kind": "data", "objects": 120, "bytes": 50_331_648}],
        flows=[],
        files=[],
        held=[],
    )

    bytes: int
    limit_bytes: int | None = Field(description="The setting `retention_data_bytes`")
    marked_runs: int = Field(description="Runs whose data is gone for everybody and will be deleted")
    marked_bytes: int
    free_bytes: int = Field(
        description="What deleted data still takes up on the disk, to be written again; at most the setting `pool_bytes`"
    )
    swept_at: float | None = Field(description="When the sweeper was last here (Unix seconds)")
    kinds: list[KindUsage]
    flows: list[FlowUsage]
    files: list[FileUsage]
    held: list[Holder]


class Swept(Document):
    """What a round of the sweeper did or, in a dry run, would do."""

    model_config = example(
        dry_run=True,
        young_runs=1,
        measured_runs=0,
        data_runs=2,
        data_bytes=1_048_576,
        log_runs=2,
        event_runs=2,
        removed_runs=0,
        file_versions=1,
        released_objects=0,
        released_bytes=0,
        garbage_objects=0,
        garbage_bytes=0,
        abandoned_writes=0,
        stuck_objects=0,
        later_runs=2,
        later_bytes=1_048_576,
        failures=0,
    )

    dry_run: bool
    young_runs: int = Field(description="Runs that ended within the grace: they are looked at later")
    measured_runs: int
    data_runs: int = Field(description="Runs whose outputs were marked to go")
    data_bytes: int
    log_runs: int = Field(description="Runs whose logs were marked to go")
    event_runs: int = Field(description="Runs whose events were deleted")
    removed_runs: int
    file_versions: int = Field(description="Versions of files that were deleted as too many or too old")
    released_objects: int = Field(description="Objects marked long enough ago, and deleted")
    released_bytes: int
    garbage_objects: int = Field(description="Objects that nothing refers to, deleted")
    garbage_bytes: int
    abandoned_writes: int
    stuck_objects: int = Field(description="Objects that could not be deleted; the next round tries again")
    later_runs: int = Field(description="Runs whose objects are deleted when the grace is over")
    later_bytes: int
    failures: int = Field(description="Parts of the round that failed; the server's log says why")


class Pin(Document):
    """A run that is kept, by whom and why."""

    model_config = example(
        run="run-06qk3v9r2m8w0001", actor="local", reason="for the audit", at=1795271167.2, until=None
    )

    run: str
    actor: str
    reason: str
    at: float
    until: float | None
