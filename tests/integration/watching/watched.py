"""The alerts and the dashboard as they are delivered, and the names in their queries."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[3]
ALERTS = ROOT / "compose" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "compose" / "grafana" / "dashboards" / "plugmesh.json"
_METRIC = re.compile(r"\bplugmesh_[a-z_]+")
_OF_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


class Query(NamedTuple):
    """Of a panel (`title`)."""

    title: str
    expr: str


def alerts() -> list[dict[str, Any]]:
    """The rules, in their order."""
    groups = YAML(typ="safe").load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[Query]:
    """Those of all panels."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield Query(panel["title"], target["expr"])


def metrics_in(expr: str) -> set[str]:
    """The metrics that a query names, as the reference page does."""
    return {_OF_HISTOGRAM.sub("", name) for name in _METRIC.findall(expr)}
