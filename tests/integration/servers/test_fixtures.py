"""The fixtures of tests/servers.py: each room is new, can be written to, and is gone afterwards."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import psycopg
import pymysql
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.helpers import create_ssl_context
from minio import Minio

from scripts.real_servers.own_server import OwnServer
from tests.waiting import wait_until


async def test_a_topic_can_be_made_and_written_to(kafka_url: str) -> None:
    server = urlsplit(kafka_url)
    topic = f"{server.path.strip('/')}.runs"
    client = AIOKafkaAdminClient(bootstrap_servers=server.netloc)
    await client.start()
    await client.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])

    async def visible() -> bool:
        return topic in await client.list_topics()

    await wait_until(visible)
    await client.close()
    producer = AIOKafkaProducer(bootstrap_servers=server.netloc, enable_idempotence=True)
    await producer.start()
    kept = await producer.send_and_wait(topic, b"hello", partition=1)
    await producer.stop()
    assert (kept.partition, kept.offset) == (1, 0)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_kafka_knows_a_stranger_and_lets_it_do_nothing(kafka_sasl_url: str, mechanism: str) -> None:
    server = urlsplit(kafka_sasl_url)
    topic = f"{server.path.strip('/')}.runs"
    for name, made in ((server.username, True), ("stranger", False)):
        client = AIOKafkaAdminClient(
            bootstrap_servers=f"{server.hostname}:{server.port}",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=mechanism,
            sasl_plain_username=name,
            sasl_plain_password=server.password,
        )
        await client.start()
        answer = await client.create_topics([NewTopic(f"{topic}-{name}", num_partitions=1, replication_factor=1)])
        await client.close()
        ((_, code, _),) = answer.topic_errors
        assert (code == 0) == made


async def test_kafka_shows_a_certificate(kafka_tls_url: str) -> None:
    server = urlsplit(kafka_tls_url)
    trusted = create_ssl_context(cafile=parse_qs(server.query)["ca_file"][0])
    client = AIOKafkaAdminClient(bootstrap_servers=server.netloc, security_protocol="SSL", ssl_context=trusted)
    await client.start()
    assert isinstance(await client.list_topics(), list)
    await client.close()


@pytest.mark.servers
@pytest.mark.parametrize("kind", ["minio", "versitygw"])
def test_a_bucket_takes_objects(kind: str, request: pytest.FixtureRequest) -> None:
    url = urlsplit(request.getfixturevalue(f"{kind}_url"))
    endpoint = urlsplit(parse_qs(url.query)["endpoint"][0]).netloc
    client = Minio(endpoint, access_key=url.username, secret_key=url.password, secure=False)
    bucket = url.hostname or ""
    source = urlopen("data:,hello")
    client.put_object(bucket, "a/b", source, 5)
    response = client.get_object(bucket, "a/b")
    assert response.read() == b"hello"
    response.close()
    response.release_conn()


def test_the_registry_takes_a_key(consul_url: str) -> None:
    url = urlsplit(consul_url)
    key = f"http://{url.netloc}/v1/kv{url.path}/one"
    with urlopen(Request(key, data=b"1", method="PUT")) as response:
        assert response.read().strip() == b"true"


def test_a_postgresql_database_is_new(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_mariadb_database_is_new(mariadb_url: str) -> None:
    url = urlsplit(mariadb_url)
    connection = pymysql.connect(
        host=url.hostname, port=url.port or 0, user=url.username, password=url.password or "", database=url.path[1:]
    )
    with connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW TABLES") == 0


def test_a_wrong_password_is_refused(postgres_url: str) -> None:
    wrong = postgres_url.replace("plugmesh-tests", "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_a_server_of_its_own_keeps_its_data_when_it_is_killed(own_server: Callable[[str], OwnServer]) -> None:
    own = own_server("postgres")
    with psycopg.connect(own.address, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    address, pid = own.address, own.pid
    own.kill()
    own.start()
    assert (own.address, own.pid != pid) == (address, True)
    with psycopg.connect(own.address) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
