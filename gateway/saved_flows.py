"""Flows that are kept by name: each save is a revision, and a run pins the one that it was made of."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any, TypeVar

from pydantic_core import from_json

from gateway.errors import BadRequest
from gateway.flows import Flows
from gateway.paging import number_of
from gateway.problems import as_documents
from plugmesh.contracts.base import NAME_PATTERN
from plugmesh.contracts.flow import DEFAULT_NAMESPACE, Flow
from plugmesh.errors import NotFound
from plugmesh.flows.difference import difference
from plugmesh.flows.problem import did_you_mean
from plugmesh.runtime import Runtime
from plugmesh.state.flows import (
    NewRevision,
    SavedRevision,
    delete_flow,
    flow_revision,
    flow_revisions,
    flow_source,
    list_flows,
    save_flow,
)
from plugmesh.state.reads import Reader
from plugmesh.state.store import State

MESSAGE_CHARACTERS = 1000
_REMEMBERED = 512
_NAME = re.compile(NAME_PATTERN)
_REF = re.compile(r"(?:(?P<namespace>[^/@]+)/)?(?P<name>[^/@]+)(?:@(?P<number>[0-9]{1,9}))?")
_LARGEST = 2**31 - 1

T = TypeVar("T")


class SavedFlows:
    """Saves, finds and compares revisions."""

    def __init__(self, runtime: Runtime, state: State, flows: Flows) -> None:
        self._runtime, self._state, self._flows = runtime, state, flows
        self._known: OrderedDict[int, Flow] = OrderedDict()

    async def save(
        self,
        namespace: str,
        name: str,
        source: bytes,
        *,
        media_type: str,
        message: str = "",
        actor: str,
        expected: int | None = None,
    ) -> tuple[dict[str, Any], bool]:
        """Save a text under a name; the answer, and whether it is a new revision.

        Raises `FlowInvalid`, `BadRequest`, and `Conflict` when `expected` is not the newest revision.
        """
        _check_name(namespace, name)
        if len(message) > MESSAGE_CHARACTERS:
            raise BadRequest(f"message has at most {MESSAGE_CHARACTERS} characters, not {len(message)}")
        checked = await self._flows.accept(source, strict=False)
        assert checked.flow is not None
        warnings = as_documents(checked.warnings)
        flow = checked.flow
        if (flow.namespace, flow.name) != (namespace, name):
            if flow.namespace != DEFAULT_NAMESPACE or flow.name != name:
                warnings.append(_other_name(flow, namespace, name))
            flow = flow.model_copy(update={"namespace": namespace, "name": name})
        text = source.decode("utf-8-sig")
        new = NewRevision(flow, text, media_type, message, actor, self._runtime.wall())
        number, is_new = await self._state.write(save_flow, new, expected)
        document = {
            "namespace": namespace,
            "name": name,
            "revision": number,
            "digest": flow.digest,
            "unchanged": not is_new,
            "warnings": warnings,
        }
        return document, is_new

    async def find(self, reference: str) -> tuple[Flow, int]:
        """The flow that `NAMESPACE/NAME@3` (or less) means, and its revision's number. Raises `BadRequest`, `NotFound`."""
        match = _REF.fullmatch(reference)
        if match is None:
            raise BadRequest(f"ref is NAME, NAMESPACE/NAME or NAMESPACE/NAME@REVISION, not {reference[:100]!r}")
        number = None if match["number"] is None else int(match["number"])
        saved = await self._find(match["namespace"] or DEFAULT_NAMESPACE, match["name"], number)
        flow = self._known.get(saved.revision)
        if flow is None:
            flow = self._known[saved.revision] = await self._state.read(_flow_of, saved.revision)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return flow, saved.number

    async def get(self, namespace: str, name: str, number: int | None = None) -> dict[str, Any]:
        """One revision, the newest if none is named, with its text and what it means. Raises `NotFound`."""
        saved = await self._find(namespace, name, number)
        text = await self._state.read(flow_source, saved)
        flow = from_json(await self._state.read(Reader.flow_text, saved.revision))
        return {**revision_document(saved), "text": text, "flow": flow}

    async def list_flows(self, namespace: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
        """One page of flows by name, each with its newest revision. Raises `BadRequest`."""
        space, slash, name = (cursor or "").partition("/")
        if cursor is not None and not slash:
            raise BadRequest("cursor must be the next_cursor of the page before")
        after = (space, name) if cursor is not None else None
        found = await self._state.read(list_flows, namespace, after=after, limit=limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = last and f"{last.namespace}/{last.name}"
        return {"flows": [revision_document(saved) for saved in found[:limit]], "next_cursor": following}

    async def revisions(self, namespace: str, name: str, cursor: str | None, limit: int) -> dict[str, Any]:
        """One page of a flow's revisions, newest first. Raises `BadRequest`, `NotFound`."""
        before = None if cursor is None else min(number_of(cursor), _LARGEST)
        found = await self._state.read(flow_revisions, namespace, name, before=before, limit=limit + 1)
        if not found:
            await self._find(namespace, name, None)
        following = str(found[limit - 1].number) if len(found) > limit else None
        return {"revisions": [revision_document(saved) for saved in found[:limit]], "next_cursor": following}

    async def diff(self, namespace: str, name: str, old: int | None, new: int | None) -> dict[str, Any]:
        """What changed between two revisions; the newest and the one before it if none are named. Raises `NotFound`."""
        last = await self.get(namespace, name, new)
        first = await self.get(namespace, name, old if old is not None else max(1, last["revision"] - 1))
        names = [f"{namespace}/{name}@{part['revision']}" for part in (first, last)]
        texts = (first["text"], last["text"])
        flows = [Flow.model_validate(part["flow"]) for part in (first, last)]
        found = await self._runtime.run_sync(difference, flows[0], flows[1], texts, (names[0], names[1]))
        ends = {"from": first["revision"], "to": last["revision"]}
        return {"namespace": namespace, "name": name, **ends, **found}

    async def delete(self, namespace: str, name: str) -> None:
        """Take a flow out of the lists; its runs stay. Raises `NotFound`."""
        await self._find(namespace, name, None)
        await self._state.write(delete_flow, namespace, name, self._runtime.wall())

    async def _find(self, namespace: str, name: str, number: int | None) -> SavedRevision:
        wanted = number if number is None or number <= _LARGEST else 0
        saved = await self._state.read(flow_revision, namespace, name, wanted)
        if saved is not None:
            return saved
        newest = None if number is None else await self._state.read(flow_revision, namespace, name, None)
        if newest is not None:
            raise NotFound(f"flow {namespace}/{name} has no revision {number}: its newest is {newest.number}")
        others = await self._state.read(list_flows, namespace, after=None, limit=1000)
        hint = did_you_mean(name, [other.name for other in others]) or "GET /api/v1/flows lists them"
        raise NotFound(f"there is no saved flow {namespace}/{name} ({hint})")


def revision_document(saved: SavedRevision) -> dict[str, Any]:
    """What lists show of a revision."""
    return {
        "namespace": saved.namespace,
        "name": saved.name,
        "revision": saved.number,
        "digest": saved.digest,
        "media_type": saved.media_type,
        "message": saved.message,
        "actor": saved.actor,
        "created_at": saved.created_at,
    }


def _check_name(namespace: str, name: str) -> None:
    for word, what in ((namespace, "namespace"), (name, "name")):
        if not _NAME.fullmatch(word):
            raise BadRequest(
                f"{word[:60]!r} cannot be the {what} of a flow: it has letters, digits, _ and -, at most 100, "
                "and begins with a letter or _"
            )


def _other_name(flow: Flow, namespace: str, name: str) -> dict[str, Any]:
    message = f"the text calls the flow {flow.namespace}/{flow.name}, it is saved and runs as {namespace}/{name}"
    hint = f"write flow: {namespace}/{name}"
    return {"level": 2, "severity": "warning", "code": "other-name", "message": message, "path": ["flow"], "hint": hint}


def _flow_of(reader: Reader, revision: int) -> Flow:
    return Flow.model_validate_json(reader.flow_text(revision))
