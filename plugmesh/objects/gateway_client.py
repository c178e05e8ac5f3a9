"""Requests to a gateway's object endpoint: over kept connections, repeated while nobody answers."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Callable, Mapping
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from plugmesh.errors import (
    ConfigurationError,
    Conflict,
    LimitExceeded,
    NotReachable,
    ObjectCorrupt,
    ObjectMissing,
    PlugmeshError,
    StoreFull,
    Unauthorized,
)

PATIENCE_S = 180.0
"""A request is repeated for so long while the gateway does not answer: a server that is started again is back by then."""
UNKNOWN_S = 30.0
"""And for so long while it refuses the token: a ticket that was replaced is in its file by then."""
SILENCE_S = 60.0
"""A connection on which nothing moves for so long is given up."""
_LONGEST_WAIT_S = 3.0
_BLOCK_BYTES = 1024 * 1024
_ERROR_BYTES = 64 * 1024
_BY_STATUS: Mapping[int, type[PlugmeshError]] = {
    400: ConfigurationError,
    403: Unauthorized,
    404: ConfigurationError,
    409: Conflict,
    410: ObjectMissing,
    413: LimitExceeded,
    416: ObjectCorrupt,
    422: ConfigurationError,
    507: StoreFull,
}
T = TypeVar("T")


class Unknown(Unauthorized):
    """The gateway does not know the token (any more)."""


class GatewayClient:
    """One process's requests to the gateway at `url` (`http://host:port`); `token` is asked before each of them."""

    def __init__(self, url: str, token: Callable[[], str], patience_s: float = PATIENCE_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username is not None:
            raise ConfigurationError("the address of a gateway's objects is gateway+http://host:port")
        self.url = url
        self._place = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self._base = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._token = token
        self._patience_s = patience_s
        self._idle: list[http.client.HTTPConnection] = []
        self._pid = os.getpid()

    def ask(
        self,
        method: str,
        path: str,
        take: Callable[[http.client.HTTPResponse], T],
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        body: IO[bytes] | bytes | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> T:
        """What `take` makes of a good answer. `headers` are asked, and the body is sent from its start, with each try;
        `failed` is called when nobody knows what became of one.

        Raises `NotReachable` when the patience is over, `Unauthorized`, and what the gateway's answer says.
        """
        tries = Retrying(
            retry=retry_if_exception_type((NotReachable, Unknown)),
            wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_WAIT_S),
            stop=self._is_over,
            reraise=True,
        )

        def once() -> T:
            try:
                return self._once(method, path, take, headers(), body)
            except NotReachable:
                failed()
                raise

        return tries(once)

    def _is_over(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        patience_s = min(UNKNOWN_S, self._patience_s) if isinstance(error, Unknown) else self._patience_s
        return (state.seconds_since_start or 0.0) > patience_s

    def _once(
        self,
        method: str,
        path: str,
        take: Callable[[http.client.HTTPResponse], T],
        headers: Mapping[str, str],
        body: IO[bytes] | bytes | None,
    ) -> T:
        shown = self._token()
        sent = {**headers, "Authorization": f"Bearer {shown}"} if shown else dict(headers)
        connection = self._taken()
        try:
            answer = _sent(connection, method, self._base + path, body, sent)
            if not 200 <= answer.status < 300:
                raise self._refusal(answer, f"{method} {path}")
            taken = take(answer)
            answer.read()  # a connection is used again when its answer is read to the end
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError | http.client.HTTPException):
                said = str(error) or type(error).__name__
                raise NotReachable(f"the gateway at {self.url} does not answer: {said}") from error
            raise
        self._idle.append(connection)
        return taken

    def close(self) -> None:
        """End the connections that are kept; the next request makes a new one."""
        while self._idle:
            self._idle.pop().close()

    def _taken(self) -> http.client.HTTPConnection:
        """A connection that nobody else uses: one that is kept, or a new one."""
        if self._pid != os.getpid():  # those of the process that this one was forked from are still that one's
            self._pid, self._idle = os.getpid(), []
        try:
            return self._idle.pop()
        except IndexError:
            return self._new()

    def _new(self) -> http.client.HTTPConnection:
        host, port = self._place
        options: dict[str, Any] = {"timeout": SILENCE_S, "blocksize": _BLOCK_BYTES}
        if self._tls is None:
            return http.client.HTTPConnection(host, port, **options)
        return http.client.HTTPSConnection(host, port, context=self._tls, **options)

    def _refusal(self, answer: http.client.HTTPResponse, asked: str) -> PlugmeshError:
        try:
            said = json.loads(answer.read(_ERROR_BYTES))
            detail, code = str(said["detail"]), str(said["code"])
        except (ValueError, KeyError, TypeError):
            detail, code = f"{asked}: HTTP status {answer.status}", ""
        if answer.status == 401:
            return Unknown(f"the gateway at {self.url} refuses what is shown to it: {detail}")
        kind = ObjectCorrupt if code == ObjectCorrupt.code else _BY_STATUS.get(answer.status, NotReachable)
        return kind(f"the gateway at {self.url} says: {detail}")


def _sent(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: IO[bytes] | bytes | None,
    headers: Mapping[str, str],
) -> http.client.HTTPResponse:
    if body is not None and not isinstance(body, bytes):
        body.seek(0)
    try:
        connection.request(method, path, body, headers)
    except (BrokenPipeError, ConnectionResetError) as error:
        try:
            return connection.getresponse()  # it was answered before all was sent
        except (OSError, http.client.HTTPException):
            raise error from None
    return connection.getresponse()
