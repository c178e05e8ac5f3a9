"""What the library of Kafka makes of the brokers of a URL."""

from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.bus.kafka.clients import KafkaClients, ended


async def test_brokers_are_reached_by_every_kind_of_address() -> None:
    clients = KafkaClients(KafkaUrl.parse("kafka://[::1]:9093,[fe80::2],10.0.0.1:1,broker/p"))
    producer = clients.producer()
    reached = {(host, port) for host, port, _ in producer.client.hosts}
    assert reached == {("::1", 9093), ("fe80::2", 9092), ("10.0.0.1", 1), ("broker", 9092)}
    await ended(producer)
