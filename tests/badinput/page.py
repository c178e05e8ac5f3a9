"""`docs/reference/bad-input.md`: the table of bad inputs as a page, made from the rows that the tests send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.badinput import data, flows_as_graphs, flows_as_text, letters, raw, requests
from tests.badinput.data import DataRow
from tests.badinput.raw import RawRow
from tests.badinput.row import Row

Part = tuple[str, tuple[Row, ...]]
"""A heading and its rows."""

_MADE = "<!-- Made from the tables in tests/badinput by scripts/bad-input-page: change them there. -->"
_HEAD = """\
What somebody may send by mistake or on purpose, and the answer: every word of it, as a test compares it. What is
refused changes nothing. The codes are explained in [errors](errors/index.md).
"""
_FLOW_PARTS: tuple[Part, ...] = (
    ("Flow files that cannot be read", flows_as_text.SYNTAX),
    ("Flow files with wrong parts", flows_as_text.PARTS),
    ("Edges", flows_as_graphs.EDGES),
    ("Params", flows_as_graphs.PARAMS),
    ("Modules", flows_as_graphs.MODULES),
    ("Large flows", flows_as_graphs.SIZES),
)
_REQUEST_PARTS: tuple[Part, ...] = (
    ("JSON", requests.JSON),
    ("Kinds of request", requests.FORMS),
    ("Queries", requests.QUERIES),
    ("Names", requests.NAMES),
    ("Dead letters", letters.LETTERS),
)
_FLOWS = """\
Each line of an answer begins with the line and column of the problem. `plugmesh validate`, `plugmesh run` and
`POST /api/v1/validate` say the same; a run of such a flow is refused with 422 `flow-invalid`. Warnings are marked so.
Where an input begins with `…`, these four lines stand before it:

```yaml
flow: f
inputs: {i: file}
nodes:
  read: {module: io.read, params: {file: "${inputs.i}"}}
```
"""
_REQUESTS = (
    "The status, the code and the `detail` of the answer. A request without a method is a `POST /api/v1/runs`.\n"
)
_RAW = "What no client library sends. A connection that cannot be understood gets an answer and is closed.\n"
_DATA = """\
What only shows when there is data: the error of the step, in `GET /api/v1/runs/{run}` and `plugmesh show`. The file
`good.csv` has the columns `carrier` and `delay`.
"""
_LONGEST = 160


def page() -> str:
    """The whole page."""
    parts = ["# Bad input", "", _MADE, "", _HEAD, "## Flows", "", _FLOWS]
    for title, rows in _FLOW_PARTS:
        parts += [f"### {title}", "", "| input | | answer |", "| --- | --- | --- |", *_flow_lines(rows), ""]
    parts += ["## Requests", "", _REQUESTS]
    for title, rows in _REQUEST_PARTS:
        parts += [f"### {title}", "", "| input | | answer | |", "| --- | --- | --- | --- |", *_request_lines(rows), ""]
    parts += ["## Data", "", _DATA, "| data | step | answer |", "| --- | --- | --- |", *_data_lines(data.DATA), ""]
    parts += ["## Bytes", "", _RAW, "| input | | answer | |", "| --- | --- | --- | --- |", *_raw_lines(raw.RAW)]
    return "\n".join(parts) + "\n"


def _flow_lines(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        strict = ", with `strict`" if row.strict and "strict" not in row.title else ""
        yield f"| {row.title}{strict} | {_code(row.shown or _rest(row.body))} | {_answer(row.says)} |"


def _request_lines(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        code = f" [`{row.code}`](errors/{row.code}.md)" if row.code else ""
        yield f"| {row.title} | {_code(_request(row))} | {row.status}{code} | {_answer(row.says)} |"


def _data_lines(rows: Iterable[DataRow]) -> Iterator[str]:
    for row in rows:
        params = ", ".join(f"{name}: {value}" for name, value in row.params.items())
        step = f"{row.module} of {row.file}.csv; {params}".removesuffix("; ")
        yield f"| {row.title} | {_code(step)} | {_answer(row.says) or 'succeeds'} |"


def _raw_lines(rows: Iterable[RawRow]) -> Iterator[str]:
    for row in rows:
        first = row.sent.partition(b"\r\n")[0]
        yield f"| {row.title} | {_code(first)} | {row.status} | {_answer(row.says)} |"


def _request(row: Row) -> str:
    line = "" if (row.method, row.path) == ("POST", "/api/v1/runs") else f"{row.method} {row.path}"
    kind = f"content-type: {row.kind}" if row in requests.FORMS and not row.headers else ""
    heads = "; ".join(f"{name}: {value}" for name, value in row.headers.items())
    body = row.body if line == "" and not heads and not kind else ""
    shown = row.shown if row.shown.startswith("…") or not line else f"{line} {row.shown}".strip()
    return shown or " ".join(part for part in (line, kind or heads, _text(body)) if part)


def _rest(body: str | bytes) -> str | bytes:
    """A flow without the lines that stand at the beginning of many."""
    head = flows_as_graphs.flow()
    return body.replace(head, "… ") if isinstance(body, str) else body


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else repr(body)[2:-1]


def _code(body: str | bytes) -> str:
    """The input on one line, with what cannot be seen as an escape."""
    text = _text(body)
    seen = "".join(c if c.isprintable() else "\\n" if c == "\n" else repr(c)[1:-1] for c in text)
    short = seen if len(seen) <= _LONGEST else seen[: _LONGEST - 1] + "…"
    marks = "``" if "`" in short else "`"
    return f"{marks}{_cell(short)}{marks}" if short else ""


def _answer(says: str) -> str:
    lines = [line if len(line) <= 2 * _LONGEST else line[: 2 * _LONGEST - 1] + "…" for line in says.splitlines()]
    return "<br>".join(_cell(_plain(line)) for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown would take for markup."""
    seen = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    for character in "\\*_<>[]#":
        seen = seen.replace(character, f"\\{character}")
    return seen


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
