"""Runs: submitted, looked at, waited for, listed, paused, cancelled, deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from gateway import inputs
from gateway.bodies import read_json, read_model
from gateway.errors import BadRequest, RequestInvalid
from gateway.flows import Checked, Flows
from gateway.paging import number_of
from gateway.permits import permit_of
from gateway.planning import Planning
from gateway.problems import as_documents
from gateway.requests import RunRequest
from gateway.saved_flows import SavedFlows
from gateway.views import Views, find, run_document
from gateway.waiting import ENDED, Waiting
from gateway.webhooks import merge_notify
from plugmesh.contracts.run import Command, Receipt, RunState, Submission
from plugmesh.errors import Conflict, FlowInvalid
from plugmesh.flows.substitute import resolve_inputs_and_params
from plugmesh.intake import Intake
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.reads import Reader
from plugmesh.state.records import StoredRun
from plugmesh.state.runs import RunFilter, delete_run_rows, list_runs
from plugmesh.state.store import State

LOCAL = "local"
"""The actor of this machine's person."""

CommandKind = Literal["cancel", "pause", "resume"]

_STATES = frozenset(state.value for state in RunState)


class Runs:
    """What can be done with runs."""

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        intake: Intake,
        *,
        flows: Flows,
        saved: SavedFlows,
        planning: Planning,
        waiting: Waiting,
        views: Views,
        settings: Settings,
    ) -> None:
        self._runtime, self._state, self._intake = runtime, state, intake
        self._flows, self._saved, self._planning = flows, saved, planning
        self._waiting, self._views, self._settings = waiting, views, settings
        self.submitted = 0
        """Runs accepted by this gateway, for metrics."""

    async def submit(self, body: bytes, idempotency_key: str | None = None, actor: str = LOCAL) -> dict[str, Any]:
        """Accept a run; the answer has `id`, `state`, `repeated` and `warnings`.

        Raises `BadRequest`, `FlowInvalid` with every problem, `NotFound` (a saved flow), `Conflict` (the key was used
        for another request), `StateUnavailable`.
        """
        request = read_model(RunRequest, read_json(body))
        if idempotency_key is not None and not 1 <= len(idempotency_key) <= 200:
            raise BadRequest("the header Idempotency-Key has 1 to 200 characters")
        checked, revision = await self._flow(request)
        flow = checked.flow
        assert flow is not None
        try:
            given = await inputs.resolve(self._state, flow.namespace, request.inputs) if request.inputs else {}
        except RequestInvalid:  # a file may have been deleted since the first time
            repeated = await self._repeated(flow.namespace, idempotency_key, request)
            if repeated is None:
                raise
            return {**repeated, "warnings": as_documents(checked.warnings)}
        now = self._runtime.wall()
        if request.deadline is not None and request.deadline <= now:
            repeated = await self._repeated(flow.namespace, idempotency_key, request)  # it was not over then
            if repeated is None:
                raise too_late()
            return {**repeated, "warnings": as_documents(checked.warnings)}
        resolved = resolve_inputs_and_params(flow, given, request.params)
        try:
            planned = await self._planning.planned(flow, resolved, None if revision else request.flow)
        except FlowInvalid:  # a module may have changed since the first time
            repeated = await self._repeated(flow.namespace, idempotency_key, request)
            if repeated is None:
                raise
            return {**repeated, "warnings": as_documents(checked.warnings)}
        submission = Submission(
            run=self._runtime.new_id("run"),
            namespace=flow.namespace,
            flow=flow,
            inputs=resolved.inputs,
            params=resolved.params,
            idempotency_key=idempotency_key,
            timeout_s=request.timeout_s if request.timeout_s is not None else flow.timeout_s,
            actor=actor,
            labels=request.labels,
            submitted_at=now,
            strict=request.strict,
            notify=merge_notify(flow.notify, request.notify) if flow.notify or request.notify else (),
            flow_revision=revision,
            request_hash=None if idempotency_key is None else request.hash,
            priority=flow.priority if request.priority is None else request.priority,
            deadline=request.deadline,
            permit=None if flow.concurrency is None else permit_of(flow, resolved.params),
            planned=planned,
        )
        receipt = await self.hand_over(submission)
        return {
            "id": receipt.run,
            "state": receipt.state,
            "repeated": receipt.repeated,
            "warnings": as_documents(checked.warnings),
        }

    async def hand_over(self, submission: Submission) -> Receipt:
        """Give a submission to its scheduler. Raises `Conflict`, `StateUnavailable`."""
        receipt = await self._intake.submit(submission)
        self.submitted += not receipt.repeated
        self._waiting.submitted(receipt.run)
        return receipt

    async def _repeated(self, namespace: str, key: str | None, request: RunRequest) -> dict[str, Any] | None:
        """The run that this very request has made before, though it could not be made now."""
        stored = None if key is None else await self._state.read(Reader.run_by_key, namespace, key)
        if stored is None or stored.request_hash != request.hash:
            return None
        return {"id": stored.id, "state": stored.state, "repeated": True}

    async def _flow(self, request: RunRequest) -> tuple[Checked, int | None]:
        """What is to run, and its revision's number if it is a saved flow."""
        source = request.flow
        if isinstance(source, str) or "ref" not in source:
            return await self._flows.accept(source, strict=request.strict), None
        if len(source) > 1 or not isinstance(source["ref"], str):
            raise BadRequest('a saved flow is named as {"ref": "NAMESPACE/NAME@3"}, with nothing beside it')
        flow, number = await self._saved.find(source["ref"])
        return self._flows.accept_flow(flow, strict=request.strict), number

    async def get(self, run: str, wait_s: float = 0.0, has_left: Callable[[], Awaitable[bool]] | None = None) -> bytes:
        """A run as JSON text: at once if it has ended, else at its end or after `wait_s`. Raises `NotFound`.

        `has_left` is asked now and then whether whoever waits is gone: then there is no need to wait on.
        """
        if wait_s > 0:
            await self._wait(run, min(wait_s, self._settings.wait_limit_s), has_left)
        return await self._state.read(self._views.run, run)

    async def _wait(self, run: str, wait_s: float, has_left: Callable[[], Awaitable[bool]] | None) -> None:
        deadline = self._runtime.now() + wait_s
        with self._waiting.watch(run) as watcher:
            # A run that this process saw begin needs no look into SQL: its end will be heard.
            known = self._waiting.state(run) or (await self._state.read(find, run)).state
            while known not in ENDED and not watcher.ended and not self._waiting.closed:
                left = deadline - self._runtime.now()
                if left <= 0:
                    return
                await watcher.wait(min(left, self._settings.recheck_s))
                if not watcher.ended:
                    if has_left is not None and await has_left():
                        return
                    known = (await self._state.read(find, run)).state

    async def list_runs(
        self,
        *,
        states: Sequence[str] = (),
        flow: str | None = None,
        namespace: str | None = None,
        labels: Sequence[str] = (),
        since: float | None = None,
        until: float | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """One page of runs, newest first; `flow` is a name, or `NAMESPACE/NAME`; labels are `NAME:VALUE`.

        Raises `BadRequest`.
        """
        unknown = [state for state in states if state not in _STATES]
        if unknown:
            raise BadRequest(f"{unknown[0][:40]!r} is no state of a run: there are {', '.join(RunState)}")
        before = None if cursor is None else number_of(cursor)
        if flow is not None and "/" in flow:
            namespace, _, flow = flow.partition("/")
        wanted = RunFilter(namespace, flow, states, _labels(labels), since, until)
        found = await self._state.read(list_runs, wanted, before=before, limit=limit + 1)
        following = str(found[limit - 1].key) if len(found) > limit else None
        return {"runs": [run_document(run) for run in found[:limit]], "next_cursor": following}

    async def cancel(self, run: str, reason: str = "", actor: str = LOCAL) -> dict[str, Any]:
        """Ask for a run's end; returns `id` and `state`. Nothing changes for a run that has ended. Raises `NotFound`."""
        stored = await self._state.read(find, run)
        if stored.state not in ENDED:
            stored = await self._command(run, "cancel", reason, actor)
        return {"id": run, "state": stored.state}

    async def pause(self, run: str, reason: str = "", actor: str = LOCAL) -> dict[str, Any]:
        """Let nothing new of a run begin; returns `id` and `state`. Nothing changes for one that is paused already.

        Raises `NotFound`, `Conflict` for a run that has ended or is being cancelled.
        """
        stored = await self._state.read(find, run)
        _check_open(stored, "paused")
        if stored.state != RunState.PAUSED:
            stored = await self._command(run, "pause", reason, actor)
        return {"id": run, "state": stored.state}

    async def resume(self, run: str, reason: str = "", actor: str = LOCAL) -> dict[str, Any]:
        """Let a paused run go on; returns `id` and `state`. Raises `NotFound`, `Conflict` for a run that is not paused."""
        stored = await self._state.read(find, run)
        _check_open(stored, "resumed")
        if stored.state != RunState.PAUSED and not await self._state.read(_about_to_pause, run):
            raise Conflict(f"run {run} is {stored.state}, not paused: there is nothing to resume")
        stored = await self._command(run, "resume", reason, actor)
        return {"id": run, "state": stored.state}

    async def _command(self, run: str, kind: CommandKind, reason: str, actor: str) -> StoredRun:
        """Write a wish down; the run as it is then."""
        command, now = self._runtime.new_id("command"), self._runtime.wall()
        await self._intake.command(Command(command=command, run=run, kind=kind, actor=actor, at=now, reason=reason))
        return await self._state.read(find, run)

    async def delete(self, run: str) -> None:
        """Remove a run that has ended: its rows now, its data by the sweeper. Raises `NotFound`, `Conflict`."""
        while await self._state.write(delete_run_rows, run):
            pass  # a long run goes in slices, between which others are written


def too_late() -> RequestInvalid:
    """A deadline that lies behind us."""
    problem = {"where": "deadline", "message": "this time is over: the run would end before it began"}
    return RequestInvalid(f"the run cannot start: deadline: {problem['message']}", (problem,))


def _check_open(run: StoredRun, what: str) -> None:
    if run.state in ENDED:
        raise Conflict(f"run {run.id} has ended ({run.state}), so it cannot be {what}")
    if run.state == RunState.CANCELLING:
        raise Conflict(f"run {run.id} is being cancelled, so it cannot be {what}")


def _about_to_pause(reader: Reader, run: str) -> bool:
    """Whether the last wish that was not carried out yet is to pause."""
    waiting = [command["kind"] for command in reader.commands(run) if command["applied_at"] is None]
    return waiting[-1:] == ["pause"]


def _labels(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name:
            raise BadRequest(f"label must be NAME:VALUE, not {text[:60]!r}")
        if found.setdefault(name, value) != value:
            raise BadRequest(f"no run has two values of the label {name[:60]!r}: ask for one of them")
    return found
