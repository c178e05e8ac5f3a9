"""Moments as people write them: `10m` ago, `30d` from now, a day, a time of day. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from plugmesh.errors import ConfigurationError

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?([a-z]+)")
_NUMBER = re.compile(r"\d{9,11}(?:\.\d+)?")


def earlier(text: str, now: float, option: str) -> float:
    """Unix time of `text`; a span is that long before `now`. Raises `ConfigurationError`."""
    return _moment(text, now, -1, option)


def later(text: str, now: float, option: str) -> float:
    """Unix time of `text`; a span (`2h`, or `+2h`) is that long after `now`. Raises `ConfigurationError`."""
    span = text.removeprefix("+")
    return _moment(span if _SPAN.fullmatch(span) else text, now, 1, option)


def _moment(text: str, now: float, sign: int, option: str) -> float:
    span = _SPAN.fullmatch(text)
    if span and span[2] in _UNITS:
        return now + sign * float(span[1]) * _UNITS[span[2]]
    if _NUMBER.fullmatch(text):
        return float(text)
    today = datetime.fromtimestamp(now).astimezone().date().isoformat()
    for candidate in (text, f"{today} {text}"):
        try:
            return datetime.fromisoformat(candidate).astimezone().timestamp()
        except (ValueError, OverflowError):
            continue
    raise ConfigurationError(
        f"{option} {text!r} is no time: write a span (90s, 10m, 2h, 7d), a day (2026-12-24), or a day and a time "
        "(2026-12-24T18:30)"
    )
