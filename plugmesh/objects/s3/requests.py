"""Requests to the server of a store, each tried again while the server does not do it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from minio import Minio
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from plugmesh.errors import ConfigurationError, NotReachable, ObjectCorrupt, PlugmeshError
from plugmesh.objects.s3.address import S3Address
from plugmesh.objects.s3.body import Body
from plugmesh.objects.s3.client import CHECKSUM_HEADER, SIGNED_BYTES, make_client
from plugmesh.objects.s3.errors import FAILURES, CutOff, Unavailable, given_up, meaning
from plugmesh.objects.s3.figures import S3Counts
from plugmesh.runtime import Runtime

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_SAID_AFTER_S = 2.0

_log = logging.getLogger(__name__)


class Requests:
    """Any thread; a forked process makes connections of its own."""

    def __init__(self, address: S3Address, runtime: Runtime) -> None:
        self.address, self.runtime = address, runtime
        self._client: Minio | None = None
        self._pid = 0
        self.counts = S3Counts(runtime)

    def client(self) -> Minio:
        """The client of this process. A connection must not be shared with the process that we were forked from."""
        if self._client is None or self._pid != os.getpid():
            self._client, self._pid = make_client(self.address), os.getpid()
        return self._client

    def send(
        self,
        method: str,
        key: str | None,
        *,
        body: Body | bytes | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        stream: bool = False,
    ) -> Any:
        """One request about an object, or (`None`) the bucket, tried again. The client's public calls take no pieces from a
        writer and send no `If-None-Match`; so this is what those are made of."""
        self.counts.sent_bytes += 0 if body is None else len(body)
        headers = dict(headers or {})
        if isinstance(body, Body):
            headers[CHECKSUM_HEADER] = body.crc32()
            body = body.whole() if len(body) < SIGNED_BYTES else body
        return self.patiently(
            f"{method} {key or 'bucket'}",
            lambda client: client._execute(  # noqa: SLF001
                method,
                self.address.bucket,
                None if key is None else self.address.prefix + key,
                body=cast("bytes | None", body),  # or what gives them in pieces
                headers=dict(headers),
                query_params=dict(query or {}),
                preload_content=not stream,
            ),
        )

    def patiently(self, what: str, call: Callable[[Minio], T]) -> T:
        """What `call` gives; as long as it raises what may pass, again, with growing pauses of random length. Raises
        `NotReachable` when that has taken too long, `ObjectCorrupt` if bytes never came whole."""
        try:
            return self.once(what, call)
        except Unavailable:
            begun = self.runtime.now()
            self.counts.retries += 1
        retrying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            stop=lambda _: self.runtime.now() - begun >= self.address.patience_s,
            wait=self._pause,
            before_sleep=_Remark(self.address, what, self.counts),
            sleep=time.sleep,
            reraise=True,
        )
        time.sleep(self._random(_FIRST_PAUSE_S))
        try:
            result: T = retrying(self.once, what, call)
            return result
        except Unavailable as error:
            text = given_up(error, self.address, what, self.runtime.now() - begun)
            if isinstance(error, CutOff):
                raise ObjectCorrupt(text) from None
            raise NotReachable(text) from None

    def once(self, what: str, call: Callable[[Minio], T]) -> T:
        """What `call` gives. Raises `Unavailable`, `Exists`, `NoUpload`, `OutOfRange` and errors of the port."""
        try:
            self.counts.requests += 1
            result = call(self.client())
        except PlugmeshError:
            raise
        except FAILURES as error:
            meant = meaning(error, self.address, what)
            if isinstance(meant, Unavailable):
                self.counts.answering.failed()
            else:
                self.counts.answering.answered()
            raise meant from (None if isinstance(meant, ConfigurationError) else error)
        self.counts.answering.answered()
        return result

    def _pause(self, state: RetryCallState) -> float:
        return self._random(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(state.attempt_number, 10)))

    def _random(self, most_s: float) -> float:
        return self.runtime.random().uniform(0, most_s)


class _Remark:
    """Counts that something is tried again, and says once that somebody waits for the server."""

    def __init__(self, address: S3Address, what: str, counts: S3Counts) -> None:
        self._address, self._what, self._is_said = address, what, False
        self._counts = counts

    def __call__(self, state: RetryCallState) -> None:
        self._counts.retries += 1
        if self._is_said or (state.seconds_since_start or 0.0) < _SAID_AFTER_S or state.outcome is None:
            return
        self._is_said = True
        reason = state.outcome.exception()
        _log.warning("object store %s: %s: %s; it is tried again for %.0f s", self._address.name, self._what, reason,
                     self._address.patience_s)  # fmt: skip
