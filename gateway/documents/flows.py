"""Answers about flows."""

from __future__ import annotations

from typing import Any

from pydantic import Field, JsonValue

from gateway.documents.document import Document, example
from gateway.documents.problem import FlowProblem
from plugmesh.contracts.flow import Flow

_REVISION = {
    "namespace": "sales",
    "name": "report",
    "revision": 3,
    "digest": "sha256:5e0f",
    "media_type": "application/yaml",
    "message": "read the new columns",
    "actor": "local",
    "created_at": 1795271167.2,
}
_TEXT = "flow: sales/report\nnodes:\n  load: {module: csv.read}\n"


class FlowSaved(Document):
    """A revision that is there now. `unchanged`: it was the newest one already."""

    model_config = example(
        namespace="sales", name="report", revision=3, digest="sha256:5e0f", unchanged=False, warnings=[]
    )

    namespace: str
    name: str
    revision: int
    digest: str = Field(description="Equal flows have equal digests, however they are written")
    unchanged: bool
    warnings: list[FlowProblem]


class ListedRevision(Document):
    """A revision of a saved flow, without its text."""

    namespace: str
    name: str
    revision: int
    digest: str
    media_type: str
    message: str
    actor: str
    created_at: float


class FlowList(Document):
    """A page of saved flows, by namespace and name, each with its newest revision."""

    model_config = example(flows=[_REVISION], next_cursor=None)

    flows: list[ListedRevision]
    next_cursor: str | None


class RevisionList(Document):
    """A page of the revisions of a flow, newest first."""

    model_config = example(revisions=[_REVISION], next_cursor=None)

    revisions: list[ListedRevision]
    next_cursor: str | None


class SavedFlow(ListedRevision):
    """A revision: its text as it was put, and the canonical flow that it means."""

    model_config = example(
        **_REVISION,
        text=_TEXT,
        flow={"namespace": "sales", "name": "report", "nodes": {"load": {"module": "csv.read"}}},
    )

    text: str
    flow: Flow


class Change(Document):
    """What a field was and what it is."""

    from_: JsonValue = Field(alias="from")
    to: JsonValue


class PartChanges(Document):
    """What was added and removed, and of what is in both, the fields that changed."""

    added: list[str]
    removed: list[str]
    changed: dict[str, dict[str, Change]]


class Edge(Document):
    """From an output to an input."""

    from_: str = Field(alias="from")
    to: str


class EdgeChanges(Document):
    """Edges that were added and removed."""

    added: list[Edge]
    removed: list[Edge]


class SettingChanges(Document):
    """Fields of the flow itself that changed."""

    changed: dict[str, Change]


_NONE: dict[str, Any] = {"added": [], "removed": [], "changed": {}}


class FlowDiff(Document):
    """What changed between two revisions."""

    model_config = example(
        **{"from": 1, "to": 3},
        namespace="sales",
        name="report",
        nodes={
            "added": ["clean"],
            "removed": [],
            "changed": {"load": {"module": {"from": "csv.read", "to": "csv.read@^1"}}},
        },
        edges={"added": [{"from": "load", "to": "clean"}], "removed": []},
        params=_NONE,
        inputs=_NONE,
        outputs=_NONE,
        settings={"changed": {}},
        text="--- sales/report@1\n+++ sales/report@3\n@@ -2,1 +2,2 @@\n",
    )

    namespace: str
    name: str
    from_: int = Field(alias="from")
    to: int
    nodes: PartChanges
    edges: EdgeChanges
    params: PartChanges
    inputs: PartChanges
    outputs: PartChanges
    settings: SettingChanges
    text: str = Field(description="A unified diff of the texts")


class Validation(Document):
    """Everything that is wrong with a flow."""

    model_config = example(
        valid=False,
        flow=None,
        problems=[
            {
                "level": 3,
                "severity": "error",
                "code": "unknown-node",
                "message": "there is no node 'laod'",
                "path": ["nodes", "clean", "in"],
                "line": 4,
                "column": 35,
                "file": "flow.yaml",
                "hint": "did you mean 'load'?",
            }
        ],
        warnings=[],
    )

    valid: bool
    flow: str | None = Field(description="NAMESPACE/NAME, if it is valid")
    problems: list[FlowProblem]
    warnings: list[FlowProblem]
