"""The clients of one Kafka URL: how they are made, reached for the first time, and ended."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.errors import ConfigurationError, NotReachable
from plugmesh.runtime import Runtime

REQUEST_S = 10
"""A broker that does not answer a request for so long is asked again over a new connection."""
FETCH_WAIT_MS = 500
"""A broker without news answers a reader after this time: what an idle process costs, and the longest a change of
partitions has to wait for the request under way."""
BATCH_BYTES = 256 * 1024
FETCH_BYTES = 8 * 1024 * 1024
FIRST_S = 10.0
"""So long the brokers may take to answer for the first time; then who needs the bus is told, and may open it again."""
_AGAIN_S = 0.5
_CLOSE_S = 3.0
FAULTS = (KafkaError, OSError, TimeoutError, AssertionError)
"""What aiokafka raises when a broker is away or answers strangely; some of its checks are assertions."""
_REFUSED = (SaslAuthenticationFailed, AuthenticationFailedError, UnsupportedSaslMechanismError, IllegalSaslStateError)


class KafkaClients:
    """Makes clients for `url`, all with the same security and patience."""

    def __init__(self, url: KafkaUrl) -> None:
        self.url = url
        servers = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in url.hosts]
        patience = {"client_id": "plugmesh", "request_timeout_ms": REQUEST_S * 1000}
        self._options: dict[str, Any] = {"bootstrap_servers": servers, **patience, **url.client_options()}

    def producer(self) -> Any:
        """An idempotent producer: what it sends again because an answer was lost is in the log once."""
        return AIOKafkaProducer(
            **self._options, enable_idempotence=True, acks="all", linger_ms=0, max_batch_size=BATCH_BYTES
        )

    def consumer(self) -> Any:
        """A consumer without a group: who reads what, and from where, is ours to say."""
        return AIOKafkaConsumer(
            **self._options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            fetch_max_bytes=FETCH_BYTES,
            consumer_timeout_ms=1000,
        )

    def admin(self) -> Any:
        """A client that creates topics."""
        return AIOKafkaAdminClient(**self._options)

    async def first_connection(self, deadline: float, runtime: Runtime) -> Any:
        """A connection that has answered a question, for the caller to close.

        Raises `ConfigurationError` when a broker refuses the login or the encryption, and `NotReachable` when none
        answers until the monotonic second `deadline`; both name the setting.
        """
        while True:
            why = []
            for host, port in self.url.hosts:
                try:
                    return await self._connection(host, port)
                except _REFUSED as error:
                    raise self._wrong(f"{host}:{port} refuses the user or the password ({reason(error)})") from None
                except ssl.SSLError as error:
                    raise self._wrong(
                        f"no encrypted connection to {host}:{port} ({reason(error)}): look at security, tls and ca_file"
                    ) from None
                except FAULTS as error:
                    why.append(f"{host}:{port}: {reason(error)}")
            if runtime.now() >= deadline:
                raise NotReachable(
                    f"the setting `bus` ({self.url.shown}): no broker answers ({'; '.join(why)}). "
                    "Start it, or correct the host, the port, or the option `security`"
                )
            await runtime.sleep(_AGAIN_S)

    async def _connection(self, host: str, port: int) -> AIOKafkaConnection:
        options = {"client_id": "plugmesh", "request_timeout_ms": REQUEST_S * 1000}
        connection = await create_conn(host, port, **options, **self.url.client_options())
        try:
            await connection.send(MetadataRequest([], False))
        except BaseException:
            connection.close()
            raise
        return connection

    def _wrong(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"the setting `bus` ({self.url.shown}): {what}")


async def opened(client: Any) -> Any:
    """Start a client, which is ended again if that fails. Raises one of `FAULTS`."""
    try:
        async with asyncio.timeout(REQUEST_S):
            await client.start()
    except BaseException:
        await ended(client)
        raise
    return client


async def ended(client: Any) -> None:
    """End a producer or consumer soon, whatever it still has to do: what it had not sent is sent by the next one."""
    if isinstance(client, AIOKafkaProducer):
        await _interrupted(client)
        end = client.client.close
    else:
        end = client.stop
    with suppress(*FAULTS):
        async with asyncio.timeout(_CLOSE_S):
            await end()


async def _interrupted(producer: Any) -> None:
    """Let the requests under way end, and forget the rest.

    A producer's own `stop` waits until its brokers have taken everything, which may be never.
    """
    sending = producer._sender.sender_task  # noqa: SLF001  there is no public way
    if sending is not None:
        for patience_s in (_CLOSE_S, 0.1):  # the first cancel lets requests end, the second one ends them
            sending.cancel()
            await asyncio.wait([sending], timeout=patience_s)
            if sending.done():
                break
    producer._closed = True  # noqa: SLF001  so that it does not complain that nobody called `stop`


def reason(error: BaseException) -> str:
    """What an error of aiokafka says, in one line."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return " ".join(str(error).split()) or type(error).__name__
