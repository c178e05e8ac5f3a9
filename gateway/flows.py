"""Flows on their way in: parsed and checked, and kept, because the same flow is often submitted again and again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from plugmesh.contracts.flow import Flow
from plugmesh.errors import FlowInvalid
from plugmesh.flows.parse import Parsed, parse_flow_document, parse_flow_text
from plugmesh.flows.places import Places
from plugmesh.flows.problem import Problem
from plugmesh.flows.snapshot import Snapshot
from plugmesh.flows.validate import ContractView, check
from plugmesh.runtime import Runtime

LARGE_BYTES = 32 * 1024
"""A larger flow is parsed and checked on a thread, so that other requests go on."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A flow and all that is to be said about it; `flow` is `None` when there are errors."""

    flow: Flow | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


class Flows:
    """Parses and validates; the newest `kept` answers are remembered until the modules of the mesh change."""

    def __init__(self, runtime: Runtime, contracts: ContractView, kept: int) -> None:
        self._runtime = runtime
        self._contracts = contracts
        self._kept = kept
        self._checked: OrderedDict[bytes, Checked] = OrderedDict()
        self._forgotten = 0

    def forget(self) -> None:
        """Check everything again: modules came or went."""
        self._forgotten += 1
        self._checked.clear()

    async def accept(self, source: Any, *, strict: bool) -> Checked:
        """The flow that `source` (a JSON object, or YAML or JSON text) means. Raises `FlowInvalid` with all problems."""
        return _accepted(await self.check(source, strict=strict))

    def accept_flow(self, flow: Flow, *, strict: bool) -> Checked:
        """The same for a flow that was saved: what it refers to may have changed since. Raises `FlowInvalid`."""
        key = flow.digest.encode() + (b"s" if strict else b"")
        known = self._checked.get(key)
        if known is None:
            known = self._keep(key, Parsed(flow, (), Places("flow"), flow), strict=strict)
        return _accepted(known)

    async def check(self, source: Any, *, strict: bool) -> Checked:
        """All problems and warnings of a flow. Never raises for what is wrong with it."""
        text = source if isinstance(source, bytes) else to_json(source)
        key = hashlib.blake2b(text, digest_size=16, person=b"text" if isinstance(source, bytes) else b"json").digest()
        key += b"s" if strict else b""
        if (known := self._checked.get(key)) is not None:
            self._checked.move_to_end(key)
            return known
        if len(text) <= LARGE_BYTES:
            return self._keep(key, _parse(source), strict=strict)
        forgotten = self._forgotten
        parsed = await self._runtime.run_sync(_parse, source)
        if parsed.draft is None:
            return self._keep(key, parsed, strict=strict)
        view = Snapshot(parsed.draft, self._contracts)
        checked = _judged(parsed, await self._runtime.run_sync(_check, parsed, view, strict))
        return self._remember(key, checked) if forgotten == self._forgotten else checked

    def _keep(self, key: bytes, parsed: Parsed, *, strict: bool) -> Checked:
        return self._remember(key, _judged(parsed, _check(parsed, self._contracts, strict)))

    def _remember(self, key: bytes, checked: Checked) -> Checked:
        self._checked[key] = checked
        if len(self._checked) > self._kept:
            self._checked.popitem(last=False)
        return checked


def _check(parsed: Parsed, contracts: ContractView, strict: bool) -> tuple[Problem, ...]:
    return check(parsed, contracts, live=True, strict=strict)


def _judged(parsed: Parsed, found: tuple[Problem, ...]) -> Checked:
    errors = tuple(problem for problem in found if problem.severity == "error")
    warnings = tuple(problem for problem in found if problem.severity != "error")
    return Checked(None if errors else parsed.flow, errors, warnings)


def _accepted(checked: Checked) -> Checked:
    if checked.flow is None:
        count = len(checked.problems)
        texts = "; ".join(str(problem) for problem in checked.problems[:5]) + ("; …" if count > 5 else "")
        raise FlowInvalid(f"the flow has {count} problem{'s' if count > 1 else ''}: {texts}", checked.problems)
    return checked


def _parse(source: Any) -> Parsed:
    return parse_flow_text(source) if isinstance(source, str | bytes) else parse_flow_document(source)
