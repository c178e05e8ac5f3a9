"""The mesh over HTTP, as the commands use it: one kept connection, and errors that say what to do."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx2

from plugmesh.cli.api.routes import at, host_of, output_at, query_of
from plugmesh.errors import NotReachable, PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.token_file import find_token

API = "/api/v1"
READ_S = 75.0
"""Longer than the longest long-poll."""
CONNECT_S = 5.0
_COMMANDS = {
    "GET /api/v1/runs": "runs",
    "GET /api/v1/modules": "modules",
    "GET /api/v1/instances": "instances",
    "GET /api/v1/flows": "flows ls",
    "GET /api/v1/files": "files ls",
    "GET /api/v1/settings": "settings ls",
    "GET /api/v1/notifications": "notifications ls",
    "GET /api/v1/dlq": "dlq ls",
    "PUT /api/v1/files/NAME": "files put PATH",
}
_ROUTE = re.compile("|".join(f"{re.escape(route)}(?![/\\w])" for route in _COMMANDS))
_SAID_TWICE = re.compile(r"(`plugmesh [a-z ]+`) or \1")
_TRIES = 3
_PAGE = 1000


class Refusal(PlugmeshError):
    """The mesh answered that it cannot; `code` says why in one word, `problems` are all places that are wrong."""

    def __init__(self, code: str, detail: str, status: int, problems: list[dict[str, Any]]) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.problems = problems


class MeshClient:
    """One command's connection. Every method raises `NotReachable` and `Refusal`.

    Paths are below `/api/v1`, as `plugmesh.cli.api.routes` makes them; a query value of `None` is left out.
    """

    def __init__(self, url: str, runtime: Runtime, *, timeout_s: float = READ_S) -> None:
        """`url` is `http://host:port`. Raises `ConfigurationError`."""
        local = host_of(url) in {"127.0.0.1", "localhost", "::1"}
        self.url = url.rstrip("/")
        self._runtime = runtime
        timeout = httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        token = find_token(url, os.environ)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(base_url=self.url, timeout=timeout, trust_env=not local, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    # -- any route ---------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        """The JSON document at a path."""
        return self._json("GET", path, params=query_of(query))

    def send(self, method: str, path: str, document: Any = None, **query: Any) -> Any:
        """Change something; the answer's document, `None` if it has none."""
        body = {} if document is None else {"json": document}
        return self._json(method, path, params=query_of(query), **body)

    def put(self, path: str, content: bytes | Iterator[bytes], headers: Mapping[str, str], **query: Any) -> Any:
        """Put bytes; the answer's document."""
        return self._json("PUT", path, content=content, headers=dict(headers), params=query_of(query))

    def text(self, path: str, accept: str = "text/plain", **query: Any) -> str:
        """The text at a path."""
        return self._answer("GET", path, params=query_of(query), headers={"accept": accept}).text

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str] | None = None, also: int = 0, **query: Any
    ) -> Iterator[httpx2.Response]:
        """An answer whose bytes come piece by piece; `also` is a status that is no error here."""
        with (
            self._transport(),
            self._http.stream("GET", API + path, params=query_of(query), headers=dict(headers or {})) as answer,
        ):
            if answer.status_code != also:
                _check(answer)
            yield answer

    def lines(self, path: str, **query: Any) -> Iterator[Any]:
        """The JSON lines at a path, as they come."""
        with self.stream(path, **query) as answer:
            for line in answer.iter_lines():
                if line.strip():
                    yield _line(line, self.url)

    def pages(self, path: str, noun: str, limit: int | None = None, **query: Any) -> Iterator[Any]:
        """The items of a list, page after page, `limit` of them at most."""
        cursor, left = None, limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            page = self.get(path, cursor=cursor, limit=size, **query)
            items = page[noun][:size]
            yield from items
            left = None if left is None else left - len(items)
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def look(self, path: str) -> tuple[int, Any, Mapping[str, str]]:
        """Status, document and headers at a path of the whole server (`/healthz`), whatever the status is."""
        with self._transport():
            answer = self._http.get(path)
        return answer.status_code, self._document(answer), answer.headers

    # -- runs --------------------------------------------------------------------------------------------------------

    def submit(self, request: Mapping[str, Any], key: str, path: str = "/runs") -> Any:
        """Submit a run; the answer has `id`, `state` and `warnings`. Lost answers are asked for again by `key`."""
        for left in reversed(range(_TRIES)):
            try:
                return self._json("POST", path, json=request, headers={"idempotency-key": key})
            except NotReachable as error:
                if left == 0 or isinstance(error.__cause__, httpx2.ConnectError):
                    raise
        raise AssertionError  # the last try returns or raises

    def run(self, run: str, wait_s: float = 0.0) -> Any:
        """A run: at its end, or after `wait_s`."""
        return self.get(at("runs", run), wait_s=wait_s or None)

    def rows(self, run: str, step: str, port: str, limit: int) -> Any:
        """The first rows of an output: `rows`, `columns`, `total`."""
        return self.get(output_at(run, step, port), limit=limit)

    def validate(self, text: str, *, strict: bool) -> Any:
        """Problems and warnings of a flow's text."""
        headers = {"content-type": "application/yaml"}
        query = query_of({"strict": strict or None})
        return self._json("POST", "/validate", content=text.encode(), headers=headers, params=query)

    # -- rim ---------------------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, **request: Any) -> Any:
        answer = self._answer(method, path, **request)
        return self._document(answer) if answer.content else None

    def _answer(self, method: str, path: str, **request: Any) -> httpx2.Response:
        with self._transport():
            answer = self._http.request(method, API + path, **request)
        _check(answer)
        return answer

    def _document(self, answer: httpx2.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise NotReachable(f"what answers at {self.url} is no Plugmesh: it does not speak JSON") from None

    @contextmanager
    def _transport(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TransportError as error:
            raise self._away(error) from error

    def _away(self, error: httpx2.TransportError) -> NotReachable:
        if isinstance(error, httpx2.ConnectError):
            return NotReachable(
                f"no mesh answers at {self.url}: start one with `plugmesh up`, or say where it is (PLUGMESH_URL, --url)"
            )
        return NotReachable(f"the mesh at {self.url} broke off ({str(error) or type(error).__name__}): try again")


def _check(answer: httpx2.Response) -> None:
    """Raises `Refusal` for an answer that says no."""
    if answer.is_error:
        answer.read()
        raise _refusal(answer)


def _refusal(answer: httpx2.Response) -> Refusal:
    try:
        document = json.loads(answer.content)
        problems = [problem for problem in document.get("problems", []) if isinstance(problem, dict)]
        return Refusal(str(document["code"]), as_commands(str(document["detail"])), answer.status_code, problems)
    except (ValueError, KeyError, AttributeError, TypeError):
        return Refusal(
            "unknown", f"{answer.url} answered {answer.status_code}: is it a Plugmesh?", answer.status_code, []
        )


def as_commands(text: str) -> str:
    """What the mesh says in terms of HTTP, in those of the command line."""
    return _SAID_TWICE.sub(r"\1", _ROUTE.sub(lambda found: f"`plugmesh {_COMMANDS[found[0]]}`", text))


def _line(line: str, url: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise NotReachable(f"the mesh at {url} broke off in the middle of a line: try again") from None
