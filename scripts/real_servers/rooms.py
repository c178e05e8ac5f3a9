"""Rooms on real servers: made for one test or mesh and cleared away after it, with the clients that are installed anyway."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener


def delete_topics(address: str, prefix: str) -> None:
    """Deletes the topics `PREFIX.…`: a broker keeps files and memory for each partition of them."""
    with ThreadPoolExecutor(1) as thread:  # a loop of its own, apart from that of the test
        thread.submit(asyncio.run, _delete_topics(address, prefix)).result()


async def _delete_topics(address: str, prefix: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    client = AIOKafkaAdminClient(bootstrap_servers=address)
    await client.start()
    try:
        topics = [topic for topic in await client.list_topics() if topic.startswith(f"{prefix}.")]
        if topics:
            await client.delete_topics(topics)
    finally:
        await client.close()


@contextmanager
def bucket(address: str, name: str) -> Iterator[None]:
    """A new bucket; it and all objects in it are deleted at the end."""
    from minio import Minio
    from minio.deleteobjects import DeleteObject

    server = urlsplit(address)
    client = Minio(
        f"{server.hostname}:{server.port}", access_key=server.username, secret_key=server.password, secure=False
    )
    client.make_bucket(name)
    yield
    objects = (DeleteObject(found.object_name) for found in client.list_objects(name, recursive=True))
    failed = list(client.remove_objects(name, objects))
    assert failed == []
    client.remove_bucket(name)


@contextmanager
def postgres_database(address: str, name: str) -> Iterator[str]:
    """The URL of a new database on the server of `address`."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    yield urlsplit(address)._replace(path=f"/{name}").geturl()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def mariadb_database(address: str, name: str) -> Iterator[str]:
    """The URL of a new database on the server of `address`."""
    _in_mariadb(address, f"CREATE DATABASE `{name}`")
    yield urlsplit(address)._replace(path=f"/{name}").geturl()
    _in_mariadb(address, f"DROP DATABASE `{name}`")


def _in_mariadb(address: str, statement: str) -> None:
    import pymysql

    server = urlsplit(address)
    connection = pymysql.connect(
        host=server.hostname, port=server.port or 3306, user=server.username, password=server.password or ""
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)


def forget_mesh(address: str, mesh: str) -> None:
    """Removes all services and keys that name the mesh: the catalogue of a server is one for all tests."""
    services = _consul(address, "GET", "/v1/agent/services")
    for service in services.values():
        if mesh in json.dumps(service):
            _consul(address, "PUT", f"/v1/agent/service/deregister/{service['ID']}")
    for key in _consul(address, "GET", "/v1/kv/?keys=true") or []:
        if mesh in key:
            _consul(address, "DELETE", f"/v1/kv/{key}")


def _consul(address: str, method: str, path: str) -> Any:
    request = Request(f"{address}{path}", method=method, data=b"" if method == "PUT" else None)
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=10) as response:
            return json.loads(response.read() or b"null")
    except HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:  # what there is none of: no keys at all, for one
            return None
        raise
