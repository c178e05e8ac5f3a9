"""Many runs in one request. Each is taken as if it had come alone; others' requests go on meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from gateway.bodies import read_json
from gateway.errors import BadRequest
from gateway.problems import of_error
from gateway.requests import BatchRequest
from gateway.runs import Runs
from plugmesh.errors import LimitExceeded, PlugmeshError
from plugmesh.flows.problem import did_you_mean

MOST_RUNS = 10_000
SLICE_RUNS = 64
"""So many are submitted at a time: enough for one commit, and little enough that nobody notices the pause."""
_PAUSE_CHARACTERS = 256 * 1024
_KEYS = tuple(BatchRequest.model_fields)
_KEY_CHARACTERS = 190
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch, read: the JSON text of each request, which is decoded when its turn comes."""

    runs: Sequence[str]
    idempotency_key: str | None


async def submit_batch(runs: Runs, body: bytes, actor: str) -> dict[str, Any]:
    """Submit each run of a batch; the answer says of each, by its index, what came of it.

    Raises `BadRequest` and `LimitExceeded` for a body that is no batch; nothing is submitted then.
    """
    batch = await read_batch(body)
    answers: list[dict[str, Any]] = []
    for start in range(0, len(batch.runs), SLICE_RUNS):
        part = batch.runs[start : start + SLICE_RUNS]
        answers += await asyncio.gather(
            *(_submit(runs, start + number, text, batch.idempotency_key, actor) for number, text in enumerate(part))
        )
    return {"runs": answers}


async def _submit(runs: Runs, index: int, text: str, key: str | None, actor: str) -> dict[str, Any]:
    try:
        accepted = await runs.submit(text.encode(), None if key is None else f"{key}/{index}", actor)
    except PlugmeshError as error:
        return {"index": index, "problem": from_json(bytes(of_error(error).body))}
    return {"index": index, **{name: accepted[name] for name in ("id", "state", "repeated")}}


async def read_batch(body: bytes) -> Batch:
    """The parts of a batch's body, found piece by piece: a large one must not hold up the loop.

    Raises `BadRequest`, `LimitExceeded`.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8 text, at byte {error.start}") from None
    runs: list[str] = []
    rest: dict[str, Any] = {}
    paused = 0
    for name, start, end in _parts(text):
        if name == "runs":
            runs.append(text[start:end])
            if len(runs) > MOST_RUNS:
                raise LimitExceeded(f"a batch has at most {MOST_RUNS:,} runs: send the rest in another one")
        elif name not in _KEYS:
            hint = did_you_mean(name, _KEYS) or f"there are {', '.join(_KEYS)}"
            raise BadRequest(f"a batch has no field {name[:60]!r} ({hint})")
        else:
            rest[name] = read_json(text[start:end].encode())
        if end - paused > _PAUSE_CHARACTERS:
            paused = end
            await asyncio.sleep(0)
    return Batch(runs, _key(rest.get("idempotency_key")))


def _key(given: Any) -> str | None:
    if given is None or (isinstance(given, str) and 1 <= len(given) <= _KEY_CHARACTERS):
        return given
    raise BadRequest(f"idempotency_key is a text of 1 to {_KEY_CHARACTERS} characters")


def _parts(text: str) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each member of the object in `text`; of the list `runs`, of each element."""
    at = _after(text, 0, "{", "the body must be a JSON object with the list runs")
    closed = text[at : at + 1] == "}"
    names = set()
    while not closed:
        name, at = _value(text, at)
        if not isinstance(name, str) or name in names:
            raise BadRequest(f"the body is not JSON: a new name in quotes is expected {_place(text, at)}")
        names.add(name)
        at = _after(text, at, ":", "a colon is expected")
        if name == "runs":
            at = yield from _elements(text, at)
        else:
            start, (_, at) = at, _value(text, at)
            yield name, start, at
        closed = text[at : at + 1] == "}"
        at = at if closed else _after(text, at, ",", "a comma or a closing brace is expected")
    if (end := _space(text, at + 1)) != len(text):
        raise BadRequest(f"the body is not JSON: something follows its end {_place(text, end)}")
    if "runs" not in names:
        raise BadRequest("the body must have the list runs")


def _elements(text: str, at: int) -> Generator[tuple[str, int, int], None, int]:
    """The elements of the list `runs` that begins here; returns the place behind it."""
    at = _after(text, at, "[", "runs must be a list of requests")
    closed = text[at : at + 1] == "]"
    while not closed:
        start, (_, at) = at, _value(text, at)
        yield "runs", start, at
        closed = text[at : at + 1] == "]"
        at = at if closed else _after(text, at, ",", "a comma or a closing bracket is expected")
    return _space(text, at + 1)


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error.msg} {_place(text, error.pos)}") from None
    except RecursionError:
        raise BadRequest(f"the body is nested too deep {_place(text, at)}") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error} {_place(text, at)}") from None
    return value, _space(text, end)


def _after(text: str, at: int, character: str, otherwise: str) -> int:
    """The place behind `character`, which must come next."""
    at = _space(text, at)
    if text[at : at + 1] != character:
        raise BadRequest(f"{otherwise} {_place(text, at)}")
    return _space(text, at + 1)


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _place(text: str, at: int) -> str:
    return f"at line {text.count(chr(10), 0, at) + 1} column {at - text.rfind(chr(10), 0, at)}"
