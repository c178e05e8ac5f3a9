"""Dead letters: rows that steps rejected, to be looked at, corrected, given to another run, or given up."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from gateway.data import Data, Download, Page
from gateway.errors import BadRequest, RequestInvalid
from gateway.paging import number_of
from gateway.reader.pool import Reader as DataReader
from gateway.reading import Reading
from gateway.replay import Contracts
from gateway.rerun import First, Reruns
from gateway.views import Views, find
from plugmesh.contracts.data import Reference
from plugmesh.errors import Conflict, NotFound, ObjectMissing, PlugmeshError, StateUnavailable
from plugmesh.flows.redrive import feedable_ports, plan_redrive
from plugmesh.flows.rerun import Parts
from plugmesh.objects.keys import attempt_prefix
from plugmesh.runtime import Runtime
from plugmesh.state.borrowing import give_back
from plugmesh.state.dead_letters import (
    DISCARDED,
    IN_HAND,
    OPEN,
    REDRIVEN,
    STATES,
    StoredLetter,
    discard_letter,
    edit_letter,
    letters,
    over,
    redrive_letter,
    redrive_made,
    stored_letter,
    take_back_letter,
)
from plugmesh.state.reads import Reader
from plugmesh.state.store import State

_REFERENCE: TypeAdapter[Reference] = TypeAdapter(Reference)
FORMATS = {"application/x-ndjson": "jsonl", "text/csv": "csv"}


class DeadLetters:
    """The dead letters of a mesh. Every question about one raises `NotFound` if it is not there."""

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        *,
        data: Data,
        reader: DataReader,
        reading: Reading,
        reruns: Reruns,
        views: Views,
        contracts: Contracts,
    ) -> None:
        self._runtime, self._state = runtime, state
        self._data, self._reader, self._reading = data, reader, reading
        self._reruns, self._views, self._contracts = reruns, views, contracts
        self._one_at_a_time = asyncio.Lock()

    async def list(
        self,
        *,
        run: str | None,
        flow: str | None,
        step: str | None,
        state: str | None,
        cursor: str | None,
        limit: int,
    ) -> dict[str, Any]:
        """A page, newest first. Raises `BadRequest`."""
        if state is not None and state not in STATES:
            raise BadRequest(f"{state[:40]!r} is no state of a dead letter: there are {', '.join(STATES)}")
        before = None if cursor is None else number_of(cursor)
        wanted = {"run_id": run, "flow": flow, "step": step, "state": state}
        found = await self._state.read(letters, **wanted, before=before, limit=limit)
        following = str(found[-1].key) if len(found) == limit else None
        return {"letters": [letter_document(row) for row in found], "next_cursor": following}

    async def get(self, letter: str) -> dict[str, Any]:
        """One letter, and the inputs of its step that its rows can be given to (`None`: nobody knows the module)."""
        found = await self._state.read(stored_letter, letter)
        ports = await self._state.read(self._ports, found)
        return {**letter_document(found), "ports": None if ports is None else [*ports]}

    async def rows(self, letter: str, page: Page, *, original: bool) -> bytes:
        """A page of its rows (as they were rejected, or as they were corrected last). Raises as `Data.rows`."""
        found = await self._state.read(stored_letter, letter)
        async with self._reading.holding(found.run):
            return await self._data.rows_of(await self._rows_of(letter, original=original), page)

    async def download(self, letter: str, format: str, *, original: bool) -> Download:
        """All of its rows. In CSV nothing is marked as text: it is meant to come back."""
        found = await self._state.read(stored_letter, letter)

        async def reference() -> Any:
            return await self._rows_of(letter, original=original)

        return await self._data.download_of(found.run, reference, format, keep_formulas=True)

    async def edit(self, letter: str, body: bytes, format: str, actor: str) -> dict[str, Any]:
        """Keep corrected rows in the place of those that there are; the rejected ones stay as they were.

        Raises `RequestInvalid` with every mistake (`where` is line:column), `Conflict`, `ObjectMissing`, `Unreadable`.
        """
        found = self._open(await self._state.read(stored_letter, letter))
        async with self._reading.holding(found.run):
            original = await self._rows_of(letter, original=True)
            key = self._key(found, "edited")
            text = base64.b64encode(body).decode()
            said = from_json(
                await self._reader.ask(op="correct", reference=original, key=key, format=format, body=text)
            )
            if problems := said.get("problems"):
                raise _incorrect(problems)
            edited = _REFERENCE.validate_python(said["reference"]).model_dump_json(exclude_none=True)
            changed = await self._state.write(edit_letter, letter, edited, actor=actor, at=self._runtime.wall())
        return letter_document(changed)

    async def discard(self, letter: str, reason: str, actor: str) -> dict[str, Any]:
        """Give its rows up; again changes nothing. Raises `Conflict` if a run has them."""
        at = self._runtime.wall()
        return letter_document(await self._state.write(discard_letter, letter, actor=actor, reason=reason, at=at))

    async def redrive(self, letter: str, port: str | None, actor: str) -> dict[str, Any]:
        """Give its rows to a new run, once: again tells which run has them.

        Raises `Conflict` (its run has not ended, the step has no such input, it was discarded), `ObjectMissing`,
        `BadRequest` (several inputs, and none is named), `FlowInvalid`, `StateUnavailable`.
        """
        async with self._one_at_a_time:
            found = await self._state.read(stored_letter, letter)
            if found.state == DISCARDED:
                raise over(found)
            if (made := await self._made(found)) is not None:
                return made
            first = await self._reruns.first(await self._state.read(find, found.run))
            fed = self._port(found, await self._state.read(self._ports, found), port)
            async with self._reading.holding(found.run):
                rows = await self._rows_of(letter, original=False)
                told = await self._reader.ask(op="feed", reference=rows, key=self._key(found, "feed"))
                parts = plan_redrive(first.origin, found.step, fed, _REFERENCE.validate_json(told))
                if parts.problems:
                    raise Conflict("; ".join(f"{one.where}: {one.message}" for one in parts.problems))
                return await self._make(letter, first, parts, actor)

    async def _made(self, found: StoredLetter) -> dict[str, Any] | None:
        """The answer of a redrive that was made before."""
        if found.state != REDRIVEN or found.redrive is None:
            return None
        if found.reason == IN_HAND:  # somebody was at it, and did not come to its end
            if await self._state.read(Reader.run, found.redrive) is None:
                return None
            await self._state.write(redrive_made, found.id, found.redrive)
        return {"id": found.id, "run": found.redrive, "repeated": True, "origin": found.run}

    async def _make(self, letter: str, first: First, parts: Parts, actor: str) -> dict[str, Any]:
        """Choose a run for the rows, make it, and say that it is there: after a crash at any point, again goes on."""
        chosen, at = self._runtime.new_id("run"), self._runtime.wall()
        claimed = await self._state.write(redrive_letter, letter, chosen, actor=actor, at=at)
        run = claimed.redrive or chosen
        await self._state.write(give_back, run)
        mark = {"idempotency_key": f"redrive {run}", "request_hash": "redrive"}
        try:
            receipt = await self._reruns.make(first, parts, run=run, actor=actor, **mark)
        except StateUnavailable:  # nobody knows whether it is there
            raise
        except PlugmeshError:
            await self._state.write(take_back_letter, letter, run)
            raise
        await self._state.write(redrive_made, letter, run)
        return {"id": letter, "run": receipt.run, "repeated": receipt.repeated, "origin": claimed.run}

    async def _rows_of(self, letter: str, *, original: bool) -> Any:
        """The reference, as JSON, while its run is held. Raises `ObjectMissing`."""
        found = await self._state.read(stored_letter, letter)
        if found.gone_at is not None:
            raise ObjectMissing(
                f"the rows of dead letter {letter!r} were removed with the data of run {found.run}, as retention says: pin "
                "runs that must stay (`plugmesh pin RUN`)"
            )
        return from_json(found.ref if original or found.edited is None else found.edited)

    def _open(self, found: StoredLetter) -> StoredLetter:
        if found.state != OPEN:
            raise over(found)
        return found

    def _key(self, letter: StoredLetter, word: str) -> str:
        """A new object beside the rows that were rejected: it goes with them."""
        prefix = attempt_prefix(letter.namespace, letter.run, letter.step, letter.epoch)
        return f"{prefix}/{self._runtime.new_id('dlq')}-{word}"

    def _ports(self, reader: Reader, letter: StoredLetter) -> tuple[str, ...] | None:
        contract = self._contracts.find(letter.module)
        stored = reader.run(letter.run)
        if contract is None or stored is None:
            return None
        return feedable_ports(self._views.flow(reader, stored.revision), letter.step, contract)

    def _port(self, letter: StoredLetter, ports: tuple[str, ...] | None, asked: str | None) -> str:
        """The input that gets the rows."""
        if ports is None:
            raise NotFound(
                f"nobody knows the module {letter.module} of step {letter.step!r}: start a process that serves it"
            )
        if not ports:
            raise Conflict(
                f"step {letter.step!r} reads no table, so no rows can be given to it: {letter.module} reads its source "
                "itself. Correct what it reads, and run the flow again"
            )
        if asked is None and len(ports) > 1:
            raise BadRequest(
                f"step {letter.step!r} reads several tables: say which one the rows belong to, with port: {', '.join(ports)}"
            )
        if asked is not None and asked not in ports:
            raise BadRequest(f"step {letter.step!r} reads no table at {asked[:60]!r}: there are {', '.join(ports)}")
        return asked or ports[0]


def letter_document(row: StoredLetter) -> dict[str, Any]:
    """What is shown of a letter."""
    return {
        "id": row.id,
        "run": row.run,
        "namespace": row.namespace,
        "flow": row.flow,
        "step": row.step,
        "epoch": row.epoch,
        "module": row.module,
        "outcome": row.outcome,
        "rows": row.rows,
        "reasons": from_json(row.reasons),
        "state": row.state,
        "edited_rows": None if row.edited is None else from_json(row.edited).get("rows"),
        "redrive": row.redrive,
        "actor": row.actor,
        "reason": row.reason,
        "at": row.at,
        "changed_at": row.changed_at,
        "data_gone_at": row.gone_at,
    }


def _incorrect(problems: list[dict[str, str]]) -> RequestInvalid:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return RequestInvalid(
        f"the corrected rows cannot be used: {first['where']}: {first['message']}{more}", tuple(problems)
    )
