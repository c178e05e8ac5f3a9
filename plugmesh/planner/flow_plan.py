"""What the planner finds out about a flow: for each node, what comes in, what it reads, what it gives, what of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from plugmesh.contracts.module import ModuleContract
from plugmesh.contracts.plan import PlanQuestion, Predicate
from plugmesh.flows.places import KeyPath

Schema = Mapping[str, str]
"""The columns of a table with their type names, in order."""
Names = tuple[str, ...]


class Unknown(Enum):
    """The value of a param that is only known during the run, or of an input that was not given yet."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class ColumnProblem:
    """Something that cannot work, whatever the data: `path` is the place in the flow, `column` the name it is about."""

    code: str
    message: str
    path: KeyPath
    node: str
    port: str | None = None
    column: str | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node. Names of inputs are those of the module (`bind` is done), names of outputs are those of the flow. `None` is
    always "all", or "not known".

    `inputs` and `outputs`: the columns of each table port. `reads`: what the module itself looks at. `needs`: that, and what
    passes through it to where it is used; it must be there. `columns`: what the module is handed, where that is less than
    it would be without a plan. `wanted`: by output, the columns that anybody uses. `filters`: conditions without which no row
    is used. `unknown` says, in words, why not everything is known; if it is empty, the plan is `exact` here.
    """

    contract: ModuleContract | None = None
    inputs: Mapping[str, Schema | None] = field(default_factory=dict)
    outputs: Mapping[str, Schema | None] = field(default_factory=dict)
    reads: Mapping[str, Names | None] = field(default_factory=dict)
    needs: Mapping[str, Names | None] = field(default_factory=dict)
    columns: Mapping[str, Names] = field(default_factory=dict)
    wanted: Mapping[str, Names | None] = field(default_factory=dict)
    filters: Mapping[str, tuple[Predicate, ...]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether nothing about the columns of this node had to be guessed."""
        return not self.unknown


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """The plan of a flow. `questions`: by node, what a live instance can still be asked so that more is known."""

    nodes: Mapping[str, NodePlan] = field(default_factory=dict)
    problems: tuple[ColumnProblem, ...] = ()
    questions: Mapping[str, PlanQuestion] = field(default_factory=dict)
