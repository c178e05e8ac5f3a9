"""Each alert fires when it should, by `promtool test rules` of a real Prometheus, and none does on a calm mesh."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.integration.watching.watched import ALERTS, alerts

Series = Mapping[str, str]
CALM: Series = {
    'up{job="plugmesh", instance="a"}': "1x90",
    'plugmesh_engine_shards{instance="a"}': "16x90",
    'plugmesh_engine_shards{instance="b"}': "16x90",
    'plugmesh_engine_runs{instance="a", state="running"}': "3x90",
    'plugmesh_engine_leases{instance="a"}': "2x90",
    'plugmesh_engine_parked{instance="a"}': "0x90",
    'plugmesh_engine_commits_total{instance="a"}': "0+50x90",
    'plugmesh_engine_ready_age_seconds{instance="a"}': "2x90",
    'plugmesh_engine_runs_ended_total{instance="a", state="succeeded"}': "0+5x90",
    'plugmesh_engine_runs_ended_total{instance="a", state="failed"}': "0+0x45 1x45",
    'plugmesh_dead_letters_total{instance="a"}': "7x90",
    'plugmesh_slots{instance="a"}': "4x90",
    'plugmesh_instances{instance="a", liveness="alive"}': "2x90",
    'plugmesh_engine_lost_total{instance="a"}': "1x90",
    'plugmesh_engine_quarantines_total{instance="a"}': "1x90",
    **{
        f'plugmesh_{port}_outage_seconds{{instance="a"}}': "0 5 0x88"
        for port in ("bus", "objects", "discovery", "state")
    },
    'plugmesh_bus_lag{instance="a", topic="results"}': "3x90",
    'plugmesh_bus_dropped_total{instance="a"}': "5x90",
    'plugmesh_objects_requests_total{instance="a"}': "0+100x90",
    'plugmesh_objects_retries_total{instance="a"}': "0+1x90",
    'plugmesh_state_commit_seconds_bucket{instance="a", le="0.1"}': "0+50x90",
    'plugmesh_state_commit_seconds_bucket{instance="a", le="2.5"}': "0+50x90",
    'plugmesh_state_commit_seconds_bucket{instance="a", le="+Inf"}': "0+50x90",
    'plugmesh_webhook_ended_total{instance="a", state="failed"}': "2x90",
    'plugmesh_state_disk_free_bytes{instance="a"}': "90000000000x90",
    'plugmesh_objects_disk_free_bytes{instance="a"}': "90000000000x90",
    'plugmesh_clock_seconds{instance="a"}': "1+60x90",
    'plugmesh_process_open_fds{instance="a"}': "100x90",
    'plugmesh_process_max_fds{instance="a"}': "1024x90",
    'plugmesh_sweeper_failures_total{instance="a"}': "1x90",
    'plugmesh_sweeper_stuck_objects{instance="a"}': "0x90",
    'plugmesh_http_requests_total{instance="a", status="503"}': "4x90",
    'plugmesh_info{instance="a", version="2"}': "1x90",
}
"""A mesh on which all is well: one sample a minute. The clock of a test begins at 0."""

FAULTS: Mapping[str, tuple[str, Series]] = {
    "PlugmeshProcessDown": ("3m", {'up{job="plugmesh", instance="a"}': "1 0x90"}),
    "PlugmeshShardsUnowned": ("3m", {'plugmesh_engine_shards{instance="b"}': "16 stale _x90"}),
    "PlugmeshRunsStandStill": (
        "30m",
        {'plugmesh_engine_leases{instance="a"}': "0x90", 'plugmesh_engine_commits_total{instance="a"}': "50x90"},
    ),
    "PlugmeshStepsWait": ("10m", {'plugmesh_engine_ready_age_seconds{instance="a"}': "1000+60x90"}),
    "PlugmeshStepsParked": ("15m", {'plugmesh_engine_parked{instance="a"}': "2x90"}),
    "PlugmeshRunsFail": ("45m", {'plugmesh_engine_runs_ended_total{instance="a", state="failed"}': "0+2x90"}),
    "PlugmeshDeadLettersGrow": ("10m", {'plugmesh_dead_letters_total{instance="a"}': "7 7 7 8x80"}),
    "PlugmeshNoInstance": ("10m", {'plugmesh_slots{instance="a"}': "0x90"}),
    "PlugmeshInstanceSilent": ("5m", {'plugmesh_instances{instance="a", liveness="suspect"}': "_ 1x90"}),
    "PlugmeshAttemptsLost": ("10m", {'plugmesh_engine_lost_total{instance="a"}': "1+1x90"}),
    "PlugmeshQuarantine": ("10m", {'plugmesh_engine_quarantines_total{instance="a"}': "1 1 1 2x90"}),
    "PlugmeshBusAway": ("3m", {'plugmesh_bus_outage_seconds{instance="a"}': "0+60x90"}),
    "PlugmeshBusBehind": ("10m", {'plugmesh_bus_lag{instance="a", topic="results"}': "5000x90"}),
    "PlugmeshBusDrops": ("10m", {'plugmesh_bus_dropped_total{instance="a"}': "5+3x90"}),
    "PlugmeshObjectsAway": ("3m", {'plugmesh_objects_outage_seconds{instance="a"}': "0+60x90"}),
    "PlugmeshObjectsRetries": ("30m", {'plugmesh_objects_retries_total{instance="a"}': "0+30x90"}),
    "PlugmeshRegistryAway": ("3m", {'plugmesh_discovery_outage_seconds{instance="a"}': "0+60x90"}),
    "PlugmeshStateAway": ("3m", {'plugmesh_state_outage_seconds{instance="a"}': "0+60x90"}),
    "PlugmeshStateSlow": ("30m", {'plugmesh_state_commit_seconds_bucket{instance="a", le="0.1"}': "0+10x90"}),
    "PlugmeshWebhooksFail": ("10m", {'plugmesh_webhook_ended_total{instance="a", state="failed"}': "2 2 3x90"}),
    "PlugmeshDiskNearlyFull": ("10m", {'plugmesh_state_disk_free_bytes{instance="a"}': "1000000000x90"}),
    "PlugmeshDiskFull": ("5m", {'plugmesh_objects_cache_disk_free_bytes{instance="a"}': "100000000x90"}),
    "PlugmeshClockSkew": ("5m", {'plugmesh_clock_seconds{instance="a"}': "9+60x90"}),
    "PlugmeshFilesNearlyOut": ("10m", {'plugmesh_process_open_fds{instance="a"}': "1000x90"}),
    "PlugmeshSweepFails": ("80m", {'plugmesh_sweeper_stuck_objects{instance="a"}': "3x90"}),
    "PlugmeshServerErrors": ("15m", {'plugmesh_http_requests_total{instance="a", status="503"}': "0+5x90"}),
    "PlugmeshVersionsMixed": ("1500m", {'plugmesh_info{instance="b", version="1"}': "1x1510"}),
}
"""What makes an alert fire, beside the rest of a calm mesh, and when it must."""


def judged(folder: Path, at: str, series: Series, names: Sequence[str]) -> tuple[bool, str]:
    """Whether none of these alerts fires at that time, and what promtool says of those that do."""
    (folder / "alerts.yml").write_text(ALERTS.read_text())
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"alertname": name, "eval_time": at, "exp_alerts": []} for name in names],
    }
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [test]}))
    promtool = shutil.which("promtool")
    assert promtool is not None
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_fault() -> None:
    assert set(FAULTS) == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("at", ["5m", "30m", "80m"])
def test_a_calm_mesh_raises_no_alert(prometheus_url: str, tmp_path: Path, at: str) -> None:
    calm, said = judged(tmp_path, at, CALM, list(FAULTS))
    assert calm, said


@pytest.mark.parametrize("alert", FAULTS)
def test_an_alert_fires_and_its_words_are_whole(prometheus_url: str, tmp_path: Path, alert: str) -> None:
    at, fault = FAULTS[alert]
    length = int(at.removesuffix("m")) + 10
    longer = {name: values.replace("x90", f"x{length}") for name, values in {**CALM, **fault}.items()}
    calm, said = judged(tmp_path, at, longer, [alert])
    assert not calm, f"{alert} does not fire at {at}"
    assert re.search(rf"alertname:\s*{alert}\b", said), said
    assert "summary=" in said
    assert "error expanding" not in said
    assert "no value" not in said


def test_prometheus_takes_its_settings_and_asks_processes_that_compose_starts(
    prometheus_url: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a")
    settings = (ALERTS.parent / "prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(settings.replace("/run/secrets/mesh-token", str(tmp_path / "token")))
    (tmp_path / "alerts.yml").write_text(ALERTS.read_text())
    promtool = shutil.which("promtool")
    assert promtool is not None
    done = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    services = YAML(typ="safe").load((ALERTS.parents[1] / "mesh.yml").read_text())["services"]
    (job,) = YAML(typ="safe").load(settings)["scrape_configs"]
    asked = {target.partition(":")[0] for group in job["static_configs"] for target in group["targets"]}
    assert asked == {name for name in services if name == "gateway" or name.startswith("scheduler-")}
