"""Where traces go: settings, or the variables that every program with OpenTelemetry understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from plugmesh.errors import ConfigurationError

ENDPOINT_VARIABLE = "PLUGMESH_OTLP_ENDPOINT"
NAME_VARIABLE = "PLUGMESH_SERVICE_NAME"
HEADER_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""They may hold a key of the collector's."""
_STANDARD, _STANDARD_TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PATH = "/v1/traces"
DEFAULT_NAME = "plugmesh"


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """`url` takes the traces (empty: none are made); `name` begins the names of services; `headers` go with each request, as
    `NAME=VALUE,…` (empty: those of the environment). `own`: Plugmesh was told so itself, and not all programs here."""

    url: str = ""
    name: str = DEFAULT_NAME
    headers: str = field(default="", repr=False)
    own: bool = False


def telemetry_config(
    environment: Mapping[str, str], endpoint: str = "", name: str = "", headers: str = ""
) -> TelemetryConfig:
    """What `endpoint` and `name` say, or else the environment: Plugmesh's own variables before those of OpenTelemetry.

    Raises `ConfigurationError` for an address that is none.
    """
    own = endpoint or environment.get(ENDPOINT_VARIABLE, "")
    name = name or environment.get(NAME_VARIABLE, "") or DEFAULT_NAME
    if own:
        return TelemetryConfig(check_endpoint(own, ENDPOINT_VARIABLE).rstrip("/") + _PATH, name, headers, own=True)
    if _is_off(environment):
        return TelemetryConfig(name=name)
    if whole := environment.get(_STANDARD_TRACES, ""):
        return TelemetryConfig(check_endpoint(whole, _STANDARD_TRACES), name, headers)
    if base := environment.get(_STANDARD, ""):
        return TelemetryConfig(check_endpoint(base, _STANDARD).rstrip("/") + _PATH, name, headers)
    return TelemetryConfig(name=name)


def check_endpoint(url: str, where: str) -> str:
    """The address of a collector. Raises `ConfigurationError`; what may be a password is not in it."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ConfigurationError(f"{where} is no address of a collector: write http://host:4318")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{where} holds more than an address: credentials go into OTEL_EXPORTER_OTLP_HEADERS, which is never shown"
        )
    return url.strip()


def _is_off(environment: Mapping[str, str]) -> bool:
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
