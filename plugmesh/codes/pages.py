"""`docs/reference/errors/`: a page for each code, and an index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from plugmesh.codes.code import TYPE_PREFIX, Code, Place
from plugmesh.codes.examples import EXAMPLES, Example, answer_to

_MADE = "<!-- Made from plugmesh/codes by scripts/errors-pages: change the declaration there. -->"
_HEADS = {
    Place.ANSWER: ("Answers", "The `code` of a problem (RFC 9457): what the gateway answers, and what commands print."),
    Place.FLOW: ("Flows", "The `code` of each of the `problems` of a flow, or of the inputs and params of a run."),
    Place.STEP: ("Steps", "The `code` of a step's `error`: why its last attempt failed."),
}


def pages(codes: Mapping[str, Code]) -> dict[str, str]:
    """The text of each page by its file's name."""
    return {"index.md": _index(codes), **{f"{name}.md": _page(code) for name, code in codes.items()}}


def _page(code: Code) -> str:
    lines = [f"# `{code.code}`: {code.title}", "", _MADE, "", *_facts(code), ""]
    for title, text in (("What happened", code.happened), ("Why", code.why), ("What to do", code.do)):
        lines += [f"## {title}", "", text, ""]
    if code.code in EXAMPLES:
        lines += ["## Example", "", *_shown(code, EXAMPLES[code.code]), ""]
    if code.arguments:
        lines += ["## Arguments", "", "`args` may hold:", ""]
        lines += [f"- `{name}`: {text}" for name, text in code.arguments.items()]
        lines += [""]
    return "\n".join([*lines, "[All codes](index.md)"]) + "\n"


def _shown(code: Code, example: Example) -> Iterator[str]:
    headers = [f"{name}: {value}" for name, value in example.headers.items()]
    yield from ("```text", example.request, *headers, *(["", example.body] if example.body else []), "```", "")
    yield from ("```json", json.dumps(answer_to(code.code, example), indent=2, ensure_ascii=False), "```")


def _facts(code: Code) -> Iterator[str]:
    if Place.ANSWER in code.places and code.status is not None:
        yield f"- an answer with HTTP status {code.status} and the type `{TYPE_PREFIX}{code.code}`"
    if Place.FLOW in code.places:
        yield "- one of the `problems` of a flow, with line and column where it is text"
    if Place.STEP in code.places:
        yield "- the error of a step"


def _index(codes: Mapping[str, Code]) -> str:
    lines = ["# Error codes", "", _MADE, ""]
    lines += ["A code never changes its meaning. Programs look at `code` (and `args`), people read `detail`.", ""]
    for place, (title, text) in _HEADS.items():
        lines += [f"## {title}", "", text, ""]
        answers = place is Place.ANSWER
        lines += ["| code | status | |", "| --- | --- | --- |"] if answers else ["| code | |", "| --- | --- |"]
        for code in (code for code in codes.values() if place in code.places):
            status = f" {code.status or ''} |" if answers else ""
            lines.append(f"| [`{code.code}`]({code.code}.md) |{status} {code.title} |")
        lines.append("")
    return "\n".join(lines)
