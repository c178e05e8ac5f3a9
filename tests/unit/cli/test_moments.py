"""Moments as people write them."""

from datetime import datetime

import pytest

from plugmesh.cli.display.moments import earlier, later
from plugmesh.errors import ConfigurationError

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("7d", 604_800), ("1.5h", 5400)]
)
def test_a_span_is_counted_from_now(text: str, seconds: float) -> None:
    assert earlier(text, NOW, "--since") == NOW - seconds
    assert later(text, NOW, "--until") == NOW + seconds
    assert later(f"+{text}", NOW, "--deadline") == NOW + seconds


def test_a_day_begins_at_midnight_here_and_a_time_is_today() -> None:
    assert earlier("2026-12-24", NOW, "--since") == datetime(2026, 12, 24).astimezone().timestamp()
    today = datetime.fromtimestamp(NOW).astimezone().replace(hour=18, minute=30, second=0, microsecond=0)
    assert earlier("18:30", NOW, "--since") == today.timestamp()


def test_a_zone_and_a_unix_time_are_understood() -> None:
    assert earlier("2026-12-24T18:30+00:00", NOW, "--since") == 1_798_137_000
    assert earlier("1798137000", NOW, "--since") == 1_798_137_000


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "2026-13-01", "9" * 400])
def test_anything_else_is_an_error_that_shows_how(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--since .* is no time: write a span"):
        earlier(text, NOW, "--since")
