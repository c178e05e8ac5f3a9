"""The mesh over HTTP, as the commands use it: one kept connection, and errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx2

from plugmesh.errors import ConfigurationError, NotReachable, PlugmeshError
from plugmesh.runtime import Runtime

API = "/api/v1"
READ_S = 75.0
"""Longer than the longest long-poll."""
CONNECT_S = 5.0
PIECE_BYTES = 1024 * 1024
_TRIES = 3


class Refusal(PlugmeshError):
    """The mesh answered that it cannot; `code` says why in one word, `problems` are all places that are wrong."""

    def __init__(self, code: str, detail: str, status: int, problems: list[dict[str, Any]]) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.problems = problems


class MeshClient:
    """One command's connection. Every method raises `NotReachable` and `Refusal`."""

    def __init__(self, url: str, runtime: Runtime) -> None:
        """`url` is `http://host:port`. Raises `ConfigurationError`."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                f"{url!r} is no address of a mesh: write http://127.0.0.1:8720 (PLUGMESH_URL, --url)"
            )
        self.url = url.rstrip("/")
        self._runtime = runtime
        local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
        timeout = httpx2.Timeout(READ_S, connect=CONNECT_S)
        self._http = httpx2.Client(base_url=self.url, timeout=timeout, trust_env=not local)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    # -- runs --------------------------------------------------------------------------------------------------------

    def submit(self, flow: str, inputs: Mapping[str, Any], params: Mapping[str, Any], *, strict: bool) -> Any:
        """Submit a flow's text; the answer has `id`, `state` and `warnings`. Lost answers are asked for again."""
        document = {"flow": flow, "inputs": inputs, "params": params, "strict": strict}
        headers = {"idempotency-key": self._runtime.new_id("key")}
        for left in reversed(range(_TRIES)):
            try:
                return self._json("POST", "/runs", json=document, headers=headers)
            except NotReachable as error:
                if left == 0 or isinstance(error.__cause__, httpx2.ConnectError):
                    raise
        raise AssertionError  # the last try returns or raises

    def run(self, run: str, wait_s: float = 0.0) -> Any:
        """A run: at its end, or after `wait_s`."""
        return self._json("GET", f"/runs/{quote(run, safe='')}", params={"wait_s": wait_s} if wait_s else None)

    def runs(self, limit: int, state: str | None, flow: str | None) -> Any:
        """The newest runs."""
        params = {"limit": limit, "state": state, "flow": flow}
        return self._json("GET", "/runs", params={name: value for name, value in params.items() if value is not None})

    def cancel(self, run: str, reason: str) -> Any:
        """Ask for a run's end."""
        return self._json("POST", f"/runs/{quote(run, safe='')}/cancel", json={"reason": reason})

    def log(self, run: str, step: str, epoch: int | None = None) -> Any:
        """What a step printed and logged: `lines`, `truncated`."""
        return self._json("GET", f"{_step(run, step)}/log", params=None if epoch is None else {"epoch": epoch})

    def rows(self, run: str, step: str, port: str, limit: int) -> Any:
        """The first rows of an output: `rows`, `columns`, `total`."""
        return self._json("GET", f"{_step(run, step)}/outputs/{quote(port, safe='')}", params={"limit": limit})

    def download(self, run: str, step: str, port: str, format: str, target: Path) -> None:
        """Write an output to a file, which appears when it is whole."""
        path = f"{API}{_step(run, step)}/outputs/{quote(port, safe='')}/download"
        part = target.with_name(target.name + ".part")
        try:
            with self._http.stream("GET", path, params={"format": format}) as answer, part.open("wb") as file:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                for piece in answer.iter_bytes(PIECE_BYTES):
                    file.write(piece)
            part.replace(target)
        except httpx2.TransportError as error:
            raise self._away(error) from error
        finally:
            part.unlink(missing_ok=True)

    # -- files, flows, modules -----------------------------------------------------------------------------------------

    def upload(self, name: str, path: Path) -> Any:
        """Store a local file as a new version of `name`; the answer is that version."""
        headers = {"content-length": str(path.stat().st_size)}
        return self._json("PUT", f"/files/{quote(name, safe='')}", content=_pieces(path), headers=headers)

    def validate(self, text: str, *, strict: bool) -> Any:
        """Problems and warnings of a flow's text."""
        headers = {"content-type": "application/yaml"}
        return self._json(
            "POST", "/validate", content=text.encode(), headers=headers, params={"strict": "true"} if strict else None
        )

    def modules(self) -> Any:
        """Every module that was ever here."""
        return self._json("GET", "/modules")

    def instances(self) -> Any:
        """Every known instance."""
        return self._json("GET", "/instances")

    # -- rim -----------------------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, **request: Any) -> Any:
        try:
            answer = self._http.request(method, API + path, **request)
        except httpx2.TransportError as error:
            raise self._away(error) from error
        if answer.is_error:
            raise _refusal(answer)
        try:
            return answer.json()
        except ValueError:
            raise NotReachable(f"what answers at {self.url} is no Plugmesh: it does not speak JSON") from None

    def _away(self, error: httpx2.TransportError) -> NotReachable:
        if isinstance(error, httpx2.ConnectError):
            return NotReachable(
                f"no mesh answers at {self.url}: start one with `plugmesh up`, or say where it is (PLUGMESH_URL, --url)"
            )
        return NotReachable(f"the mesh at {self.url} broke off ({str(error) or type(error).__name__}): try again")


def _step(run: str, step: str) -> str:
    return f"/runs/{quote(run, safe='')}/steps/{quote(step, safe='')}"


def _refusal(answer: httpx2.Response) -> Refusal:
    try:
        document = json.loads(answer.content)
        problems = document.get("problems", [])
        return Refusal(str(document["code"]), str(document["detail"]), answer.status_code, problems)
    except (ValueError, KeyError, AttributeError, TypeError):
        return Refusal(
            "unknown", f"{answer.url} answered {answer.status_code}: is it a Plugmesh?", answer.status_code, []
        )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
