"""What a server tells about runs in traces, and what it tells the processes that it starts."""

from __future__ import annotations

import os

from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.telemetry.config import DEFAULT_NAME, ENDPOINT_VARIABLE, NAME_VARIABLE, telemetry_config
from plugmesh.telemetry.open import open_telemetry
from plugmesh.telemetry.port import Telemetry


def server_telemetry(settings: Settings, runtime: Runtime) -> Telemetry:
    """As settings and environment say. Raises `ConfigurationError` for a collector that cannot be used."""
    config = telemetry_config(os.environ, settings.otlp_endpoint, settings.service_name)
    return open_telemetry(config, runtime, lambda: settings.trace_share)


def telemetry_variables(settings: Settings) -> dict[str, str]:
    """For processes that serve modules: they read variables and no settings."""
    told = {}
    if settings.otlp_endpoint:
        told[ENDPOINT_VARIABLE] = settings.otlp_endpoint
    if settings.service_name != DEFAULT_NAME:
        told[NAME_VARIABLE] = settings.service_name
    return told
