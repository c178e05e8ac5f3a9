"""Handing a run to the mesh, one or many, so that whoever interrupts it can find out what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from plugmesh.cli.api.flowfile import FlowFile, Upload, hand_in, params_of
from plugmesh.cli.api.routes import flow_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.transfer import upload
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import ConfigurationError, NotFound

KEY_LENGTH = 200
BATCH_RUNS = 1000
BATCH_BYTES = 4 * 1024 * 1024
"""One request of a batch has at most so many runs, and about so many bytes."""
_OWN = {"inputs", "params", "labels", "timeout_s", "priority", "deadline"}
"""What a line of a batch may have."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line, besides the flow."""

    inputs: Sequence[str] = ()
    params: Sequence[str] = ()
    labels: Mapping[str, str] | None = None
    notify: Sequence[str] = ()
    timeout_s: float | None = None
    strict: bool = False
    priority: int | None = None
    deadline: float | None = None


def request_of(session: Session, flow: FlowFile, asked: Asked) -> dict[str, Any]:
    """The request for one run; local files among its inputs are uploaded."""
    params = params_of(_text_of(session, flow), asked.params) if asked.params else {}
    request = {
        "flow": flow.submitted,
        "params": params,
        "inputs": hand_in(asked.inputs, uploader(session)),
        "strict": asked.strict,
        "labels": dict(asked.labels or {}),
        "notify": [{"url": url} for url in asked.notify],
        "timeout_s": asked.timeout_s,
        "priority": asked.priority,
        "deadline": asked.deadline,
    }
    always = {"flow", "inputs", "params", "strict"}
    return {name: value for name, value in request.items() if name in always or value not in (None, [], {})}


def uploader(session: Session) -> Upload:
    """Stores local files on the mesh, with a bar that shows how far it is."""

    def store(name: str, path: Path) -> Any:
        with session.transferring(name) as progress:
            return upload(session.client, name, path, progress)

    return store


def key_of(session: Session, given: str | None) -> str:
    """The idempotency key of a request: the one that was given, else a new one. Raises `ConfigurationError`.

    An empty one is a variable that was not set rather than a wish for a second run.
    """
    if given is None:
        return session.runtime.new_id("key")
    if not 1 <= len(given) <= KEY_LENGTH or not given.isascii() or not given.isprintable():
        raise ConfigurationError(
            f"--key {given[:80]!r} cannot be a key: it has 1 to {KEY_LENGTH} letters (a to z), digits and signs"
        )
    return given


def submit(session: Session, request: Mapping[str, Any], key: str, path: str = "/runs") -> Any:
    """Submit one run. Ctrl-C says how to find out whether it was made, and raises `typer.Exit`."""
    try:
        return session.client.submit(request, key, path)
    except KeyboardInterrupt:
        session.warn(
            "\ninterrupted before the mesh answered: the run may have been made. `plugmesh runs --since 5m` shows it if "
            f"it was; submitting the same again with --key {key} makes no second one"
        )
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def submit_each(
    session: Session, request: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], key: str
) -> list[Any]:
    """Submit a run for each line; what the mesh says of each, in their order, with `index`."""
    answers: list[Any] = []
    try:
        for number, part in enumerate(_batches(request, lines)):
            document = {"runs": part, "idempotency_key": f"{key}-{number}"}
            answered = session.client.send("POST", "/runs:batch", document)["runs"]
            first = len(answers)
            answers += [
                {**one, "index": first + one["index"]} for one in sorted(answered, key=lambda one: one["index"])
            ]
    except KeyboardInterrupt:
        session.warn(
            f"\ninterrupted: the first {len(answers):,} of {len(lines):,} lines were submitted, the next may have been. "
            f"The same again with --key {key} makes no run twice"
        )
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    return answers


def read_lines(path: str) -> list[Mapping[str, Any]]:
    """A file of JSON lines; each is an object with what one run has of its own: `inputs`, `params`, `labels`, …

    Raises `NotFound`, `ConfigurationError` with the number of the line.
    """
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"--each {path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--each {path} cannot be read: {error}") from None
    lines = [_line(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise ConfigurationError(f"--each {path} has no lines: write one JSON object a line, one for each run")
    return lines


def _line(path: str, number: int, line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}:{number}: this line is not JSON: {error}") from None
    if not isinstance(found, dict) or not set(found) <= _OWN:
        raise ConfigurationError(
            f"{path}:{number}: a line is an object with {', '.join(sorted(_OWN))} and nothing else, "
            'as in {"params": {"day": "2026-11-20"}}'
        )
    return found


def _batches(request: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        one = merged(request, line)
        length = len(json.dumps(one))
        if part and (len(part) == BATCH_RUNS or size + length > BATCH_BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += length
    yield part


def merged(request: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    """A request with what a line of a batch says; the line's word counts."""
    one = {**request, **line}
    for name in ("inputs", "params", "labels"):
        if name in request and isinstance(line.get(name), dict):
            one[name] = {**request[name], **line[name]}
    return one


def _text_of(session: Session, flow: FlowFile) -> str:
    if not flow.saved:
        return flow.text
    name, _, revision = flow.name.partition("@")
    return str(session.client.get(flow_at(name), revision=revision or None)["text"])
