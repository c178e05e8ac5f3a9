"""Failed attempts are repeated as often, and as late, as the step's policy says.

This is reckoned here once more and not asked of `scheduler.retry`, whose mistakes it is to find.
"""

from __future__ import annotations

from collections.abc import Iterator

from plugmesh.contracts.flow import RetryPolicy
from plugmesh.contracts.run import AttemptState, StepState
from plugmesh.errors import ErrorClass
from scheduler.changes import AttemptChange, StepChange
from scheduler.invariants.history import Past, Rule, Say, Seen
from scheduler.plan import PlanNode
from scheduler.retry import DEFAULT

ROUNDING_S = 0.001
_TRIED = frozenset({StepState.WAITING, StepState.ASSIGNED})
_AFTER_FAILURE = frozenset({StepState.WAITING, StepState.FAILED})


class Retries(Rule):
    """See the module's text."""

    def __init__(self, past: Past, say: Say) -> None:
        super().__init__(past, say)
        self._failed: dict[str, tuple[int, ErrorClass]] = {}

    def attempt_changed(self, seq: int, change: AttemptChange) -> None:
        if change.state is AttemptState.FAILED and change.error is not None:
            self._failed[change.step] = change.epoch, change.error.error_class

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        before = self.past.step(change.step)
        policy = node.node.retry or DEFAULT
        for text in self._wrong(change, before, policy):
            self.say("retries", f"{text} (event {seq})", change.step)
        if change.state is not StepState.WAITING:
            self._failed.pop(change.step, None)

    def _wrong(self, change: StepChange, before: Seen, policy: RetryPolicy) -> Iterator[str]:
        if change.failures > policy.attempts:
            yield f"it has failed {change.failures} times, its policy allows {policy.attempts} tries"
        if change.failures > before.failures:
            if change.failures != before.failures + 1 or change.state not in _AFTER_FAILURE:
                yield f"its failures went from {before.failures} to {change.failures} as it became {change.state}"
            elif change.state is StepState.WAITING:
                yield from self._wrong_wait(change, policy)
        yield from _wrong_time(change, before, policy)

    def _wrong_wait(self, change: StepChange, policy: RetryPolicy) -> Iterator[str]:
        if change.failures >= policy.attempts:
            yield f"it is to be tried again after {change.failures} failures, its policy allows {policy.attempts} tries"
        epoch, error_class = self._failed.get(change.step, (0, None))
        if epoch == change.epoch and error_class is not None and error_class not in policy.on:
            yield f"it is to be tried again after an error of the class {error_class}, which its policy does not repeat"
        if change.wake_at is None:
            return  # said by whoever looks at progress
        shortest, longest = wait_s(policy, change.failures)
        waits = change.wake_at - change.at
        if not shortest - ROUNDING_S <= waits <= longest + ROUNDING_S:
            yield f"it waits {waits:.3f} s after failure {change.failures}, its policy says {shortest:g} to {longest:g} s"


def _wrong_time(change: StepChange, before: Seen, policy: RetryPolicy) -> Iterator[str]:
    waits_until = before.wake_at if before.state is StepState.WAITING and change.state is StepState.READY else None
    if waits_until is not None and change.at < waits_until - ROUNDING_S:
        yield f"it was to wait until {waits_until}, and is tried again at {change.at}"
    begins = change.wake_at if change.state is StepState.WAITING else change.at
    if policy.total_s is None or before.ready_at is None or change.state not in _TRIED or begins is None:
        return
    over = begins - before.ready_at - policy.total_s
    if over > ROUNDING_S:
        yield f"it is {change.state} {over:.3f} s after the {policy.total_s:g} s that its tries have in all"


def wait_s(policy: RetryPolicy, failures: int) -> tuple[float, float]:
    """The shortest and the longest wait, in seconds, after the `failures`-th failure."""
    longest = policy.delay_s
    if policy.backoff == "exponential":
        longest = min(policy.max_delay_s, longest * 2.0 ** min(failures - 1, 60))
    return (0.0 if policy.jitter else longest), longest
