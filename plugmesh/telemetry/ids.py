"""The ids of a run's trace. They are made from the run's own id, so that nobody keeps them: another scheduler, or the next
one, goes on in the same trace. Pure.

    run            the trace's root span
      submit       of the gateway that took the run
      step         an attempt: one span for each
        execute    of the process that ran the module, and below it the author's own spans
"""

from __future__ import annotations

import re
from hashlib import blake2b

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_WHOLE = 1 << 64


def trace_of(run: str) -> str:
    """The trace of a run: 32 hexadecimal digits."""
    return _digits(16, b"trace", run)


def root_of(run: str) -> str:
    """The id of the span that is the whole run: 16 hexadecimal digits."""
    return _digits(8, b"root", run)


def attempt_span(run: str, step: str, epoch: int) -> str:
    """The id of the span of an attempt."""
    return _digits(8, b"attempt", f"{run}/{step}/{epoch}")


def is_traced(trace: str, share: float) -> bool:
    """Whether a trace is one of the `share` (0 to 1) that are recorded: the same answer everywhere."""
    return share >= 1.0 or int(trace[16:], 16) < share * _WHOLE


def traceparent(trace: str, span: str) -> str:
    """The value of the W3C header `traceparent` of a recorded span."""
    return f"00-{trace}-{span}-01"


def read_traceparent(text: str | None) -> tuple[str, str] | None:
    """Trace and span in such a header, `None` if there are none."""
    found = None if text is None else _TRACEPARENT.fullmatch(text.strip())
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    return None if found[2] == _NO_TRACE or found[3] == _NO_SPAN else (found[2], found[3])


def _digits(size: int, kind: bytes, text: str) -> str:
    return blake2b(text.encode(), digest_size=size, person=kind).hexdigest()
