"""Four backends on real servers, and what can be wrong with the URL of each."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from scripts.real_servers.kafka_settings import STRANGER
from scripts.real_servers.server import PASSWORD

SECRET = "geheim-1"
_TOPIC, _PREFIXED, _ALLOW = 2, 4, 3
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8}


@dataclass(frozen=True)
class Places:
    """Good URLs, one a setting; `stranger` reaches the bus as a user with the rights that `permit` gave him."""

    good: Mapping[str, str]
    stranger: str

    def wrong(self, setting: str, url: str) -> dict[str, str]:
        """All of them, of which this one is wrong."""
        return {**self.good, setting: url}


def _swapped(url: str, old: str, new: str) -> str:
    assert old in url
    return url.replace(old, new)


def _prefixed(url: str, word: str) -> str:
    parts = urlsplit(url)
    return parts._replace(path=f"/{word}{parts.path[1:]}").geturl()


def _with_user(url: str, user: str) -> str:
    return f"{urlsplit(url).scheme}://{user}@{url.partition('://')[2].rpartition('@')[2]}"


WRONG: Mapping[str, Mapping[str, Callable[[Places], str]]] = {
    "state": {
        "with an unknown scheme": lambda places: f"oracle://me:{SECRET}@h/x",
        "with a port that is no number": lambda places: f"postgresql://me:{SECRET}@h:x1/x",
        "with a wrong password": lambda places: _with_user(places.good["state"], f"nobody:{SECRET}"),
        "with a database that is not there": lambda places: f"{places.good['state']}_2",
    },
    "bus": {
        "with an unknown scheme": lambda places: f"rabbit://me:{SECRET}@h/x",
        "with a port that is no number": lambda places: f"kafka://me:{SECRET}@h:x1/x",
        "with an unknown option": lambda places: f"{places.good['bus']}?retention=4",
        "with a wrong password": lambda places: _swapped(places.stranger, PASSWORD, SECRET),
        "with a user without any right": lambda places: _prefixed(places.stranger, "none-"),
        "with a user who may only read": lambda places: _prefixed(places.stranger, "reads-"),
        "with a user who may only write": lambda places: _prefixed(places.stranger, "writes-"),
    },
    "discovery": {
        "with an unknown scheme": lambda places: f"etcd://:{SECRET}@h/x",
        "with a port that is no number": lambda places: f"consul://:{SECRET}@h:x1/x",
        "that is no Consul": lambda places: f"consul://{_s3_server(places)}/x",
        "with a datacenter that is not there": lambda places: f"{places.good['discovery']}?datacenter=atlantis",
    },
    "objects": {
        "with an unknown scheme": lambda places: f"ftp://me:{SECRET}@h/x",
        "with an unknown option": lambda places: f"{places.good['objects']}&speed=high",
        "with a bucket that is not there": lambda places: _swapped(places.good["objects"], "@", "@none-"),
        "with a wrong secret key": lambda places: _with_user(places.good["objects"], f"me:{SECRET}"),
        "in a folder that cannot be": lambda places: "file:///proc/plugmesh",
    },
}
"""For each setting: what is wrong with it, and its value then."""

AWAY: Mapping[str, Callable[[Places], str]] = {
    "state": lambda places: f"postgresql://me:{SECRET}@{_nobody()}/x",
    "bus": lambda places: f"kafka://{_nobody()}/x",
    "discovery": lambda places: f"consul://:{SECRET}@{_nobody()}/x",
    "objects": lambda places: f"s3://me:{SECRET}@bucket?endpoint=http://{_nobody()}",
}
"""URLs at which nobody answers."""


async def permit(address: str, prefix: str, *rights: str) -> None:
    """Give the user of `Places.stranger` these rights on topics that begin with `prefix`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        for right in rights:
            user, operation = f"User:{STRANGER}", _OPERATIONS[right]
            await admin._send_request(CreateAclsRequest(_TOPIC, prefix, _PREFIXED, user, "*", operation, _ALLOW))
    finally:
        await admin.close()


def _s3_server(places: Places) -> str:
    return urlsplit(places.good["objects"].partition("endpoint=")[2]).netloc


def _nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed_at_once:
        return f"127.0.0.1:{closed_at_once.getsockname()[1]}"
