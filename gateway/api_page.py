"""`docs/reference/api.md`, made from the API's own description, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from gateway.documents.problem import CODES_OF
from gateway.problems import STATUS
from gateway.routing import ALWAYS
from plugmesh.codes.code import TYPE_PREFIX

_HEAD = """# HTTP API

<!-- Made from the OpenAPI description by gateway/api_page.py: change the endpoints, then run
     WRITE_DOCS=1 scripts/test tests/integration/gateway/test_api_page.py -->

The gateway answers on `http://127.0.0.1:8720` unless told otherwise. The whole description, with every schema, is
served at `/api/v1/openapi.json`; limits are [settings](settings.md).

- Bodies and answers are JSON; a flow may also be YAML text. Times are Unix seconds.
- Requests are refused unless their `Host` is one of the gateway's names and their `Origin`, where a browser sends one,
  is the gateway's own.
- A page of a list has `next_cursor`; it is `null` on the last page.
- Submit with an `Idempotency-Key`, and the same request can be sent again after a broken connection: it answers with
  the run that was made (`repeated`).
- A run's input is `{"file": "NAME"}` (the newest version, looked up in the flow's namespace and then in `default`;
  `NAMESPACE/NAME` says where), `{"value": …}` (at most 8 KiB of JSON), or a whole reference such as the answer to an
  upload.
- A flow is saved under a name by `PUT`; each other text is a *revision*. A run of `{"ref": "NAMESPACE/NAME@3"}` (without
  a number: of the newest one) pins the revision that it was made of. Only the newest revision can be saved over when
  `If-Match` says which one the author knows.
- A file's name points at its newest *version*, which never changes. A deleted name is gone at once; the bytes of its
  versions go when no run that has not ended uses them.
- An event stream sends `change` frames whose `id` is the number of the event row, a comment when nothing happens for a
  while, and `end` with the run's last state.
"""


def api_page(document: dict[str, Any]) -> str:
    """The page for an OpenAPI document, as Markdown."""
    return "\n".join([_HEAD, *_routes(document), *_problems()]) + "\n"


def _routes(document: dict[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    for tag, operations in by_tag.items():
        yield f"## {tag.capitalize()}\n"
        for method, path, operation in operations:
            yield from _operation(method, path, operation, document["components"]["schemas"])
    yield "## Joining\n"
    yield "`WebSocket /api/v1/mesh` is where instances join; what travels there is described in `protocol/`.\n"


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield f"### `{method} {path}`\n"
    yield operation["description"] + "\n"
    given = [parameter for parameter in operation.get("parameters", []) if parameter["in"] != "path"]
    for parameter in given:
        yield f"- `{parameter['name']}` ({parameter['in']}{_default(parameter)}){_text(parameter)}"
    if given:
        yield ""
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        yield f"Body: {' or '.join(f'`{kind}`' for kind in content)}{_body_fields(content, schemas)}.\n"
    yield from _answers(operation["responses"], schemas)


def _answers(answers: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    """What it answers, with the fields of documents, and the codes of problems that are not those of every route."""
    codes: list[str] = []
    for status, answer in answers.items():
        codes += [code for code in answer.get(CODES_OF, ()) if code not in ALWAYS]
        if CODES_OF not in answer:
            kinds = [
                _kind(kind, content.get("schema", {}), schemas) for kind, content in answer.get("content", {}).items()
            ]
            yield f"- {status}: {answer['description']}{': ' if kinds else ''}{', '.join(kinds)}"
    if codes:
        yield f"- problems: {', '.join(f'[`{code}`](errors/{code}.md)' for code in codes)}"
    yield ""


def _kind(kind: str, schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    names = [one["$ref"].rpartition("/")[2] for one in schema.get("anyOf", [schema]) if "$ref" in one]
    fields = list(schemas[names[0]].get("properties", {})) if names else []
    return f"`{kind}`" + (f" with {', '.join(f'`{field}`' for field in fields)}" if fields else "")


def _default(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    default = schema.get("default")
    shown = "" if default in (None, "", []) else f", `{default}` otherwise"
    choices = schema.get("enum")
    return shown + (f"; {', '.join(f'`{choice}`' for choice in choices)}" if choices else "")


def _text(parameter: dict[str, Any]) -> str:
    text = parameter.get("description", "")
    return f": {text}" if text else ""


def _body_fields(content: dict[str, Any], schemas: dict[str, Any]) -> str:
    name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    names = schemas.get(name, {}).get("properties", {})
    return f" with {', '.join(f'`{name}`' for name in names)}" if names else ""


def _problems() -> Iterator[str]:
    yield "## Problems\n"
    yield "Errors are `application/problem+json` (RFC 9457). `code` never changes its meaning, `type` is the same with"
    yield f"`{TYPE_PREFIX}` before it, `detail` says what happened and what to do. `args`, where it is there, has what it"
    yield "is about by name; where several things are wrong, `problems` lists all of them, with `line` and `column` where"
    yield "there was text. Each code has [a page of its own](errors/index.md). Any request may be answered with one of"
    yield f"{', '.join(f'`{code}`' for code in ALWAYS)}; the others stand with their routes.\n"
    yield "| status | codes |"
    yield "| --- | --- |"
    for status in sorted(set(STATUS.values())):
        codes = sorted(code for code, of in STATUS.items() if of == status)
        links = ", ".join(f"[`{code}`](errors/{code}.md)" for code in codes)
        yield f"| {status} {HTTPStatus(status).phrase} | {links} |"
    yield ""
