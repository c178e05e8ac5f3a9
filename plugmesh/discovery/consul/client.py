"""A client of Consul, and its errors in words of the setting that led to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import consul
import consul.exceptions
import requests
from consul import exceptions

from plugmesh.discovery.consul.address import ConsulPlace
from plugmesh.errors import ConfigurationError, NotReachable, PlugmeshError, Unauthorized

_REFUSALS = (exceptions.ClientError, exceptions.BadRequest, exceptions.NotFound)
_NOT_CONSUL = ("Failed to decode JSON", "Missing index header")


def open_client(place: ConsulPlace, timeout_s: float) -> Any:
    """A client for one thread; it connects when it is first used. No answer for `timeout_s` is an error, beyond what a
    blocking query asked to wait."""
    client = consul.Consul(
        host=place.host,
        port=place.port,
        scheme="https" if place.tls else "http",
        verify=place.ca_file or True,
        dc=place.datacenter or None,
        connections_timeout=timeout_s,
    )
    client.token = place.token or None  # not that of an environment variable, which would win
    client.http.session.trust_env = False  # no proxies, no .netrc: the agent is near, and settings say all
    return client


@contextmanager
def in_our_words(place: ConsulPlace) -> Iterator[None]:
    """Raises `Unauthorized`, `ConfigurationError` or `NotReachable` instead of what the libraries raise."""
    try:
        yield
    except (consul.ConsulException, requests.RequestException) as error:
        raise _translated(error, place) from None  # its text may hold what was sent


def _translated(error: Exception, place: ConsulPlace) -> PlugmeshError:
    said = " ".join(str(error).split())[:200]
    if isinstance(error, consul.ACLPermissionDenied | consul.ACLDisabled):
        return Unauthorized(
            f"{place} refuses the token of the setting `discovery` ({said}): it must be known there, and may need "
            f"service:write and service:read for plugmesh, key:write below plugmesh/{place.mesh}/, session:write, node:read"
        )
    wrong = _wrong_setting(error, said, place)
    if wrong is not None:
        return ConfigurationError(wrong)
    if isinstance(error, requests.RequestException):
        return NotReachable(f"{place} (setting `discovery`) does not answer: {_reason(error)}")
    return NotReachable(f"{place} (setting `discovery`) cannot do it now: {said}")


def _wrong_setting(error: Exception, said: str, place: ConsulPlace) -> str | None:
    if isinstance(error, requests.exceptions.SSLError):
        return (
            f"no safe connection to {place}: look at tls and ca_file in the setting `discovery` ({_tls_reason(said)})"
        )
    if "Invalid URL" in said or "Failed to parse" in said:
        return f"{place} is no address: look at host and port in the setting `discovery`"
    if "No path to datacenter" in said:
        return f"{place} knows no datacenter {place.datacenter!r}: see the setting `discovery`"
    if "HTTP request to an HTTPS server" in said:
        return f"{place} wants TLS: add tls=true to the setting `discovery`"
    if said.startswith(_NOT_CONSUL) or isinstance(error, _REFUSALS):
        at = f"{place.host}:{place.port}"
        return f"what answers at {at} is no Consul that understands us: look at the setting `discovery` ({said})"
    return None


def _reason(error: requests.RequestException) -> str:
    """The system's own words, without the address and the path that the libraries wrap around them."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        inner = cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else None
        cause = inner or getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
    return "the connection broke"


def _tls_reason(said: str) -> str:
    return said[said.find("[SSL") :][:120] if "[SSL" in said else "the handshake failed"
