"""Numbers with the unit that fits: bytes, seconds, rows. Pure."""

from __future__ import annotations

import math
from datetime import datetime

_UNITS = ("B", "KB", "MB", "GB", "TB")
_STEP = 1000
_WHOLE_FROM = 100
"""A number this large has no decimals."""
_SMALL, _HUGE, _DECIMALS = 1, 1e15, 4
_SECOND, _MINUTES_FROM, _MINUTE, _HOUR, _DAY = 1, 120, 60, 3600, 86_400


def bytes_text(number: float | None) -> str:
    """A size, in powers of ten: `1.2 MB`; empty for `None`."""
    if number is None:
        return ""
    size, unit = float(number), 0
    while round(size) >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    decimals = 0 if unit == 0 or size >= _WHOLE_FROM else 1
    return f"{size:,.{decimals}f} {_UNITS[unit]}"


def seconds_text(seconds: float | None) -> str:
    """How long something took: `3 ms`, `1.5 s`, `2 min 5 s`, `3 h 4 min`, `5 d 2 h`; empty for `None`."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < _SECOND:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTES_FROM:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def rows_text(rows: int) -> str:
    """A number of rows."""
    return f"{rows:,} row{'s' if rows != 1 else ''}"


def number_text(value: float | None) -> str:
    """A number of any unit, as short as it can be told."""
    if value is None:
        return ""
    return decimal_text(value, thousands=True)


def decimal_text(value: float, *, thousands: bool = False) -> str:
    """A number to read: four decimals at most, more only where it is small, an exponent only where it is huge."""
    if not math.isfinite(value):
        return str(value)
    if not _SMALL <= abs(value) < _HUGE:
        return "0" if value == 0 else f"{value:.6g}"
    sign = "," if thousands else ""
    return f"{value:{sign}.{_DECIMALS}f}".rstrip("0").rstrip(".")


def percent(done: float, total: float | None) -> int | None:
    """How much of a whole is done, 0 to 100; `None` where the whole is not known."""
    if not total or total <= 0:
        return None
    return int(100 * min(max(done / total, 0.0), 1.0))


def bar(done: float, total: float | None, width: int) -> str:
    """A progress bar of `width` characters; without a whole, dots."""
    part = percent(done, total)
    if part is None:
        return "·" * width
    filled = part * width // 100
    return "█" * filled + "░" * (width - filled)


def clock(at: float | None) -> str:
    """A Unix time as the time of day here, with the date if it is another day."""
    if at is None:
        return ""
    try:
        moment = datetime.fromtimestamp(at).astimezone()
    except (OverflowError, OSError, ValueError):  # no time that a calendar knows
        return f"{at:g}"
    today = datetime.now(moment.tzinfo).date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%Y-%m-%d %H:%M:%S")
