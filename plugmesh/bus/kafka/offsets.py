"""Questions about offsets, over connections of their own: a reader's are busy waiting for news."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.structs import TopicPartition

from plugmesh.bus.kafka.clients import FAULTS, KafkaClients, ended, opened
from plugmesh.bus.kafka.outage import Outage
from plugmesh.errors import NotReachable
from plugmesh.runtime import Runtime

ASK_S = 5.0
_AGAIN_S = 0.25
_GIVE_UP_S = 15.0
"""A client that gets no answers for so long is replaced: it may know only addresses that are gone."""


class KafkaOffsets:
    """Asks the brokers where partitions begin and end."""

    def __init__(self, clients: KafkaClients, runtime: Runtime, outage: Outage) -> None:
        self._clients = clients
        self._runtime = runtime
        self._outage = outage
        self._client: Any = None
        self._opening = asyncio.Lock()
        self._failing_since: float | None = None

    async def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset behind the newest message of each partition. Raises `NotReachable`."""
        return await self._ask("end_offsets", partitions)

    async def ranges(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        """First and end of each partition; asks until it is told."""
        while True:
            try:
                begins = await self._ask("beginning_offsets", partitions)
                ends = await self.ends(partitions)
            except NotReachable:
                await self._runtime.sleep(_AGAIN_S)
            else:
                return {partition: (begins[partition], ends[partition]) for partition in partitions}

    async def end(self, partition: TopicPartition) -> int:
        """The offset behind the newest message; asks until it is told."""
        while True:
            try:
                return (await self.ends([partition]))[partition]
            except NotReachable:
                await self._runtime.sleep(_AGAIN_S)

    async def close(self) -> None:
        """End the connections."""
        client, self._client = self._client, None
        if client is not None:
            await ended(client)

    async def _ask(self, question: str, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        try:
            async with asyncio.timeout(ASK_S):
                client = await self._opened()
                found: dict[TopicPartition, int] = await getattr(client, question)(list(partitions))
        except FAULTS as error:
            await self._failed(error)
            raise NotReachable(f"no broker says where its topics end: {error}") from None
        self._failing_since = None
        self._outage.back()
        return found

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                self._client = await opened(self._clients.consumer())
            return self._client

    async def _failed(self, error: BaseException) -> None:
        self._outage.away(error)
        now = self._runtime.now()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since > _GIVE_UP_S:
            self._failing_since = None
            await self.close()
