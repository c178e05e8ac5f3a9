"""Fixtures of real servers: each gives a URL with room of its own on a server, and clears that room away afterwards.

A test that takes one of them is marked `servers` and `full` by that. Where the server is not there it is skipped by
name; with CI=true it fails. `scripts/servers` starts servers, and docs/howto/real-servers.md tells the rest.
"""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

from scripts.real_servers import catalog, life, rooms
from scripts.real_servers.folders import START_VARIABLE, Folders
from scripts.real_servers.own_server import OwnServer
from scripts.real_servers.problem import Problem
from scripts.real_servers.server import PASSWORD, USER

__all__ = ["OwnServer", "address_of"]

FIXTURES = {f"{kind.name}_url" for kind in catalog.SERVERS} | {"kafka_sasl_url", "kafka_tls_url", "own_server"}


LONG = frozenset({"chaos", "containers", "crash", "faults", "starts", "upgrade"})
"""Folders of tests whose files take minutes each."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "servers: needs a real server (tests/servers.py); part of `full`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what needs servers, and puts files with such tests last: servers may be compiled meanwhile."""
    for item in items:
        if FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
        if item.get_closest_marker("servers"):
            item.add_marker("full")
    late = {item.path for item in items if item.get_closest_marker("servers")}
    # pytest-xdist orders files by the number of their tests, so that two processes end together, unless it was told not to.
    in_order = config.getoption("loadscopereorder", True)
    sizes = Counter[Path]() if in_order else Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path in late, item.path in late and _is_short(item.path), -sizes[item.path]))


def _is_short(file: Path) -> bool:
    """Files that wait for real leases and outages take minutes each: begun last, they would all be waited for at the end."""
    return file.parent.name not in LONG


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[[str], OwnServer]]:
    """`own_server("kafka")` starts a server for this test alone; it is gone when the test is over."""
    folders = Folders(Folders.of(os.environ).cache, tmp_path / "servers")
    started: list[OwnServer] = []

    def start(name: str) -> OwnServer:
        (server,) = catalog.servers([name], folders)
        if not (server.installed() or START_VARIABLE in os.environ):
            _missing(f"{name} is not installed: scripts/servers install {name}")
        own = OwnServer(server)
        started.append(own)
        own.start()
        return own

    yield start
    for own in started:
        own.stop(wipe=True)


@pytest.fixture
def kafka_url() -> Iterator[str]:
    with _prefix() as prefix:
        yield f"kafka://{address_of('kafka')}/{prefix}"


@pytest.fixture
def kafka_sasl_url() -> Iterator[str]:
    """Over the listener that asks for a name and a password. The name `stranger`, same password, has no rights there."""
    with _prefix() as prefix:
        yield f"kafka://{USER}:{PASSWORD}@{address_of('kafka', 'SASL')}/{prefix}?security=scram_sha_512&tls=false"


@pytest.fixture
def kafka_tls_url() -> Iterator[str]:
    with _prefix() as prefix:
        yield f"kafka://{address_of('kafka', 'TLS')}/{prefix}?security=tls&ca_file={address_of('kafka', 'CA')}"


@pytest.fixture
def minio_url() -> Iterator[str]:
    yield from _bucket(address_of("minio"))


@pytest.fixture
def versitygw_url() -> Iterator[str]:
    yield from _bucket(address_of("versitygw"))


@pytest.fixture
def consul_url() -> Iterator[str]:
    address = urlsplit(address_of("consul"))
    mesh = _fresh()
    yield f"consul://{address.netloc}/{mesh}"
    rooms.forget_mesh(address.geturl(), mesh)


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with rooms.postgres_database(address_of("postgres"), _fresh("_")) as url:
        yield url


@pytest.fixture
def mariadb_url() -> Iterator[str]:
    with rooms.mariadb_database(address_of("mariadb"), _fresh("_")) as url:
        yield url


@pytest.fixture
def prometheus_url() -> str:
    """`promtool` is installed with it."""
    return address_of("prometheus")


def _bucket(address: str) -> Iterator[str]:
    server, bucket = urlsplit(address), _fresh()
    with rooms.bucket(address, bucket):
        endpoint = f"http://{server.hostname}:{server.port}"
        yield f"s3://{server.username}:{server.password}@{bucket}?endpoint={endpoint}"


def _fresh(joint: str = "-") -> str:
    """A name that nobody else uses: not even another test run on the same servers."""
    return f"test{joint}{secrets.token_hex(6)}"


@contextmanager
def _prefix() -> Iterator[str]:
    prefix, address = _fresh(), address_of("kafka")
    yield prefix
    rooms.delete_topics(address, prefix)


def address_of(name: str, detail: str = "") -> str:
    """Where the server is: by the environment variable, else by scripts/servers. Ends the test if it is not there."""
    variable = "_".join(filter(None, ("PLUGMESH_TEST", name.upper(), detail)))
    given = os.environ.get(variable)
    if given:
        return given
    (server,) = catalog.servers([name], Folders.of(os.environ))
    why = _why_not(name, server.folders, START_VARIABLE in os.environ)
    if why:
        _missing(why)
    return server.urls()[variable]


@cache
def _why_not(name: str, folders: Folders, may_start: bool) -> str:
    """Why the server cannot be used, said the same to every test: nothing if it runs, or could be started."""
    (server,) = catalog.servers([name], folders)
    if not may_start:
        return "" if life.status(server).ready else f"no {name} here: scripts/servers start {name}"
    try:
        life.start(server)
    except Problem as problem:
        return f"{name} could not be started: {problem}"
    return ""


def _missing(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why} (CI=true: a missing server is a failure)", pytrace=False)
    pytest.skip(why)
