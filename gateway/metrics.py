"""What `/metrics` shows, in a registry that is passed in: requests counted here, and the figures of every part, read when
somebody looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from plugmesh.figures import Figure, Figures, Latency

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one process: its gateway, and whatever `figures` come from its other parts."""

    def __init__(self, registry: CollectorRegistry, figures: Sequence[Figures]) -> None:
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
        registry.register(_Parts(figures))
        ProcessCollector(namespace="plugmesh", registry=registry)
        GCCollector(registry=registry)

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


class _Parts(Collector):
    def __init__(self, figures: Sequence[Figures]) -> None:
        self._figures = figures

    def describe(self) -> Iterator[Metric]:
        return iter(())  # names are known only when collected

    def collect(self) -> Iterator[Metric]:
        for part in self._figures:
            yield from map(_family, part())


def _family(figure: Figure | Latency) -> Metric:
    if isinstance(figure, Latency):
        family = HistogramMetricFamily(figure.name, figure.text)
        family.add_metric([], list(_buckets(figure)), figure.sum_s)
        return family
    kind = CounterMetricFamily if figure.counter else GaugeMetricFamily
    plain: CounterMetricFamily | GaugeMetricFamily = kind(figure.name, figure.text, labels=figure.labels)
    for labels, value in figure.values.items():
        plain.add_metric(labels, value)
    return plain


def _buckets(latency: Latency) -> Iterable[tuple[str, float]]:
    total = 0
    for bound, count in zip((*latency.bounds, float("inf")), latency.counts, strict=True):
        total += count
        yield "+Inf" if bound == float("inf") else str(bound), total
