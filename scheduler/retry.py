"""When a failed step is tried again."""

from __future__ import annotations

from plugmesh.contracts.flow import RetryPolicy
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass

DEFAULT = RetryPolicy()
_RETRIED = frozenset({ErrorClass.TRANSIENT, ErrorClass.CONNECTION})


def delay_s(policy: RetryPolicy, failures: int, error: StepError, jitter: float) -> float | None:
    """Seconds until the next try after the `failures`-th failure; `None` when there is none.

    Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): the delay is drawn
    evenly from 0 to the capped exponential; `jitter` in [0, 1) is the draw.
    """
    if error.error_class not in _RETRIED or failures >= policy.attempts:
        return None
    ceiling = min(policy.max_delay_s, policy.delay_s * 2.0 ** min(failures - 1, 60))
    return ceiling * jitter
