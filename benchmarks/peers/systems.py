"""The systems that are compared, and what each still knows after all of its processes were killed."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.protocol import UNITS

_SMALL = frozenset(UNITS) - {"W4"}


@dataclass(frozen=True, slots=True)
class System:
    """`name` is a folder beside this file, but for Plugmesh; `keeps` is a few words for a table."""

    name: str
    title: str
    keeps: str
    workloads: frozenset[str] = frozenset(UNITS)
    """What is measured of it."""


PLUGMESH = System("plugmesh", "Plugmesh", "every run and step")
PEERS = (
    System("ray", "Ray", "nothing"),
    System("celery", "Celery", "nothing", _SMALL),
    System("dask", "Dask", "nothing", _SMALL),
    System("prefect", "Prefect", "runs; steps a little later", _SMALL),
    System("redis", "pickle through Redis", "nothing", frozenset({"W4"})),
)
EVERYONE = (PLUGMESH, *PEERS)
