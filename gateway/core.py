"""The gateway without the web: accepts runs, answers questions, keeps who waits. A simulation drives it directly."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic_core import to_json

from gateway import inputs
from gateway.bodies import read_json, read_model
from gateway.catalogue import Modules
from gateway.data import Data
from gateway.errors import BadRequest
from gateway.feed import Feed
from gateway.flows import Checked, Flows
from gateway.instances import Instances
from gateway.problems import as_documents
from gateway.reader.pool import Reader as DataReader
from gateway.reading import Reading
from gateway.settings import GatewaySettings
from gateway.uploads import Uploads, check_namespace
from gateway.views import Views, file_document, find, run_document
from gateway.waiting import ENDED, Waiting
from plugmesh.bus.port import Bus
from plugmesh.contracts.base import NAME_PATTERN
from plugmesh.contracts.run import Command, RunState, Submission
from plugmesh.flows.substitute import resolve_inputs_and_params
from plugmesh.intake import Intake
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime
from plugmesh.state.reads import Reader
from plugmesh.state.store import State
from registry.registry import Registry

LOCAL = "local"
"""The actor of this machine's person."""

_STATES = frozenset(state.value for state in RunState)

Label = Annotated[str, Field(max_length=200)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class RunRequest(BaseModel):
    """`POST /runs`. `flow` is a flow as a JSON object, or its YAML or JSON text.

    `inputs` are `{"file": "NAME"}` (its newest version), `{"value": …}` or whole references.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    flow: dict[str, Any] | str
    inputs: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, JsonValue] = Field(default_factory=dict)
    timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    labels: dict[Name, Label] = Field(default_factory=dict, max_length=64)
    strict: bool = False


class CancelRequest(BaseModel):
    """`POST /runs/{id}/cancel`: why, for whoever looks at the run later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(default="", max_length=1000)


class Gateway:
    """One gateway. `start` before use, `close` after it; whoever made the parts closes them."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        state: State,
        intake: Intake,
        registry: Registry,
        bus: Bus,
        objects: ObjectStore,
        reader: DataReader,
        settings: GatewaySettings | None = None,
    ) -> None:
        self.settings = settings or GatewaySettings()
        self.runtime = runtime
        self.state = state
        self.objects = objects
        self.reader = reader
        self.modules = Modules(registry)
        self.instances = Instances(registry, bus)
        self.feed = Feed(runtime, bus, registry, self.modules)
        self.waiting = Waiting(runtime, bus)
        self.uploads = Uploads(runtime, state, objects, self.settings.file_limit_bytes)
        self.flows = Flows(runtime, self.modules, self.settings.flows_kept)
        self.views = Views()
        self.reading = Reading()
        """The runs whose data somebody looks at; a sweeper leaves them alone."""
        self.data = Data(runtime, state, self.views, reader, settings=self.settings, reading=self.reading)
        self.submitted = 0
        """Runs accepted by this gateway, for metrics."""
        self._intake = intake

    def start(self) -> None:
        """Begin to listen to events and to the registry."""
        self.waiting.start()
        self.modules.watch(self.flows.forget)

    def close_streams(self) -> None:
        """Let everybody who waits go, so that the server can stop."""
        self.waiting.close()
        self.feed.close()

    async def close(self) -> None:
        """Stop listening and end the reader processes."""
        self.waiting.close()
        self.feed.close()
        self.modules.close()
        await self.reader.close()

    # -- runs --------------------------------------------------------------------------------------------------------

    async def submit(self, body: bytes, idempotency_key: str | None = None, actor: str = LOCAL) -> dict[str, Any]:
        """Accept a run; the answer has `id`, `state`, `repeated` and `warnings`.

        Raises `BadRequest`, `FlowInvalid` with every problem, `StateUnavailable`.
        """
        request = read_model(RunRequest, read_json(body))
        if idempotency_key is not None and not 1 <= len(idempotency_key) <= 200:
            raise BadRequest("the header Idempotency-Key has 1 to 200 characters")
        checked = await self.flows.accept(request.flow, strict=request.strict)
        flow = checked.flow
        assert flow is not None
        given = await inputs.resolve(self.state, flow.namespace, request.inputs) if request.inputs else {}
        resolved = resolve_inputs_and_params(flow, given, request.params)
        submission = Submission(
            run=self.runtime.new_id("run"),
            namespace=flow.namespace,
            flow=flow,
            inputs=resolved.inputs,
            params=resolved.params,
            idempotency_key=idempotency_key,
            timeout_s=request.timeout_s if request.timeout_s is not None else flow.timeout_s,
            actor=actor,
            labels=request.labels,
            submitted_at=self.runtime.wall(),
            strict=request.strict,
        )
        receipt = await self._intake.submit(submission)
        self.submitted += not receipt.repeated
        self.waiting.submitted(receipt.run)
        return {
            "id": receipt.run,
            "state": receipt.state,
            "repeated": receipt.repeated,
            "warnings": as_documents(checked.warnings),
        }

    async def run(self, run: str, wait_s: float = 0.0) -> bytes:
        """A run as JSON text: at once if it has ended, else at its end or after `wait_s`. Raises `NotFound`."""
        if wait_s > 0:
            await self._wait(run, min(wait_s, self.settings.wait_limit_s))
        return await self.state.read(self.views.run, run)

    async def _wait(self, run: str, wait_s: float) -> None:
        deadline = self.runtime.now() + wait_s
        with self.waiting.watch(run) as watcher:
            # A run that this process saw begin needs no look into SQL: its end will be heard.
            known = self.waiting.state(run) or (await self.state.read(find, run)).state
            while known not in ENDED and not watcher.ended and not self.waiting.closed:
                left = deadline - self.runtime.now()
                if left <= 0:
                    return
                await watcher.wait(min(left, self.settings.recheck_s))
                if not watcher.ended:
                    known = (await self.state.read(find, run)).state

    async def runs(
        self, *, namespace: str | None, flow: str | None, states: list[str], cursor: str | None, limit: int
    ) -> dict[str, Any]:
        """One page of runs, newest first; `flow` is a name, or `NAMESPACE/NAME`. Raises `BadRequest`."""
        unknown = [state for state in states if state not in _STATES]
        if unknown:
            raise BadRequest(f"{unknown[0]!r} is no state of a run: there are {', '.join(RunState)}")
        if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
            raise BadRequest("cursor must be the next_cursor of the page before")
        before = None if cursor is None else int(cursor)
        if flow is not None and "/" in flow:
            namespace, _, flow = flow.partition("/")
        found = await self.state.read(
            Reader.runs, namespace=namespace, flow=flow, states=states, before=before, limit=limit
        )
        following = str(found[-1].key) if len(found) == limit else None
        return {"runs": [run_document(run) for run in found], "next_cursor": following}

    async def cancel(self, run: str, reason: str = "", actor: str = LOCAL) -> dict[str, Any]:
        """Ask for a run's end; returns `id` and `state`. Nothing changes for a run that has ended. Raises `NotFound`."""
        stored = await self.state.read(find, run)
        if stored.state not in ENDED:
            command = self.runtime.new_id("command")
            now = self.runtime.wall()
            await self._intake.command(
                Command(command=command, run=run, kind="cancel", actor=actor, at=now, reason=reason)
            )
            stored = await self.state.read(find, run)
        return {"id": run, "state": stored.state}

    # -- flows and files ---------------------------------------------------------------------------------------------

    async def validate(self, source: Any, *, strict: bool = False) -> dict[str, Any]:
        """Every problem and warning of a flow."""
        checked: Checked = await self.flows.check(source, strict=strict)
        return {
            "valid": checked.flow is not None,
            "flow": checked.flow and f"{checked.flow.namespace}/{checked.flow.name}",
            "problems": as_documents(checked.problems),
            "warnings": as_documents(checked.warnings),
        }

    async def files(self, namespace: str, limit: int) -> list[dict[str, Any]]:
        """The newest version of each file."""
        found = await self.state.read(Reader.files, check_namespace(namespace), limit=limit)
        return [file_document(file) for file in found]

    # -- data --------------------------------------------------------------------------------------------------------

    async def log(self, run: str, step: str, epoch: int | None) -> dict[str, Any] | None:
        """Where the log of a step's attempt is (`None`: it has none yet). Raises `NotFound`."""
        return await self.state.read(self.views.log, run, step, epoch)


def encode(document: Any) -> bytes:
    """JSON text of an answer."""
    return to_json(document, inf_nan_mode="null")
