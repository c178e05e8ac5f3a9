"""Answers about runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from gateway.documents.document import Document, example
from gateway.documents.problem import FlowProblem, Problem
from plugmesh.contracts.data import Reference
from plugmesh.contracts.messages import AttemptStats, LogRef
from plugmesh.contracts.run import AttemptState, Progress, RunState, StepError, StepState

_RUN_ID = "run-06f3k8m2q9s1tbvx"
_TIMES = {"submitted_at": 1795271167.2, "started_at": 1795271167.3, "ended_at": 1795271168.9}
_LISTED = {
    "id": _RUN_ID,
    "state": "succeeded",
    "reason": None,
    "namespace": "sales",
    "flow": "report",
    "flow_revision": 3,
    "labels": {"team": "ops"},
    "actor": "local",
    "origin": None,
    "root": None,
    "priority": 0,
    "timeout_s": 3600.0,
    "deadline": None,
    **_TIMES,
    "data_gone_at": None,
    "seq": 7,
}
_STEP = {
    "id": "load",
    "state": "succeeded",
    "reason": None,
    "epoch": 1,
    "failures": 0,
    "losses": 0,
    "instance": "i-06f3k8m2q9s1tbvw",
    "version": "1.2.0",
    "outputs": {"out": {"kind": "table", "rows": 1200, "bytes": 38400}},
    "error": None,
    "ready_at": 1795271167.3,
    "started_at": 1795271167.4,
    "ended_at": 1795271168.9,
    "wake_at": None,
    "recovered_from": None,
}


class AcceptedRun(Document):
    """A run that is in the database. `repeated`: it was made by an earlier request with the same key."""

    model_config = example(id=_RUN_ID, state="queued", repeated=False, warnings=[])

    id: str
    state: RunState
    repeated: bool
    warnings: list[FlowProblem] = Field(description="What the author should know, such as modules nobody serves")


class AcceptedRerun(AcceptedRun):
    """A rerun that is in the database."""

    model_config = example(
        id=_RUN_ID, state="queued", repeated=False, warnings=[], origin="run-06f3k8m2q9s1tbvw", recovered=3, again=2
    )

    origin: str = Field(description="The run that it repeats")
    recovered: int = Field(description="Steps whose outputs it takes over")
    again: int | None = Field(description="Steps that it executes; null in the answer to a repeated request")


class BatchItem(Document):
    """What came of one request of a batch: a run, or a problem."""

    index: int
    id: str | None = None
    state: RunState | None = None
    repeated: bool | None = None
    problem: Problem | None = Field(default=None, description="As the request alone would have been answered")


class BatchAnswer(Document):
    """What came of each request of a batch, in their order."""

    model_config = example(
        runs=[
            {"index": 0, "id": _RUN_ID, "state": "queued", "repeated": False},
            {
                "index": 1,
                "problem": {
                    "type": "urn:plugmesh:problem:not-found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "there is no saved flow sales/raport (did you mean 'report'?)",
                    "code": "not-found",
                },
            },
        ]
    )

    runs: list[BatchItem]


class ListedRun(Document):
    """A run, without its steps. Times are Unix seconds."""

    id: str
    state: RunState
    reason: str | None
    namespace: str
    flow: str
    flow_revision: int | None = Field(description="Of the saved flow, if it was submitted by name")
    labels: dict[str, str]
    actor: str
    origin: str | None = Field(description="Of a rerun: the run that it repeats")
    root: str | None = Field(description="Of a rerun: the first run of that line, by whose id sinks know effects again")
    priority: int = Field(description="From -100 to 100; steps of runs with a higher one go first in their namespace")
    timeout_s: float | None
    deadline: float | None = Field(description="When it ends, if it has not ended before")
    submitted_at: float
    started_at: float | None
    ended_at: float | None
    data_gone_at: float | None = Field(description="When its outputs were removed")
    seq: int = Field(description="The number of its last event row")


class RunList(Document):
    """A page of runs, newest first."""

    model_config = example(runs=[_LISTED], next_cursor=None)

    runs: list[ListedRun]
    next_cursor: str | None


class OutputSummary(Document):
    """What lies at an output, in short; what is there depends on the kind."""

    kind: Literal["table", "file", "value"]
    rows: int | None = None
    bytes: int | None = None
    name: str | None = None
    hash: str | None = None
    value: JsonValue = None


class ShownStep(Document):
    """A step of a run."""

    id: str
    state: StepState
    reason: str | None
    epoch: int = Field(description="The number of its current or last attempt")
    failures: int
    losses: int
    instance: str | None
    version: str | None
    outputs: dict[str, OutputSummary]
    error: StepError | None
    ready_at: float | None
    started_at: float | None
    ended_at: float | None
    wake_at: float | None
    recovered_from: str | None = Field(
        description="Of a step that was recovered: where in the API the step is whose outputs it has"
    )


class FlowOutput(Document):
    """Where an output of the flow is: at a step's port, or the input that it hands on; and what lies there, in short."""

    input: str | None = None
    step: str | None = None
    port: str | None = Field(default=None, description="Null while nothing is there")
    kind: Literal["table", "file", "value"] | None = None
    rows: int | None = None
    bytes: int | None = None
    name: str | None = None
    hash: str | None = None
    value: JsonValue = None
    items: list[OutputSummary] = Field(default=[], description="Of a mapped node: one for each element")


class RunWebhook(Document):
    """What became of calling one webhook at the run's end."""

    id: str = Field(description="Of the notification: `POST /notifications/{notification}/retry` tries it again")
    url: str = Field(description="Without the values of its query")
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    next_at: float | None = Field(description="When it is called next (Unix seconds)")
    status: int | None = Field(description="Of the last answer")
    error: str | None = Field(description="Why the last try failed")


class WaitsFor(Document):
    """One thing that an open run waits for: of the run itself (`step` is null), or of some of its steps."""

    state: RunState | StepState = Field(description="Of the run or of the steps, such as `queued`, `paused`, `parked`")
    reason: str = Field(description="What is waited for, in words")
    step: str | None = Field(description="One of the steps")
    steps: int = Field(description="How many they are")
    until: float | None = Field(description="Until when, in Unix seconds; null: as long as it takes")


class ShownRun(ListedRun):
    """A run with its steps. `steps_left_out` is there when it has more than are shown: ask for them page by page."""

    model_config = example(
        **_LISTED,
        params={"day": "2026-11-20"},
        inputs={"orders": {"kind": "file", "name": "orders.csv", "bytes": 51200, "hash": "xxh3:0f"}},
        steps=[_STEP],
        nodes={},
        outputs={"report": {"step": "load", "port": "out", "kind": "table", "rows": 1200, "bytes": 38400}},
        reruns=[],
        webhooks=[
            {
                "id": f"{_RUN_ID}.0",
                "url": "https://hooks.example.com/plugmesh",
                "state": "delivered",
                "attempts": 1,
                "next_at": None,
                "status": 204,
                "error": None,
            }
        ],
        waits_for=[],
    )

    params: dict[str, JsonValue]
    inputs: dict[str, OutputSummary]
    steps: list[ShownStep]
    nodes: dict[str, dict[StepState, int]] = Field(
        description="Of each mapped node, and each that is done in pieces: how many of its elements or pieces are in each state"
    )
    steps_left_out: int | None = None
    outputs: dict[str, FlowOutput]
    reruns: list[str] = Field(description="The runs that repeat this one, oldest first")
    webhooks: list[RunWebhook] = Field(description="Those that its end concerns; none before the end")
    waits_for: list[WaitsFor] = Field(description="Empty exactly if it has ended")


class ControlledRun(Document):
    """The state of the run once the wish to cancel, pause or resume it was written down."""

    model_config = example(id=_RUN_ID, state="cancelling")

    id: str
    state: RunState


class Artifact(Document):
    """A file that a step left for people."""

    name: str
    bytes: int
    media_type: str


class WholeStep(ShownStep):
    """A step with what it used and left."""

    stats: AttemptStats | None = Field(description="What its last attempt used")
    progress: Progress | None
    artifacts: list[Artifact]


class StepList(Document):
    """A page of a run's steps, by id: those that something happened to."""

    model_config = example(
        run=_RUN_ID,
        steps=[{**_STEP, "stats": {"rows_out": 1200, "wall_s": 1.4}, "progress": None, "artifacts": []}],
        counts={"succeeded": 1},
        next_cursor=None,
    )

    run: str
    steps: list[WholeStep]
    counts: dict[StepState, int] = Field(description="Of all steps of the run, by state")
    next_cursor: str | None


class Attempt(Document):
    """One try of a step."""

    epoch: int
    state: AttemptState
    instance: str | None
    reason: str | None
    error: StepError | None
    stats: AttemptStats | None
    log: LogRef | None
    at: float


class OneStep(WholeStep):
    """A step with each of its attempts, oldest first."""

    model_config = example(
        **_STEP,
        stats={"rows_out": 1200, "wall_s": 1.4},
        progress=None,
        artifacts=[{"name": "report.html", "bytes": 4096, "media_type": "text/html"}],
        run=_RUN_ID,
        module="csv.read@^1",
        log=None,
        attempts=[
            {
                "epoch": 1,
                "state": "succeeded",
                "instance": "i-06f3k8m2q9s1tbvw",
                "reason": None,
                "error": None,
                "stats": {"rows_out": 1200, "wall_s": 1.4},
                "log": None,
                "at": 1795271168.9,
            }
        ],
    )

    run: str
    module: str | None
    log: LogRef | None
    attempts: list[Attempt]


class Span(Document):
    """How long a step was in a state. `to` is null as long as it is; an end has no length."""

    state: StepState
    from_: float = Field(alias="from")
    to: float | None
    epoch: int | None
    instance: str | None


class StepSpans(Document):
    """The spans of one step, in their order."""

    id: str
    spans: list[Span]


class RunTimes(Document):
    """The times of a run."""

    id: str
    state: RunState
    submitted_at: float
    started_at: float | None
    ended_at: float | None


class Timeline(Document):
    """When a run began and ended, and when each of a page of its steps was in which state."""

    model_config = example(
        run={"id": _RUN_ID, "state": "succeeded", **_TIMES},
        steps=[
            {
                "id": "load",
                "spans": [
                    {"state": "ready", "from": 1795271167.3, "to": 1795271167.4, "epoch": None, "instance": None},
                    {"state": "running", "from": 1795271167.4, "to": 1795271168.9, "epoch": 1, "instance": "i-1"},
                    {
                        "state": "succeeded",
                        "from": 1795271168.9,
                        "to": 1795271168.9,
                        "epoch": 1,
                        "instance": "i-1",
                    },
                ],
            }
        ],
        next_cursor=None,
    )

    run: RunTimes
    steps: list[StepSpans]
    next_cursor: str | None


class ReplayDocument(Document):
    """What is needed to run a step again: the fields of the message that an instance would get."""

    model_config = example(
        run=_RUN_ID,
        step="load",
        namespace="sales",
        epoch=1,
        state="failed",
        error={"type": "ValueError", "message": "no such column"},
        module="csv.read",
        version="1.2.0",
        digest="sha256:5e0f",
        params={"delimiter": ";"},
        inputs={"file": [{"kind": "file", "name": "a.csv", "key": "files/sales/f", "bytes": 9, "hash": "xxh3:0f"}]},
        bind={},
        columns=None,
        timeout_s=None,
    )

    run: str
    step: str
    namespace: str
    epoch: int
    state: StepState
    error: StepError | None
    module: str
    version: str
    digest: str
    params: dict[str, JsonValue]
    inputs: dict[str, list[Reference]] = Field(description="By port, the references that it is handed")
    bind: dict[str, str]
    columns: dict[str, list[str]] | None
    timeout_s: float | None
