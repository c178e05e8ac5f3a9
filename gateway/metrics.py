"""What `/metrics` shows, in a registry that is passed in: counts kept here, and gauges read when somebody looks."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from gateway.core import Gateway

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Gauges = Mapping[str, tuple[str, Callable[[], float]]]
"""Further gauges by name: their text, and what to call for the value."""


class Metrics:
    """The metrics of one gateway."""

    def __init__(self, registry: CollectorRegistry, gateway: Gateway, gauges: Gauges) -> None:
        self.registry = registry
        names = ("method", "route", "status")
        self._requests = Counter("plugmesh_http_requests", "Requests answered", names, registry=registry)
        self._seconds = Histogram(
            "plugmesh_http_request_seconds",
            "Time to answer, without requests that wait",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        registry.register(_Live(gateway, gauges))

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answered request."""
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        key = (method, route, status)
        found = self._children.get(key)
        if found is None:
            counter = self._requests.labels(key[0], route, str(status))
            found = self._children[key] = (counter, self._seconds.labels(key[0], route))
        found[0].inc()
        if b"wait_s=" not in scope["query_string"] and not route.endswith("/events"):
            found[1].observe(seconds)


class _Live(Collector):
    """Values that are read when somebody looks."""

    def __init__(self, gateway: Gateway, gauges: Gauges) -> None:
        self._gateway = gateway
        self._gauges = gauges

    def describe(self) -> Iterator[Metric]:
        return iter(())  # names are known only when collected

    def collect(self) -> Iterator[Metric]:
        gateway = self._gateway
        submitted = CounterMetricFamily("plugmesh_runs_submitted", "Runs accepted by this gateway")
        submitted.add_metric([], gateway.runs.submitted)
        yield submitted
        ended = CounterMetricFamily("plugmesh_runs_ended", "Runs seen to end since the start", labels=["state"])
        for state, count in gateway.waiting.ended.items():
            ended.add_metric([state], count)
        yield ended
        yield _gauge("plugmesh_watchers", "Requests that wait for a run, and event streams", len(gateway.waiting))
        instances = GaugeMetricFamily("plugmesh_instances", "Instances by liveness", labels=["liveness"])
        for liveness, count in Counts(gateway.modules.liveness()).items():
            instances.add_metric([liveness], count)
        yield instances
        yield _gauge("plugmesh_modules", "Modules ever seen", len(gateway.modules.names()))
        for name, (text, value) in self._gauges.items():
            yield _gauge(name, text, value())


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text)
    family.add_metric([], value)
    return family
