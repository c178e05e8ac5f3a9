"""Settings that every process has, also one that serves modules and reads nothing but variables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from plugmesh.settings.group import Group
from plugmesh.settings.kinds import OPTION, RUN_TIME, Bytes, Collector, Count, read_share

_MIB = 2**20


class Logs(Group):
    """Logs of servers and of processes that serve modules. Those that a server starts are told the same; others read the
    variables."""

    log_level: Annotated[Literal["debug", "info", "warning", "error"], OPTION, RUN_TIME] = "warning"
    """How much is logged."""
    log_format: Annotated[Literal["text", "json"], OPTION] = "text"
    """text: lines for people; json: an object a line, with the ids of run, step, attempt and instance where they are known."""
    log_file: str = ""
    """Log into a file instead of to stderr. Each process has its own: of /var/log/mesh.log the gateway writes
    /var/log/mesh.gateway.log, a second one on that host mesh.gateway-2.log."""
    log_file_bytes: Bytes = 100 * _MIB
    """A log file that becomes larger is put aside, with a number, and a new one begun."""
    log_file_days: Count = 30
    """So is one that was begun so many days ago; and one that was put aside is deleted so long after its last line."""
    log_files: Count = 5
    """Most files of a process that are put aside; the oldest are deleted."""


class Traces(Group):
    """OpenTelemetry. Processes that a server starts are told the same; others read the variables."""

    otlp_endpoint: Collector = ""
    """Collector of traces, as http://host:4318 (OTLP over HTTP). Empty: what OTEL_EXPORTER_OTLP_ENDPOINT says, or none."""
    service_name: Annotated[str, Field(min_length=1, max_length=100)] = "plugmesh"
    """Services are called by this name and what they are: plugmesh-gateway, plugmesh-scheduler, plugmesh-module."""
    trace_share: Annotated[float, BeforeValidator(read_share), Field(ge=0, le=1), RUN_TIME] = 1.0
    """Share of runs that are traced, from 0 to 1. Gateways and schedulers choose the same ones."""
