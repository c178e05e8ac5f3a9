"""The servers there are. A new one is a file and a line here."""

from collections.abc import Iterable

from scripts.real_servers.consul import Consul
from scripts.real_servers.folders import Folders
from scripts.real_servers.kafka import Kafka
from scripts.real_servers.mariadb import Mariadb
from scripts.real_servers.minio import Minio
from scripts.real_servers.postgres import Postgres
from scripts.real_servers.problem import Problem
from scripts.real_servers.prometheus import Prometheus
from scripts.real_servers.server import Server
from scripts.real_servers.versitygw import Versitygw

# What is quick to install comes first, so that it can be used while the rest is compiled.
SERVERS: tuple[type[Server], ...] = (Kafka, Postgres, Mariadb, Prometheus, Versitygw, Consul, Minio)


def servers(names: Iterable[str], folders: Folders) -> list[Server]:
    """The servers of these names, all if there are none; Problem for a name that is not known."""
    wanted = set(names)
    known = [kind.name for kind in SERVERS]
    unknown = sorted(wanted.difference(known))
    if unknown:
        raise Problem(f"There is no server {', '.join(unknown)} here. There are: {', '.join(known)}.")
    return [kind(folders) for kind in SERVERS if not wanted or kind.name in wanted]
