"""What discovery in Consul tells about itself: calls, those without an answer, and how long there was none."""

from collections.abc import Mapping

import pytest

from plugmesh.contracts.instance import Registration
from plugmesh.discovery.consul.discovery import ConsulDiscovery
from plugmesh.errors import NotReachable
from plugmesh.runtime import SystemRuntime
from tests.waiting import wait_until


def values(discovery: ConsulDiscovery) -> dict[str, Mapping[tuple[str, ...], float]]:
    return {figure.name.removeprefix("plugmesh_discovery_"): figure.values for figure in discovery.figures()}


async def test_calls_are_counted_by_kind(consul_url: str) -> None:
    discovery = ConsulDiscovery(consul_url, SystemRuntime())
    discovery.watch(lambda instance, entry: None)
    await discovery.register(Registration(instance="i-1", host="h", partition=0, offers=()))
    await wait_until(lambda: values(discovery)["calls"].get(("services",)))
    found = values(discovery)
    assert found["calls"][("enter",)] == 1
    assert found["calls"][("visible",)] >= 1
    assert found["outage_seconds"] == {(): 0}
    assert found["answer_age_seconds"][()] > 0
    await discovery.deregister("i-1")
    await discovery.close()


async def test_a_consul_that_is_away_is_an_outage() -> None:
    discovery = ConsulDiscovery("consul://127.0.0.1:1/x", SystemRuntime())
    with pytest.raises(NotReachable):
        await discovery.check()
    found = values(discovery)
    assert found["failures"] == {(): 1}
    assert found["outage_seconds"][()] > 0
    assert found["answer_age_seconds"] == {(): 0}
    await discovery.close()
