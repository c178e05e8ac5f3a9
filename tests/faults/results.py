"""What instances have told schedulers, as it lies on the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from plugmesh.contracts.messages import Done, decode_result
from plugmesh.contracts.run import SHARDS


class Results:
    """The topic `results` of the mesh whose topics begin with `prefix`."""

    def __init__(self, broker: str, prefix: str) -> None:
        self._broker = broker
        self._partitions = [TopicPartition(f"{prefix}.results", number) for number in range(SHARDS)]

    def ends(self) -> dict[TopicPartition, int]:
        """Of each partition the offset of what comes next."""
        return asyncio.run(self._ends())

    def done_since(self, ends: Mapping[TopicPartition, int]) -> int:
        """How many attempts have said since then that they are done."""
        return asyncio.run(self._done_since(ends))

    def delete(self) -> None:
        """What retention does, at once."""
        asyncio.run(self._delete())

    async def _ends(self) -> dict[TopicPartition, int]:
        async with AIOKafkaConsumer(bootstrap_servers=self._broker) as consumer:
            return dict(await consumer.end_offsets(self._partitions))

    async def _done_since(self, ends: Mapping[TopicPartition, int]) -> int:
        async with AIOKafkaConsumer(bootstrap_servers=self._broker) as consumer:
            consumer.assign(self._partitions)
            for partition, offset in ends.items():
                consumer.seek(partition, offset)
            until, found = await consumer.end_offsets(self._partitions), 0
            while any([await consumer.position(one) < until[one] for one in self._partitions]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += sum(isinstance(decode_result(record.value), Done) for record in records)
            return found

    async def _delete(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._broker)
        await admin.start()
        try:
            await admin.delete_records(dict.fromkeys(self._partitions, RecordsToDelete(before_offset=-1)))
        finally:
            await admin.close()
