"""What becomes of a webhook after a try. Pure: the clock and the randomness come with the call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from plugmesh.state.notifications import DELIVERED, FAILED, StoredNotification

FIRST_DELAY_S = 5.0
GROWTH = 4.0
MOST_DELAY_S = 4 * 3600.0
"""5 s, 20 s, 80 s, … 4 h: twelve tries take about a day."""
JITTER = 0.2
MOST_RETRY_AFTER_S = 86_400.0

_TRY_AGAIN = frozenset({408, 425, 429})
_ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a try met: an answer's status, or an error. `hopeless`: no other try would end differently."""

    status: int | None = None
    error: str | None = None
    hopeless: bool = False
    retry_after: str | None = None


def judge(row: StoredNotification, outcome: Outcome, *, attempts: int, now: float, jitter: float) -> StoredNotification:
    """The row after a try. `attempts` is the most there may be; `jitter` is drawn from 0 to 1."""
    tried = replace(row, attempts=row.attempts + 1, status=outcome.status, error=_error(outcome))
    if outcome.status is not None and 200 <= outcome.status < 300:
        return replace(tried, state=DELIVERED, next_at=None, ended_at=now)
    if _hopeless(outcome) or tried.attempts >= attempts:
        return replace(tried, state=FAILED, next_at=None, ended_at=now)
    asked = wanted_delay(outcome.retry_after, now)
    return replace(tried, next_at=now + max(asked, delay(tried.attempts, jitter)))


def delay(attempts: int, jitter: float) -> float:
    """Seconds to wait after so many tries."""
    most = min(MOST_DELAY_S, FIRST_DELAY_S * GROWTH ** min(attempts - 1, 20))
    return most * (1 - JITTER + 2 * JITTER * jitter)


def wanted_delay(retry_after: str | None, now: float) -> float:
    """What a `Retry-After` header asks for, in seconds: a number, or a date. 0 if it asks for nothing that is read."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), MOST_RETRY_AFTER_S)
    try:
        wanted = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, wanted), MOST_RETRY_AFTER_S)


def _hopeless(outcome: Outcome) -> bool:
    """A client's error stays one; redirects are not followed, because they would take the signed body elsewhere."""
    status = outcome.status
    return outcome.hopeless or (status is not None and status < 500 and status not in _TRY_AGAIN)


def _error(outcome: Outcome) -> str | None:
    if outcome.error is not None:
        return outcome.error[:_ERROR_CHARACTERS]
    if outcome.status is None or 200 <= outcome.status < 300:
        return None
    if 300 <= outcome.status < 400:
        return f"answered with {outcome.status}: redirects are not followed; name the final address"
    return f"answered with {outcome.status}"
