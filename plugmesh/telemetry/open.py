"""The driver for a configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec

from plugmesh.errors import ConfigurationError
from plugmesh.runtime import Runtime
from plugmesh.telemetry.config import ENDPOINT_VARIABLE, TelemetryConfig
from plugmesh.telemetry.off import OFF
from plugmesh.telemetry.port import Telemetry

_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_MISSING = "the packages for it are not there: pip install 'plugmesh[otel]'"
_log = logging.getLogger(__name__)


def open_telemetry(
    config: TelemetryConfig, runtime: Runtime, share: Callable[[], float] = lambda: 1.0, *, required: bool = True
) -> Telemetry:
    """What takes this process's spans: those of `share` of all runs (0 to 1), asked for each one.

    Raises `ConfigurationError` if traces are `required`, Plugmesh itself was told to send them, and it cannot.
    """
    if not config.url:
        return OFF
    if not can_trace():
        if required and config.own:
            raise ConfigurationError(f"{ENDPOINT_VARIABLE} is set, and {_MISSING}")
        _log.warning("a collector is named, but no traces are sent from here: %s", _MISSING)
        return OFF
    from plugmesh.telemetry.otlp import OtlpTelemetry  # noqa: PLC0415  a quarter of a second, only where it is used

    return OtlpTelemetry(config, runtime, share)


def can_trace() -> bool:
    """Whether OpenTelemetry's SDK and its exporter are installed."""
    try:
        return all(find_spec(name) is not None for name in _PACKAGES)
    except ModuleNotFoundError:
        return False
