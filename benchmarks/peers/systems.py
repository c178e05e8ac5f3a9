"""The systems that are compared, and what each still knows after all of its processes were killed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class System:
    """`name` is a folder beside this file, but for Plugmesh; `keeps` is a few words for a table."""

    name: str
    title: str
    keeps: str


PLUGMESH = System("plugmesh", "Plugmesh", "every run and step")
PEERS = (
    System("ray", "Ray", "nothing"),
    System("celery", "Celery", "nothing"),
    System("dask", "Dask", "nothing"),
    System("prefect", "Prefect", "runs; steps a little later"),
)
EVERYONE = (PLUGMESH, *PEERS)
