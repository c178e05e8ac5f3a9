"""What the URL of a Kafka bus says: `kafka://[user:password@]host:port[,host:port]/PREFIX?options`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from plugmesh.contracts.messages import DISPATCH, EVENTS, RESULTS, RUNS
from plugmesh.errors import ConfigurationError
from plugmesh.urls import completed, hidden, reading

PREFIX = "plugmesh"
PORT = 9092
RETENTION_S: Mapping[str, int] = MappingProxyType(
    {RUNS: 7 * 86_400, RESULTS: 7 * 86_400, DISPATCH: 3_600, EVENTS: 3_600}
)
"""How long a topic keeps a message unless the URL says otherwise."""
MECHANISMS: Mapping[str, str] = MappingProxyType(
    {"sasl_plain": "PLAIN", "scram_sha_256": "SCRAM-SHA-256", "scram_sha_512": "SCRAM-SHA-512"}
)
SECURITY = ("plaintext", "tls", *MECHANISMS)
_RETENTION = {f"retention_{topic}_s": topic for topic in RETENTION_S}
_OPTIONS = ("security", "tls", "ca_file", "cert_file", "key_file", "replication", *_RETENTION)
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True)
class KafkaUrl:
    """Where the brokers are, how to log in, and what the topics are like. `shown` is the URL without secrets."""

    shown: str
    hosts: tuple[tuple[str, int], ...]
    prefix: str
    tls: ssl.SSLContext | None = field(repr=False)
    mechanism: str | None
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    replication: int
    retention_s: Mapping[str, int]

    @classmethod
    def parse(cls, url: str) -> KafkaUrl:
        """Read `url`, and the files that it names. Raises `ConfigurationError`."""
        with reading(url, "bus"):
            return cls._parsed(url)

    @classmethod
    def _parsed(cls, url: str) -> KafkaUrl:
        parts = urlsplit(completed(url))
        login, _, place = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        problem = _Problem(hidden(url))
        options = _options(parts.query, problem)
        security = _security(options, login, problem)
        return cls(
            shown=hidden(url),
            hosts=_hosts(place, problem),
            prefix=_prefix(parts.path, problem),
            tls=_tls(options, security, problem),
            mechanism=MECHANISMS.get(security),
            user=unquote(user) or None,
            password=unquote(password) or None,
            replication=_number(options, "replication", 1, problem),
            retention_s={
                topic: _number(options, name, RETENTION_S[topic], problem) for name, topic in _RETENTION.items()
            },
        )

    def client_options(self) -> dict[str, Any]:
        """What aiokafka's clients and connections are told about security."""
        protocol = f"{'SASL_' if self.mechanism else ''}{'SSL' if self.tls else 'PLAINTEXT'}"
        options: dict[str, Any] = {"security_protocol": protocol, "ssl_context": self.tls}
        if self.mechanism:
            options |= {"sasl_mechanism": self.mechanism}
            options |= {"sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return options

    def topic(self, name: str) -> str:
        """What the topic `name` of the mesh is called on the broker."""
        return f"{self.prefix}.{name}"


class _Problem:
    """Makes the error of one URL: it names the setting, and shows the URL without secrets."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __call__(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"the setting `bus` ({self._shown}): {what}")


def _options(query: str, problem: _Problem) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            raise problem(f"there is no option {name!r}; known are {', '.join(_OPTIONS)} and password_file")
    return options


def _hosts(place: str, problem: _Problem) -> tuple[tuple[str, int], ...]:
    found = []
    for text in filter(None, place.split(",")):
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        host = (host if colon else text).strip("[]")
        if not host or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)):
            raise problem(f"{text!r} is no host:port; write kafka://host:{PORT}/{PREFIX}")
        found.append((host, int(port) if colon else PORT))
    if not found:
        raise problem(f"it names no broker; write kafka://host:{PORT}/{PREFIX}")
    return tuple(found)


def _prefix(path: str, problem: _Problem) -> str:
    prefix = unquote(path).strip("/") or PREFIX
    if not _PREFIX.fullmatch(prefix):
        raise problem(f"the prefix {prefix!r} cannot begin the name of a topic: use letters, digits, '.', '_' and '-'")
    return prefix


def _security(options: Mapping[str, str], login: str, problem: _Problem) -> str:
    security = options.get("security", "" if login else "plaintext")
    if security not in SECURITY:
        what = f"security={security!r} is not known" if security else "it has a user, but no option `security`"
        raise problem(f"{what}: use one of {', '.join(SECURITY)}")
    if security in MECHANISMS and not all(login.partition(":")[::2]):
        raise problem(f"security={security} needs a user and a password: write kafka://user:password@host:{PORT}/…")
    if security not in MECHANISMS and login:
        raise problem(
            f"security={security} takes no user: add security=sasl_plain or another of {', '.join(MECHANISMS)}"
        )
    return security


def _tls(options: Mapping[str, str], security: str, problem: _Problem) -> ssl.SSLContext | None:
    wanted = options.get("tls", "false" if security == "plaintext" else "true")
    if wanted not in {"true", "false"} or (security == "plaintext" and wanted == "true"):
        raise problem(
            f"tls={wanted!r} does not go with security={security}: use security=tls, or tls=false with a login"
        )
    if wanted == "false" or security == "plaintext":
        if security == "tls":
            raise problem("security=tls with tls=false contradict each other: leave one of them out")
        return None
    try:
        context = ssl.create_default_context(cafile=options.get("ca_file"))
        if "cert_file" in options:
            context.load_cert_chain(options["cert_file"], options.get("key_file"))
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise problem(f"ca_file, cert_file or key_file cannot be used ({error}): give the paths of PEM files") from None
    return context


def _number(options: Mapping[str, str], name: str, default: int, problem: _Problem) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**40):
        raise problem(f"{name}={text!r} is no whole number from 1 on")
    return int(text)
