"""What the dashboard for Grafana shows: rows of drawings, each with its queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Panel(NamedTuple):
    """A drawing: what it shows, in which unit of Grafana, and the queries with their legends."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    text: str = ""


def rate(metric: str, by: str = "", labels: str = "") -> str:
    """What a counter rises by in a second, of all processes together, or for each value of `by`."""
    clause = f" by ({by})" if by else ""
    return f"sum{clause} (rate({metric}{labels}[$__rate_interval]))"


def quantile(share: float, histogram: str) -> str:
    """The time that this share of all observations does not exceed."""
    return f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket[$__rate_interval])))"


def median_and_most(histogram: str) -> Sequence[tuple[str, str]]:
    """Two lines of a histogram."""
    return [(quantile(0.5, histogram), "half"), (quantile(0.99, histogram), "99 of 100")]


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Work",
        (
            Panel("Open runs", "short", [("sum by (state) (plugmesh_engine_runs)", "{{state}}")]),
            Panel("Runs that ended", "ops", [(rate("plugmesh_engine_runs_ended_total", "state"), "{{state}}")]),
            Panel("Runs submitted", "ops", [(rate("plugmesh_runs_submitted_total"), "submitted")]),
            Panel(
                "Steps",
                "short",
                [
                    ("sum(plugmesh_engine_leases)", "at work"),
                    ("sum(plugmesh_engine_ready)", "in line"),
                    ("sum(plugmesh_engine_parked)", "parked"),
                ],
                "Parked: nobody serves the module. In line: all who do are busy.",
            ),
            Panel("Oldest step in line", "s", [("max(plugmesh_engine_ready_age_seconds)", "waits")]),
            Panel(
                "Attempts sent again or given up",
                "ops",
                [(rate("plugmesh_engine_retried_total"), "again"), (rate("plugmesh_engine_lost_total"), "given up")],
            ),
            Panel("Dead letters in an hour", "short", [("sum(increase(plugmesh_dead_letters_total[1h]))", "letters")]),
            Panel("Time of a scheduler's cycle", "s", median_and_most("plugmesh_engine_cycle_seconds")),
            Panel("Shards", "short", [("sum by (instance) (plugmesh_engine_shards)", "{{instance}}")]),
        ),
    ),
    (
        "Modules",
        (
            Panel("Steps done", "ops", [(rate("plugmesh_attempts_total", "module", '{outcome="done"}'), "{{module}}")]),
            Panel(
                "Steps failed", "ops", [(rate("plugmesh_attempts_total", "module", '{outcome="failed"}'), "{{module}}")]
            ),
            Panel(
                "Time of a step",
                "s",
                [
                    (
                        f"{rate('plugmesh_attempt_seconds_total', 'module')} / {rate('plugmesh_attempts_total', 'module')}",
                        "{{module}}",
                    )
                ],
            ),
            Panel(
                "CPU",
                "none",
                [(rate("plugmesh_attempt_cpu_seconds_total", "module"), "{{module}}")],
                "Processors in use.",
            ),
            Panel("Columns read", "Bps", [(rate("plugmesh_attempt_read_bytes_total", "module"), "{{module}}")]),
            Panel("Columns written", "Bps", [(rate("plugmesh_attempt_written_bytes_total", "module"), "{{module}}")]),
            Panel(
                "S3: bytes for steps",
                "Bps",
                [
                    (rate("plugmesh_attempt_fetched_bytes_total", "module"), "fetched, {{module}}"),
                    (rate("plugmesh_attempt_cache_hit_bytes_total", "module"), "from the cache, {{module}}"),
                ],
            ),
            Panel(
                "S3: requests for steps",
                "ops",
                [
                    (rate("plugmesh_attempt_object_requests_total", "module"), "{{module}}"),
                    (rate("plugmesh_attempt_object_retries_total", "module"), "made again, {{module}}"),
                ],
            ),
            Panel("Instances", "short", [("max by (liveness) (plugmesh_instances)", "{{liveness}}")]),
            Panel(
                "Slots",
                "short",
                [("max(plugmesh_slots)", "there"), ("sum(plugmesh_engine_leases)", "attempts sent out")],
            ),
            Panel("Longest silence of an instance", "s", [("max(plugmesh_discovery_beat_age_seconds)", "silent")]),
        ),
    ),
    (
        "Processes and services",
        (
            Panel("Processes that answer", "short", [('sum by (role) (up{job="plugmesh"})', "{{role}}")]),
            Panel("Versions", "short", [("count by (version) (plugmesh_info)", "{{version}}")]),
            Panel(
                "CPU",
                "none",
                [(rate("plugmesh_process_cpu_seconds_total", "instance"), "{{instance}}")],
                "Processors in use.",
            ),
            Panel("Memory", "bytes", [("plugmesh_process_resident_memory_bytes", "{{instance}}")]),
            Panel(
                "Open files", "percentunit", [("plugmesh_process_open_fds / plugmesh_process_max_fds", "{{instance}}")]
            ),
            Panel(
                "Clock",
                "s",
                [("plugmesh_clock_seconds - timestamp(plugmesh_clock_seconds)", "{{instance}}")],
                "How far it is ahead of Prometheus.",
            ),
            Panel(
                "Outages of now",
                "s",
                [
                    (f"max by (instance) (plugmesh_{port}_outage_seconds)", f"{name}, {{{{instance}}}}")
                    for port, name in (
                        ("bus", "Kafka"),
                        ("objects", "S3"),
                        ("discovery", "Consul"),
                        ("state", "database"),
                    )
                ],
                "How long a service has not answered a process; 0 while it does.",
            ),
            Panel(
                "Calls without an answer",
                "ops",
                [
                    (rate(f"plugmesh_{port}_failures_total"), name)
                    for port, name in (
                        ("bus", "Kafka"),
                        ("objects", "S3"),
                        ("discovery", "Consul"),
                        ("state", "database"),
                    )
                ],
            ),
            Panel(
                "Free on disks",
                "bytes",
                [
                    ("plugmesh_objects_disk_free_bytes", "objects, {{instance}}"),
                    ("plugmesh_state_disk_free_bytes", "database, {{instance}}"),
                    ("plugmesh_objects_cache_disk_free_bytes", "cache, {{instance}}"),
                ],
            ),
        ),
    ),
    (
        "Bus and registry",
        (
            Panel("Messages published", "ops", [(rate("plugmesh_bus_messages_total", "topic"), "{{topic}}")]),
            Panel("Messages handed to readers", "ops", [(rate("plugmesh_bus_delivered_total", "topic"), "{{topic}}")]),
            Panel("Bytes published", "Bps", [(rate("plugmesh_bus_bytes_total", "topic"), "{{topic}}")]),
            Panel("Kafka: messages not read yet", "short", [("sum by (topic) (plugmesh_bus_lag)", "{{topic}}")]),
            Panel("Kafka: messages not sent yet", "short", [("sum by (topic) (plugmesh_bus_waiting)", "{{topic}}")]),
            Panel(
                "Kafka: dropped, and clients replaced",
                "ops",
                [
                    (rate("plugmesh_bus_dropped_total"), "messages dropped"),
                    (rate("plugmesh_bus_renewed_total", "client"), "{{client}} replaced"),
                ],
            ),
            Panel("Embedded bus: not committed yet", "short", [("sum by (topic) (plugmesh_bus_backlog)", "{{topic}}")]),
            Panel("Embedded bus: time to a commit", "s", median_and_most("plugmesh_bus_commit_seconds")),
            Panel("Calls of discovery", "ops", [(rate("plugmesh_discovery_calls_total", "call"), "{{call}}")]),
        ),
    ),
    (
        "Objects",
        (
            Panel(
                "Calls of the object store",
                "ops",
                [(rate("plugmesh_objects_operations_total", "operation"), "{{operation}}")],
            ),
            Panel("Bytes of servers", "Bps", [(rate("plugmesh_objects_bytes_total", "direction"), "{{direction}}")]),
            Panel("Time of a read", "s", median_and_most("plugmesh_objects_read_seconds")),
            Panel(
                "S3: requests",
                "ops",
                [
                    (rate("plugmesh_objects_requests_total"), "all"),
                    (rate("plugmesh_objects_retries_total"), "made again"),
                ],
            ),
            Panel(
                "S3: bytes",
                "Bps",
                [
                    (rate("plugmesh_objects_fetched_bytes_total"), "fetched"),
                    (rate("plugmesh_objects_sent_bytes_total"), "sent"),
                    (rate("plugmesh_objects_cache_hit_bytes_total"), "from the cache"),
                ],
            ),
            Panel(
                "S3: cache of the host",
                "percentunit",
                [
                    (
                        "sum(plugmesh_objects_cache_hits_total) / "
                        "(sum(plugmesh_objects_cache_hits_total) + sum(plugmesh_objects_cache_misses_total))",
                        "reads answered by it",
                    ),
                    (
                        "max by (instance) (plugmesh_objects_cache_bytes / plugmesh_objects_cache_limit_bytes)",
                        "full, {{instance}}",
                    ),
                ],
            ),
        ),
    ),
    (
        "Database",
        (
            Panel("Time of a commit", "s", median_and_most("plugmesh_state_commit_seconds")),
            Panel(
                "Commits, rows, questions",
                "ops",
                [
                    (rate("plugmesh_engine_commits_total"), "commits"),
                    (rate("plugmesh_state_rows_total"), "rows"),
                    (rate("plugmesh_state_reads_total"), "questions"),
                ],
            ),
            Panel(
                "In line for the database",
                "short",
                [
                    ("sum by (thread) (plugmesh_state_waiting)", "{{thread}}"),
                    (rate("plugmesh_state_retries_total"), "run again"),
                ],
            ),
        ),
    ),
    (
        "Gateway and upkeep",
        (
            Panel("Requests", "ops", [(rate("plugmesh_http_requests_total", "status"), "{{status}}")]),
            Panel("Time of a request", "s", median_and_most("plugmesh_http_request_seconds")),
            Panel(
                "Who waits for an answer",
                "short",
                [("sum(plugmesh_long_polls)", "for a run's end"), ("sum(plugmesh_feed_clients)", "for the feed")],
            ),
            Panel(
                "Webhooks",
                "short",
                [
                    ("sum(plugmesh_webhook_waiting)", "waiting"),
                    ("sum by (state) (increase(plugmesh_webhook_ended_total[1h]))", "{{state}} in an hour"),
                ],
            ),
            Panel("Swept", "Bps", [(rate("plugmesh_sweeper_bytes_total"), "deleted")]),
            Panel("Objects that could not be deleted", "short", [("sum(plugmesh_sweeper_stuck_objects)", "stuck")]),
        ),
    ),
)
