"""What the planner and others say to each other: questions about a module's columns, their answers, and the plan of a run.

A *plan* says which columns somebody uses: what a source must give (`wanted`), what a step is handed (`columns`), and which
rows nobody needs (`filters`). A missing entry, and `None`, always mean "all": a plan only ever leaves out what is known to
be unused.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Literal

from pydantic import Field, JsonValue

from plugmesh.contracts.base import Contract

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "is_null", "not_null"]


class Predicate(Contract):
    """A simple condition on one column. Rows for which it is false or null are not needed by anybody.

    `value` is a number, a text or a truth value as JSON; for `in`, a list of these; for `is_null` and `not_null` nothing.
    Dates and times are texts as SQL writes them. Whoever gets predicates may leave out such rows, and need not: the filter
    that they come from still stands behind. One that cannot be applied exactly is to be ignored.
    """

    column: str
    op: Operator
    value: JsonValue = None


class PlanQuestion(Contract):
    """What a live instance is asked: with these params and these columns coming in, what does the module read and give?

    `digest` is that of the contract. `params` are filled in. `schemas` has, for every table port that has an edge, the
    columns coming in with their type names, in order, called as the module calls them (`bind` is done). The question of a
    source has none.
    """

    module: str
    version: str
    digest: str
    params: dict[str, JsonValue] = {}
    schemas: dict[str, dict[str, str]] = {}

    @cached_property
    def key(self) -> str:
        """64 hex digits: equal questions have equal keys. The order of columns counts, that of params does not."""
        columns = {port: list(schema.items()) for port, schema in self.schemas.items()}
        text = json.dumps([self.digest, self.params, columns], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class PlanProblem(Contract):
    """Why a module could not work with these columns: `param` is the one that is wrong, `column` the name that is missing."""

    message: str
    param: str | None = None
    port: str | None = None
    column: str | None = None


class PassedColumn(Contract):
    """A column of an input that an output shows."""

    port: str
    column: str


class PlanAnswer(Contract):
    """What a module reads and gives, for one question.

    `reads`: by input port, the columns that it is handed whatever is done with its outputs, and of which it makes its own; a
    port that is missing is read whole (and every port, if `None`). `outputs`: by output port, its columns with their type
    names, in order; `None`: not known. `passes`: by output port, the output's columns that are columns of an input, under
    their names in the output. Where an output is missing in it (and everywhere, if `None`), the contract says what passes:
    with `"...": "table"`, columns of the same name; else nothing, the output is made of what the module `reads`.

    A module that gives `passes` promises: handed any columns that include those of `reads`, it gives the same output but
    for the columns that pass and were not handed over.
    """

    reads: dict[str, tuple[str, ...]] | None = None
    outputs: dict[str, dict[str, str]] | None = None
    passes: dict[str, dict[str, PassedColumn]] | None = None
    problems: tuple[PlanProblem, ...] = ()


class PlannedNode(Contract):
    """What a run's plan says about one node: see `Assign` for `columns`, `wanted` and `filters`.

    `version` is that of the module that it was planned with. `needs`: by input port, the columns that will be there at
    least, as the module calls them; a port that is missing gets all. Names are compared without regard to case. `widths`: by
    output port, how many columns it would have without the plan, where that is known.
    """

    version: str
    needs: dict[str, tuple[str, ...]] = {}
    columns: dict[str, tuple[str, ...]] | None = None
    wanted: dict[str, tuple[str, ...]] | None = None
    filters: dict[str, tuple[Predicate, ...]] | None = None
    widths: dict[str, int] = {}


class Planned(Contract):
    """A run's plan: nodes of which nothing is left out are not in it."""

    nodes: dict[str, PlannedNode] = Field(default_factory=dict)
