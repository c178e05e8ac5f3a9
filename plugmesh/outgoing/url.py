"""URLs that the client takes. They are parsed here, once: two parsers that disagree are a hole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from plugmesh.errors import ConfigurationError

PORTS = {"http": 80, "https": 443}
LIMIT = 4000
"""Longest URL, in characters."""

_SECRET_CHARACTERS = 16
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?\.?|[0-9a-f:.]{2,45}")
_TARGET = re.compile(r"/[!-~]*")


@dataclass(frozen=True, slots=True)
class Url:
    """An address for a request. `host` is a lower-case ASCII name or address without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """`scheme://host:port`, which may be logged: it holds no secret."""
        standard = PORTS[self.scheme] == self.port
        return f"{self.scheme}://{self.authority if standard else f'{self.bracketed}:{self.port}'}"

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        return self.bracketed if PORTS[self.scheme] == self.port else f"{self.bracketed}:{self.port}"

    @property
    def bracketed(self) -> str:
        """The host as URLs write it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> Url:
    """Read a URL. Raises `ConfigurationError` saying what is wrong with it, without repeating its secrets."""
    if len(text) > LIMIT:
        raise ConfigurationError(f"the address has {len(text)} characters, {LIMIT} are possible")
    if any(character <= " " or character in "\\\x7f" for character in text):
        raise ConfigurationError("the address holds spaces, backslashes or control characters: write them as %20, %5C")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"the address cannot be read ({error}): write https://host/path") from None
    if parts.scheme not in PORTS:
        raise ConfigurationError(f"the address begins with {parts.scheme[:20]!r}: only http and https are called")
    if "@" in parts.netloc:
        raise ConfigurationError("the address holds a user or a password before an @: use a secret part of the path")
    if port == 0:
        raise ConfigurationError("the address names port 0, which nobody can listen on")
    host = _ascii(parts.hostname or "")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = "".join(character if character < "\x7f" else _percent(character) for character in target)
    if not _TARGET.fullmatch(target):
        raise ConfigurationError("the path of the address cannot be sent: percent-encode what is not plain text")
    return Url(parts.scheme, host, PORTS[parts.scheme] if port is None else port, target)


def join_url(base: Url, location: str) -> Url:
    """Where a redirect from `base` leads. Raises `ConfigurationError`."""
    return parse_url(urljoin(str(base), location))


def masked(text: str) -> str:
    """A URL for people who may see it: user, password, the query's values and long words of the path are left out.

    Chat services put the secret of a webhook into its path.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return "(an address that cannot be read)"
    where = parts.netloc.rpartition("@")[2]
    path = "/".join("***" if len(word) >= _SECRET_CHARACTERS else word for word in parts.path.split("/"))
    return f"{parts.scheme}://{where}{path}{'?***' if parts.query else ''}"


def _ascii(host: str) -> str:
    try:
        name = host.encode("ascii" if host.isascii() else "idna").decode().lower().rstrip(".")
    except UnicodeError:
        name = ""
    if not _HOST.fullmatch(name):
        raise ConfigurationError(f"the address has no host that can be called: {host[:60]!r}")
    return name


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
