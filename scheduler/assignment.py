"""Filling in what an attempt is told: params, input references, keys. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_json

from plugmesh.contracts.data import Reference, kind_of
from plugmesh.contracts.flow import PARAMS_LIMIT_BYTES, Node, Source
from plugmesh.contracts.messages import Assign
from plugmesh.contracts.module import REJECTED, Limits, ModuleContract
from plugmesh.contracts.run import StepError
from plugmesh.data.reference import SPILL_BYTES, cut, spill
from plugmesh.errors import FlowInvalid, LimitExceeded, PlugmeshError
from plugmesh.flows.binding import Edges, bind_inputs
from plugmesh.flows.feeding import fed, port_of
from plugmesh.flows.substitute import fill_params
from plugmesh.objects.keys import attempt_prefix
from plugmesh.objects.port import ObjectStore
from plugmesh.planner.planned import check_covered
from plugmesh.telemetry.ids import attempt_span, trace_of, traceparent
from scheduler import retry
from scheduler.plan import Bound, PlanNode
from scheduler.runstate import RunState
from scheduler.step import Step

NO_LIMITS = Limits()


class Misfit(Exception):
    """The contract does not fit the node: the step parks until another one comes. The text names port or param."""


@dataclass(frozen=True, slots=True)
class AttemptDefaults:
    """What holds for attempts of nodes and modules that say nothing about it; `timeout_s` is the wall time."""

    limits: Limits = NO_LIMITS
    timeout_s: float | None = None


def make_assign(
    run: RunState,
    step: Step,
    contract: ModuleContract,
    *,
    instance: str,
    epoch: int,
    term: int,
    at: float,
    left_s: float | None = None,
    defaults: AttemptDefaults = AttemptDefaults(),
) -> Assign:
    """The message for one attempt, sent at the Unix time `at`, when the run has `left_s` left of its time. The same run, step,
    version, epoch, times and defaults give the same message.

    Raises `Misfit`, or `PlugmeshError` when params or inputs cannot be filled in.
    """
    node = run.plan.nodes[step.node]
    params = _params(run, node, step) if node.node.params else {}
    bound = node.bound.get(contract.digest)
    if bound is None:
        bound = node.bound[contract.digest] = _bound(node, contract)
    limits = defaults.limits if bound.limits is None else bound.limits.over(defaults.limits)
    planned = None if run.planned is None else run.planned.nodes.get(node.name)
    if planned is not None:
        check_covered(node.name, planned, contract, params)
    return Assign(
        instance=instance,
        shard=run.shard,
        term=term,
        run=run.id,
        step=step.id,
        epoch=epoch,
        namespace=run.namespace,
        module=contract.name,
        version=contract.version,
        digest=contract.digest,
        params=params,
        inputs=_inputs(run, step, contract, bound.edges),
        bind=node.node.bind,
        columns=None if planned is None else planned.columns,
        wanted=None if planned is None else planned.wanted,
        filters=None if planned is None else planned.filters,
        prefix=attempt_prefix(run.namespace, run.id, step.id, epoch),
        timeout_s=_timeout_s(node.node, step, at, defaults),
        limits=None if limits is NO_LIMITS or limits == NO_LIMITS else limits,
        left_s=left_s,
        root=None if run.rerun is None else run.rerun.root,
        rejects=node.node.rejects,
        rejected=node.shows_rejected,
        trace=_trace(run.id, step.id, epoch) if run.traced else None,
    )


def _trace(run: str, step: str, epoch: int) -> dict[str, str]:
    """What the module process makes its spans below."""
    return {"traceparent": traceparent(trace_of(run), attempt_span(run, step, epoch))}


def _timeout_s(node: Node, step: Step, at: float, defaults: AttemptDefaults) -> float | None:
    """What the node allows, and no longer than all tries together may still take."""
    own, left = node.timeout_s or defaults.timeout_s, retry.left_s(node.retry, step.ready_at, at)
    return own if left is None else left if own is None else min(own, left)


def _params(run: RunState, node: PlanNode, step: Step) -> dict[str, JsonValue]:
    params = fill_params(node.name, node.node, run.scope(step))
    if (size := len(to_json(params))) > PARAMS_LIMIT_BYTES:
        raise LimitExceeded(
            f"the params of node {node.name!r} are {size} bytes of JSON, over the limit of {PARAMS_LIMIT_BYTES}: "
            "put large values into a file and hand over the file"
        )
    return params


def _bound(node: PlanNode, contract: ModuleContract) -> Bound:
    """Raises `Misfit`. What the node limits counts before what the module limits."""
    try:
        edges = bind_inputs(node.node, contract, node.name)
    except FlowInvalid as error:
        raise Misfit(str(error)) from error
    limits = contract.limits if node.node.limits is None else node.node.limits.over(contract.limits)
    return Bound(edges, None if limits == NO_LIMITS else limits)


def spilled(message: Assign, store: ObjectStore, nonce: str) -> Assign:
    """The same message with its large references moved to the object store. Blocking.

    Raises `StoreFull`.
    """
    each = SPILL_BYTES // max(1, sum(len(references) for references in message.inputs.values()))
    inputs = {
        port: tuple(
            spill(store, f"{message.prefix}/{nonce}-{port}-{number}.json", reference, limit_bytes=each)
            for number, reference in enumerate(references)
        )
        for port, references in message.inputs.items()
    }
    return message.model_copy(update={"inputs": inputs})


def _inputs(run: RunState, step: Step, contract: ModuleContract, edges: Edges) -> dict[str, tuple[Reference, ...]]:
    """References by port: those that a rerun feeds to the step, else what its edges lead to."""
    feeds = {} if run.rerun is None else run.rerun.feeds
    fed_to = feeds.get(step.id, {}) if feeds else {}
    if step.item >= 0 and (piece := run.piece(step)) is not None:
        fed_to = {**_pieces(run, step, contract, edges, piece), **fed_to}
    return {
        port: fed_to[port] if port in fed_to else _references(run, contract, port, sources)
        for port, sources in edges.items()
    }


def _pieces(
    run: RunState, step: Step, contract: ModuleContract, edges: Edges, piece: tuple[int, int]
) -> dict[str, tuple[Reference, ...]]:
    """What a piece of a node is handed: these rows of its table, and all else as it is."""
    node = run.plan.nodes[step.node].name
    if not contract.traits.rowwise:
        raise Misfit(
            f"a part of {node!r} was done in pieces, and this version does not say that it is rowwise: serve one that does, "
            f"or run it again from {node!r}"
        )
    fed_to = {} if run.rerun is None else run.rerun.feeds.get(node, {})
    whole = {port: fed_to.get(port) or _references(run, contract, port, sources) for port, sources in edges.items()}
    return {
        port: tuple([cut(one, *piece) if kind_of(one) == "table" else one for one in references])
        for port, references in whole.items()
    }


def _references(
    run: RunState, contract: ModuleContract, port: str, sources: tuple[Source, ...]
) -> tuple[Reference, ...]:
    references: list[Reference] = []
    for source in sources:
        references.extend(_behind(run, source))
    return fed(contract, port, references)


def _behind(run: RunState, source: Source) -> tuple[Reference, ...]:
    if source.input is not None:
        return (run.inputs[source.input],) if source.input in run.inputs else ()
    name = source.node or ""
    ports = run.results.get(run.plan.by_name[name], {})
    if not ports and source.port != REJECTED and run.plan.nodes[run.plan.by_name[name]].mapped:
        return ()
    return port_of(ports, source.port, name)


def failure(error: Exception) -> StepError:
    """How a step fails that could not be sent out."""
    code = error.code if isinstance(error, PlugmeshError) else "internal"
    return StepError(type=type(error).__name__, message=str(error), code=code, **_fields(error))


def _fields(error: Exception) -> dict[str, Any]:
    return {name: getattr(error, name) for name in ("port", "column", "expected", "found") if hasattr(error, name)}
