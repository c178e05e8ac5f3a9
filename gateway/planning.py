"""Planning flows: what is known of their columns, with what live modules say, and what of it a run is told.

A flow without a source that could be told to leave something out costs one look into a dictionary. For others a plan is
made of what is known, and modules that plan themselves are asked, for at most `WAIT_S` in all; an answer that comes later is
there for the next run. Answers that follow from columns or from a file are kept for good; problems, and others (a table in
somebody's database may have changed), for `FRESH_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from gateway.asking import Asking
from plugmesh.contracts.flow import Flow
from plugmesh.contracts.module import ModuleContract, ModuleKind
from plugmesh.contracts.plan import PlanAnswer, Planned, PlanQuestion
from plugmesh.errors import FlowInvalid, StateUnavailable
from plugmesh.flows.parse import parse_flow_document, parse_flow_text
from plugmesh.flows.places import Places
from plugmesh.flows.problem import COLUMNS, Problem, Report
from plugmesh.flows.substitute import Resolved, Scope, scope_of
from plugmesh.flows.validate import ContractView
from plugmesh.planner.flow_plan import ColumnProblem, FlowPlan
from plugmesh.planner.params import Params, params_of
from plugmesh.planner.plan import plan
from plugmesh.planner.planned import planned_of
from plugmesh.planner.worth import worth_planning
from plugmesh.runtime import Runtime
from plugmesh.state.plan_answers import plan_answers, save_plan_answers
from plugmesh.state.store import State

WAIT_S = 1.0
"""So long a submit waits for answers, at most."""
AGAIN_S = 10.0
"""So long nobody waits again for an answer that did not come."""
FRESH_S = 10.0
KEPT_ANSWERS = 2_000
KEPT_PLANS = 256
LARGE_NODES = 200
LARGE_COLUMNS = 20_000
"""Flows with more nodes are planned on a thread, and flows that could have more columns at their nodes in all."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """What is known of a flow's modules; `worth`: a plan could leave something out."""

    by_node: Mapping[str, ModuleContract]
    worth: bool


@dataclass(frozen=True, slots=True)
class Lasting:
    """Something that was found out, and until when it is believed (by the monotonic clock)."""

    found: Any
    until: float


class Planning:
    """Plans flows, and keeps what it was told."""

    def __init__(self, runtime: Runtime, state: State, *, modules: ContractView, asking: Asking, kept: int) -> None:
        self._runtime, self._state, self._modules, self._asking = runtime, state, modules, asking
        self._kept = kept
        self._contracts: OrderedDict[str, Contracts] = OrderedDict()
        self._answers: OrderedDict[str, Lasting] = OrderedDict()
        self._plans: OrderedDict[bytes, Lasting] = OrderedDict()
        self._given_up: OrderedDict[str, float] = OrderedDict()
        self._widest = 0
        """Columns of the widest table that an answer told of."""

    def forget(self) -> None:
        """Look at every flow again: modules came or went."""
        self._contracts.clear()
        self._plans.clear()
        self._given_up.clear()

    async def planned(self, flow: Flow, resolved: Resolved, source: Any = None) -> Planned | None:
        """What a run of `flow` is told; `None` if nothing can be left out.

        Raises `FlowInvalid` with what cannot work, and its places in `source`, the text that the flow was written in.
        """
        known = self._known(flow)
        if not known.worth:
            return None
        found = await self._with_kept(flow, resolved, known)
        if found.problems:
            problems = reported(found.problems, places_of(source))
            texts = "; ".join(str(problem) for problem in problems[:5])
            raise FlowInvalid(f"the run of {flow.namespace}/{flow.name} cannot work: {texts}", problems)
        return planned_of(found, {name: node.bind for name, node in flow.nodes.items() if node.bind})

    async def find(self, flow: Flow, scope: Scope, within_s: float = WAIT_S) -> FlowPlan:
        """The plan of a flow with what `scope` has; what it lacks is unknown. Answers are waited for at most `within_s`."""
        known = self._known(flow)
        params = params_of(flow, scope)
        deadline = self._runtime.now() + within_s
        found = await self._plan(flow, known.by_node, params)
        while (
            found.questions and self._runtime.now() < deadline and await self._learn(found.questions.values(), deadline)
        ):
            found = await self._plan(flow, known.by_node, params)
        return found

    def contracts(self, flow: Flow) -> Mapping[str, ModuleContract]:
        """By node, the contracts that a plan is made with."""
        return self._known(flow).by_node

    async def _with_kept(self, flow: Flow, resolved: Resolved, known: Contracts) -> FlowPlan:
        key = flow.digest.encode() + to_json([resolved.params, resolved.inputs])
        kept = self._plans.get(key)
        if kept is not None and self._runtime.now() < kept.until:
            plan_of_before: FlowPlan = kept.found
            return plan_of_before
        found = await self.find(flow, scope_of(flow, resolved.inputs, resolved.params))
        if not found.questions and known is self._contracts.get(flow.digest):  # no module came or went meanwhile
            _keep(self._plans, key, Lasting(found, self._until(found)), KEPT_PLANS)
        return found

    def _until(self, found: FlowPlan) -> float:
        """A plan holds as long as the shortest-lived answer that it was made with could."""
        asks = [node.contract for node in found.nodes.values() if node.contract is not None and node.contract.has_plan]
        changing = any(contract.kind is ModuleKind.SOURCE for contract in asks)
        return self._runtime.now() + FRESH_S if changing or found.problems else math.inf

    def _known(self, flow: Flow) -> Contracts:
        found = self._contracts.get(flow.digest)
        if found is None:
            references = {node.module: self._modules.find(node.module) for node in flow.nodes.values() if node.module}
            by_node = {
                name: contract
                for name, node in flow.nodes.items()
                if (contract := references.get(node.module)) is not None
            }
            found = Contracts(by_node, worth_planning(flow, by_node))
            _keep(self._contracts, flow.digest, found, self._kept)
        return found

    async def _plan(
        self, flow: Flow, contracts: Mapping[str, ModuleContract], params: Mapping[str, Params]
    ) -> FlowPlan:
        now = self._runtime.now()

        def answer(question: PlanQuestion) -> PlanAnswer | None:
            kept = self._answers.get(question.key)
            return kept.found if kept is not None and now < kept.until else None

        if len(flow.nodes) <= LARGE_NODES and len(flow.nodes) * self._widest <= LARGE_COLUMNS:
            return plan(flow, contracts, params, answers=answer)
        return await self._runtime.run_sync(plan, flow, contracts, params, None, answer)

    # -- what modules say --------------------------------------------------------------------------------------------

    async def _learn(self, questions: Iterable[PlanQuestion], deadline: float) -> bool:
        """Find answers: kept ones, and what live instances say before the deadline. Whether there is a new one."""
        asked = {question.key: question for question in questions}
        found = await self._read([key for key, question in asked.items() if _lasts(question)])
        left = {key: question for key, question in asked.items() if key not in found}
        told = await self._ask(left, deadline) if left else {}
        until = self._runtime.now() + FRESH_S
        # A problem may be that of a moment: of a full disk, or of a machine without memory.
        lasting = {key for key, one in {**found, **told}.items() if _lasts(asked[key]) and not one.problems}
        for key, answer in {**found, **told}.items():
            _keep(self._answers, key, Lasting(answer, math.inf if key in lasting else until), KEPT_ANSWERS)
        for one in (*found.values(), *told.values()):
            self._widest = max(self._widest, *map(len, (one.outputs or {}).values()), 0)
        texts = {key: one.model_dump_json(exclude_none=True) for key, one in told.items() if key in lasting}
        if texts:
            self._runtime.spawn(self._save(texts), "save plan answers")
        return bool(found or told)

    async def _read(self, questions: Collection[str]) -> dict[str, PlanAnswer]:
        texts = await self._state.read(plan_answers, questions) if questions else {}
        return {key: PlanAnswer.model_validate_json(text) for key, text in texts.items()}

    async def _ask(self, questions: Mapping[str, PlanQuestion], deadline: float) -> dict[str, PlanAnswer]:
        now = self._runtime.now()
        waits = {key: 0.0 if now < self._given_up.get(key, 0.0) else max(0.0, deadline - now) for key in questions}
        answers = await asyncio.gather(*(self._asking.ask(questions[key], wait) for key, wait in waits.items()))
        told: dict[str, PlanAnswer] = {}
        for key, answer in zip(waits, answers, strict=True):
            if answer is not None:
                told[key] = answer
                self._given_up.pop(key, None)
            elif waits[key]:
                _keep(self._given_up, key, self._runtime.now() + AGAIN_S, KEPT_ANSWERS)
        return told

    async def _save(self, texts: Mapping[str, str]) -> None:
        with contextlib.suppress(StateUnavailable):  # they are asked for again
            await self._state.write(save_plan_answers, texts, self._runtime.wall())


def places_of(source: Any) -> Places:
    """Where each part of a flow stands in its text (`None`: it has none); looked for once more when something is wrong."""
    if source is None:
        return Places("flow")
    parsed = parse_flow_text(source) if isinstance(source, str | bytes) else parse_flow_document(source)
    return parsed.places


def reported(problems: Iterable[ColumnProblem], places: Places) -> tuple[Problem, ...]:
    """Problems of a plan with their places in the text."""
    report = Report(places)
    for one in problems:
        report.error(COLUMNS, one.code, one.message, one.path, hint=one.hint)
    return report.problems


def _lasts(question: PlanQuestion) -> bool:
    """Whether an answer follows from the question alone: from the columns that come in, or from a file, which never changes."""
    given = [question.params]
    while given and not question.schemas:
        part: Any = given.pop()
        if isinstance(part, dict):
            if part.get("kind") == "file" and "hash" in part:
                return True
            given.extend(part.values())
        elif isinstance(part, list):
            given.extend(part)
    return bool(question.schemas)


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
