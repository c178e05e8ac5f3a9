"""Requests that are answered with a problem, and the answers. A test sends each to a gateway, and compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plugmesh.codes.code import TYPE_PREFIX
from plugmesh.codes.table import CODES

_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Example:
    """A request (method and path) to a gateway that has nothing in it yet, and what its answer says."""

    request: str
    detail: str
    args: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    problems: tuple[Mapping[str, object], ...] = ()


EXAMPLES: Mapping[str, Example] = {
    "bad-request": Example("GET /api/v1/runs?lmit=5", "there is no query parameter 'lmit' (did you mean 'limit'?)"),
    "request-invalid": Example(
        "POST /api/v1/runs",
        "the request is invalid: param: there is no such field (did you mean 'params'?)",
        headers=_JSON,
        body='{"flow": {"ref": "sales/report"}, "param": {"day": "Mon"}}',
        problems=(
            {
                "where": "param",
                "message": "there is no such field (did you mean 'params'?)",
                "hint": "did you mean 'params'?",
            },
        ),
    ),
    "flow-invalid": Example(
        "POST /api/v1/runs",
        "the flow has 1 problem: flow: nodes.clean.in: error: there is no node 'laod' (did you mean 'load'?)",
        headers=_JSON,
        body='{"flow": {"flow": "report", "nodes": {"load": {"module": "a"}, "clean": {"module": "b", "in": "laod"}}}}',
        problems=(
            {
                "level": 3,
                "severity": "error",
                "code": "unknown-node",
                "message": "there is no node 'laod'",
                "path": ["nodes", "clean", "in"],
                "line": None,
                "column": None,
                "file": "flow",
                "hint": "did you mean 'load'?",
            },
        ),
    ),
    "not-found": Example(
        "GET /api/v1/modules/table.fliter",
        "there is no module 'table.fliter' (GET /api/v1/modules lists them)",
        args={"kind": "module", "name": "table.fliter"},
    ),
    "conflict": Example("DELETE /api/v1/session", "this mesh asks for no token, so there is no session to open or end"),
    "method-not-allowed": Example(
        "DELETE /api/v1/runs", "DELETE is not possible at /api/v1/runs: there are GET, HEAD, POST"
    ),
    "unsupported-media-type": Example(
        "POST /api/v1/validate",
        "send the body as application/json or application/yaml, not as text/plain",
        headers={"content-type": "text/plain"},
        body="flow: report",
    ),
    "host-refused": Example(
        "GET /api/v1/runs",
        "this gateway does not answer to the name 'mesh.example': use one of 127.0.0.1, [::1], localhost, or add the "
        "name to its setting allowed_hosts",
        headers={"host": "mesh.example"},
    ),
    "not-reachable": Example(
        "GET /api/v1/data/usage", "no sweeper runs beside this gateway: ask one that has a scheduler in its process"
    ),
}


def answer_to(code: str, example: Example) -> dict[str, object]:
    """The problem that an example is answered with."""
    declared = CODES[code]
    problem: dict[str, object] = {"type": TYPE_PREFIX + code, "title": declared.title, "status": declared.status}
    problem |= {"detail": example.detail, "code": code}
    if example.args:
        problem["args"] = dict(example.args)
    if example.problems:
        problem["problems"] = [dict(one) for one in example.problems]
    return problem
