"""`plugmesh events`: what happens on the mesh, as it happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import httpx2
import typer
from rich.text import Text

from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsLines, Url
from plugmesh.cli.commands.modules import off_text
from plugmesh.cli.display.amounts import clock
from plugmesh.cli.display.run_view import progress_text
from plugmesh.cli.display.steps import STYLES, reason_text
from plugmesh.cli.display.terminal_text import brief
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import NotReachable

AGAIN_S = 1.0
AWAY_S = 120.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event."""

    id: str
    event: str
    document: Mapping[str, Any]


def events(
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", "-t", help="Only of this: run, module, instance, notification, data; several: again."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Only of this run, until it has ended.")] = None,
    as_json: AsLines = False,
    url: Url = HERE,
) -> None:
    """Print what happens on the mesh, as it happens, until Ctrl-C.

    With --json each line is an object with `event` and what the mesh says of it.
    """
    with Session(url, as_json) as session:
        topics = ["run"] if run is not None else topic
        reading = _Reading(session, ",".join(topics) if topics else None, run)
        try:
            reading.follow()
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None


@dataclass(slots=True)
class _Reading:
    """Follows the feed; after a break it goes on behind the last frame."""

    session: Session
    topics: str | None
    run: str | None
    last: str = ""
    away_since: float | None = None

    def follow(self) -> None:
        """Until the run that was asked for has ended, or for good. Raises `NotReachable`, `Refusal`."""
        if self._is_over():
            self.session.say(f"{self.run} has already ended: plugmesh show {self.run} --timeline says how it went")
            return
        while True:
            try:
                if self._frames():
                    return
            except NotReachable as error:
                now = time.monotonic()
                if not self.last or now - (self.away_since or now) > AWAY_S:
                    raise
                if self.away_since is None:
                    self.session.warn(f"{error}; waiting for it")
                    self.away_since = now
            time.sleep(AGAIN_S)

    def _is_over(self) -> bool:
        return self.run is not None and self.session.client.run(self.run)["ended_at"] is not None

    def _frames(self) -> bool:
        """Print frames as they come; whether the run has ended."""
        headers = {"last-event-id": self.last} if self.last else {}
        with self.session.client.stream("/events", headers, topics=self.topics) as answer:
            if not self.last and self._is_over():  # it may have ended before the stream began
                return True
            for frame in frames_of(_lines(answer)):
                self.away_since = None
                self.last = frame.id or self.last
                if frame.event != "resync" and (self.run is None or frame.document.get("run") == self.run):
                    self._print(frame)
                if self.run is not None and self._ended(frame):
                    return True
        return False

    def _ended(self, frame: Frame) -> bool:
        if frame.event == "resync":
            return self._is_over()
        return frame.document.get("run") == self.run and frame.document.get("state") in {
            "succeeded", "failed", "cancelled", "timed_out"
        }  # fmt: skip

    def _print(self, frame: Frame) -> None:
        if self.session.as_json:
            print(json.dumps({"event": frame.event, **frame.document}, ensure_ascii=False), flush=True)
            return
        at = frame.document.get("at") or self.session.runtime.wall()
        for words, state in told(frame):
            self.session.console.print(Text(brief(f"{clock(at)} {words}"), style=STYLES.get(state, "")), soft_wrap=True)


def frames_of(lines: Iterable[str]) -> Iterator[Frame]:
    """The frames of a stream of server-sent events; comments and what cannot be read are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
            continue
        document = _document(fields.get("data", ""))
        if document is not None:
            yield Frame(fields.get("id", ""), fields.get("event", "message"), document)
        fields = {}


def told(frame: Frame) -> Iterator[tuple[str, str]]:
    """A frame in words, a line for each thing that changed, with the state that gives it its colour."""
    document = frame.document
    if frame.event == "run":
        steps = document.get("steps")
        for step, change in (steps or {}).items():
            yield from _step(document, step, change)
        if not steps or document.get("state") not in {"running", "queued"}:
            many = "" if steps is not None else ": many steps have changed"
            yield f"{document.get('run')} is {document.get('state')}{many}", str(document.get("state"))
    elif frame.event == "instance":
        yield f"{document.get('id')} {_instance(document)}", ""
    elif frame.event == "module":
        served = document.get("live") or 0
        off = off_text(document)
        who = f"served by {served}" if served else "" if off else "served by nobody"
        why = max(document["disabled"], key=lambda switch: switch["at"])["reason"] if off else ""
        yield f"module {document.get('name')} {'; '.join(filter(None, (who, off)))}{f': {why}' if why else ''}", ""
    elif frame.event == "notification":
        yield f"notification {document.get('id')} of {document.get('run')} {document.get('state')}", ""
    else:
        yield f"{frame.event} {json.dumps(document, ensure_ascii=False)}", ""


def _step(run: Mapping[str, Any], step: str, change: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    state = str(change.get("state") or "")
    why = f": {reason_text(change['reason'])}" if change.get("reason") else ""
    if state:
        yield f"{run.get('run')} {step} {state}{why}", state
    elif change.get("progress"):
        yield f"{run.get('run')} {step} {progress_text(change['progress'])}", ""


def _instance(document: Mapping[str, Any]) -> str:
    if document.get("gone"):
        return "is gone"
    state = "draining" if document.get("draining") else document.get("liveness")
    return f"on {document.get('host')} {state}, {document.get('running')} of {document.get('slots')} slots at work"


def _document(text: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _lines(answer: httpx2.Response) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in answer.iter_lines())
