"""URLs of services: what may be shown of them, and passwords that stand somewhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from plugmesh.errors import ConfigurationError

PASSWORD_FILE = "password_file"  # noqa: S105  the name of an option
"""Option of a URL: the file with the password (or token, or secret key) of its user info."""
_SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "passphrase", "access_key", "api_key")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EVERYBODYS = frozenset({"HOME", "HOSTNAME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TMPDIR", "TZ", "USER"})
_MASK = "***"
QUOTE_IT = "write / ? # @ [ ] of a password as %2F %3F %23 %40 %5B %5D"
"""What to do about a URL that cannot be read because of its password."""


def hidden(url: str) -> str:
    """The URL for people: without user info and without the values of secret options. Never raises."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition(':')[0][:20]}:{_MASK}"
    if not parts.scheme or "://" not in url:
        return _MASK if "@" in url or "=" in url else url
    place = parts.netloc.rpartition("@")[2]
    query = "&".join(_shown(pair) for pair in parts.query.split("&")) if parts.query else ""
    if _is_unclear(url):
        return f"{parts.scheme}://{_MASK}"
    shown = f"{parts.scheme}://{place}{parts.path}"
    return f"{shown}?{query}" if query else shown


def completed(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """The URL with its `${NAME}`s replaced by variables and the password of its `password_file` put in, both quoted.

    Without a user name in the URL the password stands alone (`consul://:token@…`). Raises `ConfigurationError`.
    """
    whole = _VARIABLE.sub(lambda found: quote(_value(found[1], url, environment), safe=""), url)
    try:
        parts = urlsplit(whole)
    except ValueError:  # its text may have a part of the password
        raise ConfigurationError(f"{hidden(url)} cannot be read as a URL: {QUOTE_IT}") from None
    options = parse_qsl(parts.query, keep_blank_values=True)
    files = [value for name, value in options if name == PASSWORD_FILE]
    if not files:
        return whole
    user, _, place = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}:{quote(_in_file(files[-1], url), safe='')}@{place}"
    others = urlencode([(name, value) for name, value in options if name != PASSWORD_FILE], safe="/:,")
    return urlunsplit((parts.scheme, netloc, parts.path, others, ""))


def filled_in(url: str, environment: Mapping[str, str]) -> str:
    """The URL with those of its `${NAME}`s replaced that are set, quoted."""
    return _VARIABLE.sub(
        lambda found: quote(environment[found[1]], safe="") if found[1] in environment else found[0], url
    )


def secret_variables(url: str) -> frozenset[str]:
    """The variables that stand in a URL, and may be secret: all but those that every process has."""
    return frozenset(_VARIABLE.findall(url)) - _EVERYBODYS


def without_option(url: str, name: str) -> str:
    """The URL without one of its options."""
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair and unquote(pair.partition("=")[0]) != name]
    return urlunsplit(parts._replace(query="&".join(kept)))


@contextmanager
def reading(url: str, setting: str) -> Iterator[None]:
    """For what reads the URL of a setting: where it is unclear what belongs to a password, a `ConfigurationError`, which might
    quote a part of it, says that instead."""
    try:
        yield
    except ConfigurationError:
        if not _is_unclear(url):
            raise
        raise ConfigurationError(
            f"the setting `{setting}` ({hidden(url)}) has an @ behind its host: {QUOTE_IT}"
        ) from None


def _is_unclear(url: str) -> bool:
    """An `@` stands where none is expected: a password may have an unquoted `/`, `?` or `#`, and nobody can say where it ends."""
    try:
        return any("@" in part for part in urlsplit(url)[2:])
    except ValueError:
        return True


def _shown(pair: str) -> str:
    name = pair.partition("=")[0]
    word = unquote(name).lower()
    if word != PASSWORD_FILE and any(secret in word for secret in _SECRET_WORDS):
        return f"{name}={_MASK}"
    return pair


def _value(name: str, url: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if value is None:
        raise ConfigurationError(
            f"{hidden(url)} uses the variable {name}, which is not set: set it, or write the value"
        )
    return value


def _in_file(path: str, url: str) -> str:
    try:
        text = Path(path).expanduser().read_text()  # a secret of a container may be readable by all users in it
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(
            f"{hidden(url)}: the password file {path} cannot be read ({why}): give this user the file"
        ) from None
    if not text.strip():
        raise ConfigurationError(f"{hidden(url)}: the password file {path} is empty: put the password into it")
    return text.strip()
