"""Answers about plans of columns."""

from __future__ import annotations

from pydantic import Field

from gateway.documents.document import Document, example
from gateway.documents.problem import FlowProblem

_ABOUT_NULL = "null: not known, or all of them"
_NODE = {
    "node": "late",
    "module": "table.filter@1.1.0",
    "kind": "transform",
    "inputs": [
        {
            "port": "table",
            "columns": [{"name": "carrier", "type": "string"}, {"name": "arr_delay", "type": "float64"}],
            "reads": ["arr_delay"],
            "needs": ["carrier", "arr_delay"],
        }
    ],
    "outputs": [
        {
            "port": "out",
            "columns": [{"name": "carrier", "type": "string"}, {"name": "arr_delay", "type": "float64"}],
            "wanted": ["carrier"],
        }
    ],
    "filters": [],
    "exact": True,
    "unknown": [],
}


class PlannedColumn(Document):
    """A column and the name of its Arrow type (`any`: not known)."""

    name: str
    type: str


class PlannedInput(Document):
    """A table input, by the names of the module."""

    port: str
    columns: list[PlannedColumn] | None = Field(description="What comes in; null: not known before the run")
    reads: list[str] | None = Field(description=f"What the module itself looks at; {_ABOUT_NULL}")
    needs: list[str] | None = Field(description=f"That, and what passes through to where it is used; {_ABOUT_NULL}")


class PlannedOutput(Document):
    """A table output, by the names of the flow."""

    port: str
    columns: list[PlannedColumn] | None = Field(description="What comes out; null: not known before the run")
    wanted: list[str] | None = Field(description=f"What anybody uses of it; {_ABOUT_NULL}")


class ExplainedNode(Document):
    """One node of a plan."""

    node: str
    module: str = Field(description="NAME@VERSION, or what the flow says if the module is not known")
    kind: str | None
    inputs: list[PlannedInput]
    outputs: list[PlannedOutput]
    filters: list[str] = Field(description="Conditions that a source is told: rows that do not meet them are not used")
    exact: bool = Field(description="Whether nothing had to be guessed")
    unknown: list[str] = Field(description="Why it had to be")


class Explanation(Document):
    """The plan of a flow, and everything that is wrong with the flow."""

    model_config = example(valid=True, flow="sales/report", problems=[], warnings=[], nodes=[_NODE])

    valid: bool
    flow: str | None = Field(description="NAMESPACE/NAME, if it is valid")
    problems: list[FlowProblem]
    warnings: list[FlowProblem]
    nodes: list[ExplainedNode]


class EdgeUse(Document):
    """What the steps behind an edge were handed. Bytes are those of the references; null: not known."""

    from_: str = Field(alias="from", description="NODE.PORT")
    to: str = Field(description="NODE.PORT")
    steps: int = Field(description="Steps of this run that ran; those that a rerun took over are not among them")
    columns: list[str] | None = Field(description="Those that were handed over")
    bytes_handed: int | None
    bytes_whole: int | None = Field(description="With all columns that there were")
    bytes_saved: int | None


class NodeUse(Document):
    """What the steps of a node made of it."""

    node: str
    steps: int
    bytes_handed: int
    bytes_whole: int
    bytes_saved: int
    bytes_written: int
    bytes_passed: int = Field(description="Of columns that outputs share with inputs: nothing was written for them")
    written: dict[str, list[str]] = Field(description="By output, columns that were written")
    passed: dict[str, list[str]] = Field(description="By output, columns that were passed on")
    wanted: dict[str, list[str]] = Field(description="By output, the only columns that the plan let be made")
    widths: dict[str, int] = Field(description="By output, how many columns there would be without the plan, if known")
    filters: list[str] = Field(description="Conditions on rows that the plan told a source")


class RunEdges(Document):
    """The bytes that went over the edges of a run, and those that were saved."""

    model_config = example(
        run="r-1",
        state="succeeded",
        edges=[
            {
                "from": "read.out",
                "to": "late.table",
                "steps": 1,
                "columns": ["arr_delay"],
                "bytes_handed": 2_694_208,
                "bytes_whole": 6_062_976,
                "bytes_saved": 3_368_768,
            }
        ],
        nodes=[
            {
                "node": "late",
                "steps": 1,
                "bytes_handed": 2_694_208,
                "bytes_whole": 6_062_976,
                "bytes_saved": 3_368_768,
                "bytes_written": 640_512,
                "bytes_passed": 0,
                "written": {"out": ["carrier", "arr_delay"]},
                "passed": {},
                "wanted": {"out": ["carrier", "arr_delay"]},
                "widths": {"out": 19},
                "filters": [],
            }
        ],
        complete=True,
    )

    run: str
    state: str
    edges: list[EdgeUse]
    nodes: list[NodeUse]
    complete: bool = Field(description="Whether all steps were counted; of very many, the first ones are")
