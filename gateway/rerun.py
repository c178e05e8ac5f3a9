"""Reruns: a new run of the very flow of an earlier one, which takes over what of it is still good."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from gateway import inputs
from gateway.bodies import read_json, read_model
from gateway.borrowing import hold
from gateway.errors import BadRequest, RequestInvalid
from gateway.flows import Flows
from gateway.permits import permit_of
from gateway.planning import Planning
from gateway.problems import as_documents
from gateway.requests import RerunRequest
from gateway.runs import LOCAL, Runs, too_late
from gateway.views import Views, find
from gateway.waiting import ENDED
from gateway.webhooks import merge_notify
from plugmesh.contracts.data import Reference
from plugmesh.contracts.notify import Notify
from plugmesh.contracts.plan import Planned
from plugmesh.contracts.run import STEP_GOOD, Receipt, Recovered, Rerun, StepState, Submission
from plugmesh.errors import Conflict
from plugmesh.flows.rerun import NOT_ASKED, Asked, Obstacle, Origin, Parts, plan_rerun
from plugmesh.flows.substitute import Resolved, resolve_inputs_and_params, scope_of
from plugmesh.objects.port import ObjectStore
from plugmesh.planner.planned import taken_over
from plugmesh.runtime import Runtime
from plugmesh.state.borrowing import give_back
from plugmesh.state.reads import Reader
from plugmesh.state.records import StepRow, StoredRun
from plugmesh.state.store import State

_NOTIFY: TypeAdapter[tuple[Notify, ...]] = TypeAdapter(tuple[Notify, ...])
_REFERENCES: TypeAdapter[dict[str, Reference]] = TypeAdapter(dict[str, Reference])
_GOOD = frozenset(state.value for state in STEP_GOOD)
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class First:
    """The run that is run again: its row, its inputs and params, and what a rerun has to know of it.

    `root` is the first run of the line.
    """

    stored: StoredRun
    resolved: Resolved
    origin: Origin
    root: str


class Reruns:
    """Makes reruns."""

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        *,
        objects: ObjectStore,
        runs: Runs,
        flows: Flows,
        planning: Planning,
        views: Views,
    ) -> None:
        self._runtime, self._state, self._objects = runtime, state, objects
        self._runs, self._flows, self._planning, self._views = runs, flows, planning, views

    async def rerun(
        self, run: str, body: bytes, idempotency_key: str | None = None, actor: str = LOCAL
    ) -> dict[str, Any]:
        """Accept a rerun of `run`; the answer is that of a submit, with `origin`, and how many steps it recovers and
        executes.

        Raises `NotFound`, `Conflict` (the run has not ended, data is gone, or the key was used for another request),
        `BadRequest`, `FlowInvalid` with every problem, `StateUnavailable`.
        """
        request = read_model(RerunRequest, read_json(body)) if body else RerunRequest()
        if idempotency_key is not None and not 1 <= len(idempotency_key) <= 200:
            raise BadRequest("the header Idempotency-Key has 1 to 200 characters")
        stored = await self._state.read(find, run)
        if (repeated := await self._repeated(stored, idempotency_key, request)) is not None:
            return repeated
        first = await self.first(stored)
        checked = self._flows.accept_flow(first.origin.flow, strict=False)
        if request.deadline is not None and request.deadline <= self._runtime.wall():
            raise too_late()
        resolved = await self._resolved(first, request)
        planned = await self._planning.planned(first.origin.flow, resolved)
        parts = await self._runtime.run_sync(_planned, first.origin, request, resolved, planned)
        submission = _submission(
            first,
            request,
            resolved,
            parts,
            planned=taken_over(planned, first.origin.planned, {one.step.partition(".")[0] for one in parts.recovered}),
            run=self._runtime.new_id("run"),
            actor=actor,
            submitted_at=self._runtime.wall(),
            idempotency_key=idempotency_key,
            request_hash=None if idempotency_key is None else request.hash(run),
        )
        receipt = await self.hand_over(submission, given=request.inputs)
        numbers = {"recovered": len(parts.recovered), "again": parts.again}
        return {**_accepted(receipt, run), **numbers, "warnings": as_documents(checked.warnings)}

    async def first(self, stored: StoredRun) -> First:
        """What a rerun of this run has to know. Raises `Conflict` if it has not ended."""
        if stored.state not in ENDED:
            raise Conflict(
                f"run {stored.id} is {stored.state}: only a run that has ended can be run again, so wait for its end or "
                "cancel it first"
            )
        flow = await self._state.read(_flow, self._views, stored)
        resolved = Resolved(_REFERENCES.validate_json(stored.inputs), from_json(stored.params))
        told = None if stored.rerun is None else Rerun.model_validate_json(stored.rerun)
        accepted, left_out, pieces = await self._steps(stored)
        origin = Origin(
            flow,
            scope_of(flow, resolved.inputs, resolved.params),
            accepted,
            left_out,
            feeds={} if told is None else told.feeds,
            elements={} if told is None else told.elements,
            pieces={name: ends for name, ends in {**({} if told is None else told.pieces), **pieces}.items() if ends},
            planned=None if stored.planned is None else Planned.model_validate_json(stored.planned),
        )
        return First(stored, resolved, origin, stored.id if told is None else told.root)

    async def make(
        self, first: First, parts: Parts, *, run: str, actor: str, idempotency_key: str, request_hash: str
    ) -> Receipt:
        """Make a rerun, under the id `run`, that was planned elsewhere. Raises as `rerun`."""
        self._flows.accept_flow(first.origin.flow, strict=False)
        submission = _submission(
            first,
            RerunRequest(),
            first.resolved,
            parts,
            planned=first.origin.planned,
            run=run,
            actor=actor,
            submitted_at=self._runtime.wall(),
            idempotency_key=idempotency_key,
            request_hash=request_hash,
        )
        return await self.hand_over(submission)

    async def hand_over(self, submission: Submission, *, given: Collection[str] = ()) -> Receipt:
        """Make a rerun, whose data is held from before it is there. `given` are inputs that were checked already.

        Raises `Conflict`, `StateUnavailable`.
        """
        await hold(self._runtime, self._state, self._objects, submission, given)
        try:
            receipt = await self._runs.hand_over(submission)
        except Conflict:
            await self._state.write(give_back, submission.run)
            raise
        if receipt.repeated:
            await self._state.write(give_back, submission.run)
        return receipt

    async def _repeated(self, origin: StoredRun, key: str | None, request: RerunRequest) -> dict[str, Any] | None:
        """The rerun that this very request has made before, though it could perhaps not be made now."""
        stored = None if key is None else await self._state.read(Reader.run_by_key, origin.namespace, key)
        if stored is None or stored.request_hash != request.hash(origin.id):
            return None
        counts = await self._state.read(Reader.step_counts, stored)
        receipt = Receipt(run=stored.id, state=stored.state, repeated=True)
        recovered = counts.get(StepState.RECOVERED.value, 0)
        return {**_accepted(receipt, origin.id), "recovered": recovered, "again": None, "warnings": []}

    async def _resolved(self, first: First, request: RerunRequest) -> Resolved:
        """The inputs and params of the rerun: those of the first run, but for those that are given anew."""
        flow, was = first.origin.flow, first.resolved
        given = await inputs.resolve(self._state, flow.namespace, request.inputs) if request.inputs else {}
        return resolve_inputs_and_params(flow, {**was.inputs, **given}, {**was.params, **request.params})

    async def _steps(
        self, stored: StoredRun
    ) -> tuple[dict[str, Recovered], frozenset[str], dict[str, tuple[int, ...]]]:
        """The steps that were accepted, those that were left out, and those that were cut, page by page: others ask
        questions, too."""
        accepted: dict[str, Recovered] = {}
        left_out: set[str] = set()
        pieces: dict[str, tuple[int, ...]] = {}
        after = ""
        while True:
            page, after = await self._state.read(_page, stored, after)
            accepted.update((one.step, one) for one in page.good)
            left_out.update(page.left_out)
            pieces.update(page.pieces)
            if not after:
                return accepted, frozenset(left_out), pieces


@dataclass(frozen=True, slots=True)
class _Page:
    """Of some steps those that were accepted, those that nobody asked for, and those that were done in pieces."""

    good: list[Recovered]
    left_out: list[str]
    pieces: dict[str, tuple[int, ...]]


def _page(reader: Reader, stored: StoredRun, after: str) -> tuple[_Page, str]:
    """One page of steps, and where the next one begins."""
    rows = reader.steps(stored, after=after, limit=_PAGE)
    good = [_recovered(row) for row in rows if row.state in _GOOD]
    out = [row.id for row in rows if row.state == StepState.SKIPPED and row.reason == NOT_ASKED]
    pieces = {row.id: tuple(from_json(row.pieces)) for row in rows if row.pieces is not None}
    return _Page(good, out, pieces), rows[-1].id if len(rows) == _PAGE else ""


def _recovered(row: StepRow) -> Recovered:
    outputs = {} if row.outputs is None else _REFERENCES.validate_json(row.outputs)
    return Recovered(step=row.id, version=row.version, outputs=outputs)


def _flow(reader: Reader, views: Views, stored: StoredRun) -> Any:
    return views.flow(reader, stored.revision)


def _planned(origin: Origin, request: RerunRequest, resolved: Resolved, planned: Planned | None) -> Parts:
    """Raises `RequestInvalid` with every step that cannot be had."""
    given = request.from_
    asked = Asked(given == "start", tuple(given) if isinstance(given, list) else (), tuple(request.only))
    if request.only and given != "failed":
        parts = Parts(problems=(Obstacle("only", "from and only ask for different things: leave one of them out"),))
    else:
        parts = plan_rerun(origin, asked, scope_of(origin.flow, resolved.inputs, resolved.params), planned)
    if parts.problems:
        problems = tuple({"where": one.where, "message": one.message} for one in parts.problems)
        texts = "; ".join(f"{one.where}: {one.message}" for one in parts.problems)
        raise RequestInvalid(f"the run cannot be run again like this: {texts}", problems)
    return parts


def _submission(first: First, request: RerunRequest, resolved: Resolved, parts: Parts, **more: Any) -> Submission:
    """`more` is what does not follow from the first run and the request. Raises `RequestInvalid`, `FlowInvalid`."""
    was, flow = first.stored, first.origin.flow
    if request.notify is not None:
        notify = merge_notify(flow.notify, request.notify)
    else:
        notify = () if was.notify is None else _NOTIFY.validate_json(was.notify)
    return Submission(
        namespace=was.namespace,
        flow=flow,
        inputs=resolved.inputs,
        params=resolved.params,
        timeout_s=was.timeout_s if request.timeout_s is None else request.timeout_s,
        labels=from_json(was.labels) if request.labels is None else request.labels,
        notify=notify,
        flow_revision=was.flow_revision,
        priority=was.priority if request.priority is None else request.priority,
        deadline=request.deadline,
        permit=None if flow.concurrency is None else permit_of(flow, resolved.params),
        rerun=Rerun(
            origin=was.id,
            root=first.root,
            recovered=parts.recovered,
            skipped=parts.skipped,
            feeds=_feeds(parts.feeds),
            elements=dict(parts.elements),
            pieces=dict(parts.pieces),
        ),
        **more,
    )


def _feeds(feeds: Mapping[str, Mapping[str, tuple[Reference, ...]]]) -> dict[str, dict[str, tuple[Reference, ...]]]:
    return {step: dict(ports) for step, ports in feeds.items()}


def _accepted(receipt: Receipt, origin: str) -> dict[str, Any]:
    return {"id": receipt.run, "state": receipt.state, "repeated": receipt.repeated, "origin": origin}
