"""An instance as it stands in Consul: a service that everybody can read, and one document in the key-value store.

The service says who is there and, by its check, who gives signs of life. The document holds what Plugmesh itself needs,
whole and exact: the registration and the last beat. Beats do not ride in the check's output, because agents hold
changes of an output back for minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from plugmesh.contracts.base import Versioned
from plugmesh.contracts.instance import Beat, Registration

SERVICE = "plugmesh"
PASS_S = 5.0
"""How often an instance says to Consul that it lives."""
TTL_S = 15.0
"""Silence after which Consul says `critical`."""
SUSPECT_S = 20.0
"""A passing check proves a sign of life within `TTL_S` and no more, so nobody is doubted before; watchers hear of it
a little later."""
DEAD_S = 30.0
FORGET_S = 600.0
"""Consul strikes out a service that was critical, and a document that was left alone, for this long."""
MOST_BYTES = 512
"""Consul takes at most so many characters in a value of a service's meta data."""


class Page(Versioned):
    """The document of one instance."""

    registration: Registration
    beat: Beat | None = None


def folder(mesh: str) -> str:
    """Where the documents of a mesh lie."""
    return f"plugmesh/{mesh}/instances/"


def key(mesh: str, instance: str) -> str:
    """Where the document of one instance lies."""
    return folder(mesh) + instance


def service_id(mesh: str, instance: str) -> str:
    """The id of its service, and of the service's check."""
    return f"{SERVICE}-{mesh}-{instance}"


def mesh_tag(mesh: str) -> str:
    """The tag that all services of a mesh have."""
    return f"mesh={mesh}"


def service_of(registration: Registration, mesh: str) -> dict[str, Any]:
    """The service for `registration`, in the words of Consul's agent API, as arguments of py-consul."""
    modules = [f"{offer.name}@{offer.version}" for offer in registration.offers]
    return {
        "name": SERVICE,
        "service_id": service_id(mesh, registration.instance),
        "tags": [mesh_tag(mesh), *modules],
        "meta": _meta(registration, mesh),
        "check": {
            "CheckID": service_id(mesh, registration.instance),
            "Name": f"{registration.instance} gives signs of life",
            "TTL": f"{TTL_S:g}s",
            "Status": "passing",  # or it would be critical until the first pass
            "DeregisterCriticalServiceAfter": f"{FORGET_S:g}s",
        },
        "replace_existing_checks": True,
    }


def statuses(rows: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """Of the answer of `/v1/health/service/…`: whether all checks of each instance pass.

    The checks of its node count as well: when the whole machine is away, nobody updates those of the service.
    """
    found: dict[str, bool] = {}
    for row in rows:
        instance = (row["Service"].get("Meta") or {}).get("instance")
        if instance:  # another tool may have a service of our name
            passing = all(check["Status"] != "critical" for check in row["Checks"])
            found[instance] = passing or found.get(instance, False)  # known by two nodes: it moved
    return found


def _meta(registration: Registration, mesh: str) -> dict[str, str]:
    said = {
        "mesh": mesh,
        "instance": registration.instance,
        "protocol": registration.v,
        "host": registration.host,
        "pid": str(registration.pid),
        "slots": str(registration.slots),
        "prefetch": str(registration.prefetch),
        "partition": str(registration.partition),
        "labels": json.dumps(registration.labels),
        "sdk": registration.sdk,
        "key": key(mesh, registration.instance),
    }
    return {name: value for name, value in said.items() if len(value.encode()) < MOST_BYTES}
