"""When a failed step is tried again."""

from __future__ import annotations

from plugmesh.contracts.flow import RetryPolicy
from plugmesh.contracts.run import StepError

DEFAULT = RetryPolicy()


def delay_s(policy: RetryPolicy, failures: int, error: StepError, jitter: float) -> float | None:
    """Seconds until the next try after the `failures`-th failure; `None` when there is none.

    Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): the delay is drawn
    evenly from 0 to its ceiling; `jitter` in [0, 1) is the draw.
    """
    if error.error_class not in policy.on or failures >= policy.attempts:
        return None
    ceiling = policy.delay_s
    if policy.backoff == "exponential":
        ceiling = min(policy.max_delay_s, ceiling * 2.0 ** min(failures - 1, 60))
    return ceiling * jitter if policy.jitter else ceiling


def without_time(error: StepError, policy: RetryPolicy) -> StepError:
    """The error of a step for which there would have been another try, but no time."""
    total = "" if policy.total_s is None else f" of {policy.total_s:g} s"
    return error.model_copy(
        update={"message": f"{error.message} (no time for another try: retry.total{total} is over)"}
    )


def left_s(policy: RetryPolicy | None, ready_at: float | None, at: float) -> float | None:
    """Seconds that all tries of a step may still take together (at most 0: none); `None` without such a limit."""
    if policy is None or policy.total_s is None:
        return None
    return (at if ready_at is None else ready_at) + policy.total_s - at
