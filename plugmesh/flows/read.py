"""Text to a document of plain JSON values, with the position of every one.

ruamel.yaml splits the text into events (YAML 1.2, of which JSON is a part). Building the document from them is done
here and not by its constructor: no tags, no recursion, a depth, and a size that counts aliases written out, so
that a small hostile text cannot become a large document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from plugmesh.flows.document import MAX_DEPTH, MAX_EXPANDED, MAX_VALUES
from plugmesh.flows.places import Place, Places
from plugmesh.flows.problem import SCHEMA, SYNTAX, Report
from plugmesh.flows.read_json import read_json
from plugmesh.flows.scalars import Scalar, join_surrogates, resolve_plain
from plugmesh.flows.syntax_words import explain

MAX_BYTES = 1024 * 1024


class _Stop(Exception):
    """Reading cannot go on; the problem is in the report."""


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is still open."""

    value: dict[str, Any] | list[Any]
    place: Place
    anchor: str | None
    size_before: int
    height: int = 1
    key: str | None = None
    key_at: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    place: Place
    size: int
    height: int


def read_text(text: str, file: str, report: Report) -> tuple[Any, Places]:
    """The document in `text` (`None` when there is none; the report says why) and its positions."""
    return read_json(text, file) or read_yaml(text, file, report)


def read_yaml(text: str, file: str, report: Report) -> tuple[Any, Places]:
    """The same, for any text."""
    composer = _Composer(report)
    events = YAML(typ="safe", pure=True).parse(text)
    try:
        composer.compose(events)
    except _Stop:
        return None, Places(file)
    except MarkedYAMLError as error:
        _syntax_error(report, text, error)
        return None, Places(file)
    except ReaderError as error:
        before = text[: error.position]
        at = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"the character U+{ord(text[error.position]):04X} cannot stand in a flow file"
        report.add(SYNTAX, "error", "bad-character", message, at=at, hint="write it as an escape in double quotes")
        return None, Places(file)
    except (YAMLError, ValueError, IndexError, AttributeError, AssertionError, NotImplementedError) as error:
        # The library's own slips on odd text are syntax errors for the reader of the message.
        report.add(SYNTAX, "error", "syntax", f"this is not YAML: {error}", at=composer.last)
        return None, Places(file)
    return composer.root, Places(file, composer.root_place)


class _Composer:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.root: Any = None
        self.root_place: Place | None = None
        self.last = (1, 1)
        self._open: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._size = 0
        self._values = 0
        self._documents = 0

    def compose(self, events: Iterator[Any]) -> None:
        for event in events:
            self.last = (event.start_mark.line + 1, event.start_mark.column + 1)
            if isinstance(event, ScalarEvent):
                self._scalar(event)
            elif isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._start(event)
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                self._end()
            elif isinstance(event, AliasEvent):
                self._alias(event.anchor)
            elif isinstance(event, DocumentStartEvent):
                self._document(event)

    def _document(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop("several-documents", "a flow file holds one flow: a second document starts here", "remove '---'")
        if event.version is not None and tuple(event.version) != (1, 2):
            self._error("yaml-version", "flow files are YAML 1.2", "remove the %YAML line")

    def _scalar(self, event: ScalarEvent) -> None:
        self._grow(1 + len(event.value))
        self._refuse_tag(event)
        value: Scalar = event.value
        try:
            value = resolve_plain(event.value) if event.implicit[0] else join_surrogates(event.value)
        except ValueError as error:
            self._error("bad-scalar", str(error))
            value = "" if self._wants_key() else None
        place = Place(*self.last, _inside(event))
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, place, 1 + len(event.value), 0)
        self._add(value, place, 0)

    def _start(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        if self._wants_key():
            self._stop(
                "bad-key", "a key must be text, not a list or mapping", "put quotes around a text with '{' or '['"
            )
        if len(self._open) >= MAX_DEPTH:
            self._stop("too-deep", f"the document is nested more than {MAX_DEPTH} levels deep")
        self._grow(1)
        self._refuse_tag(event)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        self._open.append(_Frame(value, Place(*self.last), event.anchor, self._size - 1))

    def _end(self) -> None:
        frame = self._open.pop()
        if frame.anchor is not None:
            size = self._size - frame.size_before
            self._anchors[frame.anchor] = _Anchored(frame.value, frame.place, size, frame.height)
        self._add(frame.value, frame.place, frame.height)

    def _alias(self, name: str) -> None:
        found = self._anchors.get(name)
        if found is None:
            self._stop(
                "unknown-alias", f"the alias *{name[:100]} refers to nothing above it", f"mark a value: &{name[:100]}"
            )
            return
        if len(self._open) + found.height > MAX_DEPTH:
            self._stop("too-deep", f"with its aliases the document is nested more than {MAX_DEPTH} levels deep")
        self._grow(found.size)
        self._add(found.value, found.place, found.height)

    def _add(self, value: Any, place: Place, height: int) -> None:
        if not self._open:
            self.root, self.root_place = value, place
            return
        frame = self._open[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.value, list):
            frame.place.children[len(frame.value)] = place
            frame.value.append(value)
        elif frame.key is None:
            self._key(frame, value)
        else:
            frame.value[frame.key] = value
            frame.place.keys[frame.key] = frame.key_at
            frame.place.children[frame.key] = place
            frame.key = None

    def _key(self, frame: _Frame, value: Any) -> None:
        if not isinstance(value, str):
            text = "null" if value is None else str(value).lower()
            self._error("bad-key", f"the key {text} is not text", f'write "{text}"')
            value = text
        if value in frame.place.keys:
            line = frame.place.keys[value][0]
            self._error("duplicate-key", f"the key {value[:100]!r} is here a second time; the first is on line {line}")
        frame.key, frame.key_at = value, self.last

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _grow(self, size: int) -> None:
        self._size += size
        self._values += 1
        if self._values > MAX_VALUES:
            self._stop("too-large", f"the document has more than {MAX_VALUES:,} keys and values")
        if self._size > MAX_EXPANDED:
            limit = MAX_EXPANDED // 1024**2
            self._stop("too-large", f"with its aliases written out the document is larger than {limit} MiB")

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            name = str(event.tag).replace("tag:yaml.org,2002:", "!!")[:100]
            self._error("tag", f"the tag {name} cannot be used: flow files are plain data", "remove the tag")

    def _error(self, code: str, message: str, hint: str = "") -> None:
        level = SCHEMA if code == "duplicate-key" else SYNTAX
        self.report.add(level, "error", code, message, hint=hint, at=self.last)

    def _stop(self, code: str, message: str, hint: str = "") -> None:
        self._error(code, message, hint)
        raise _Stop


def _inside(event: ScalarEvent) -> int | None:
    """How far inside what is written the text begins; `None` when it is not written character by character."""
    start, end = event.start_mark, event.end_mark
    if start.line != end.line or event.style in {"|", ">"}:
        return None
    quotes = 1 if event.style else 0
    return quotes if end.column - start.column - 2 * quotes == len(event.value) else None


def _syntax_error(report: Report, text: str, error: MarkedYAMLError) -> None:
    mark = error.problem_mark or error.context_mark
    at = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    line = (text.splitlines() or [""])[min(at[0], len(text.splitlines()) or 1) - 1]
    message, hint = explain(error)
    if "\t" in line[: at[1]]:
        hint = "YAML is indented with spaces, not tabs"
    elif "${" in line[: at[1]]:
        hint = 'inside { } and [ ] an expression needs quotes: "${params.x}"'
    report.add(SYNTAX, "error", "syntax", message, hint=hint, at=at)
