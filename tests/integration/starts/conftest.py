"""Backends on real servers for a process that starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from scripts.real_servers import rooms
from scripts.real_servers.kafka_settings import STRANGER
from scripts.real_servers.server import PASSWORD, USER
from tests.integration.starts.places import Places, permit
from tests.servers import address_of


@pytest.fixture
async def places(
    postgres_url: str, kafka_url: str, kafka_sasl_url: str, consul_url: str, minio_url: str
) -> AsyncIterator[Places]:
    prefix = urlsplit(kafka_sasl_url).path[1:]
    address = address_of("kafka")
    await permit(address, f"reads-{prefix}", "Create", "Describe", "Read")
    await permit(address, f"writes-{prefix}", "Create", "Describe", "Write")
    stranger = kafka_sasl_url.replace(f"{USER}:{PASSWORD}@", f"{STRANGER}:{PASSWORD}@")
    good = {"state": postgres_url, "bus": kafka_url, "discovery": consul_url, "objects": minio_url}
    yield Places(good, stranger)
    for word in ("reads", "writes"):
        rooms.delete_topics(address, f"{word}-{prefix}")
