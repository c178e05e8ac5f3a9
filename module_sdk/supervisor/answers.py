"""What a supervisor itself says about an attempt; everything else it forwards as the executor wrote it."""

from __future__ import annotations

from module_sdk.supervisor.attempts import Ending, Head, Held
from module_sdk.supervisor.executor import Exit
from plugmesh.contracts.messages import Accepted, Failed, LogRef, Returned, Started, decode_result
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass


def accepted(head: Head) -> bytes:
    """The attempt is here."""
    return Accepted(instance=head.instance, run=head.run, step=head.step, epoch=head.epoch).encode()


def started(head: Head) -> bytes:
    """User code runs."""
    return Started(instance=head.instance, run=head.run, step=head.step, epoch=head.epoch).encode()


def returned(head: Head, reason: str) -> bytes:
    """It comes back, at no cost."""
    return Returned(instance=head.instance, run=head.run, step=head.step, epoch=head.epoch, reason=reason).encode()


def failed(head: Head, error: StepError, *, convicting: bool = False, log: LogRef | None = None) -> bytes:
    """It ended without outputs."""
    return Failed(
        instance=head.instance,
        run=head.run,
        step=head.step,
        epoch=head.epoch,
        error=error,
        convicting=convicting,
        log=log,
    ).encode()


def not_started(head: Head, error: OSError) -> StepError:
    """The machine has no room for one more process."""
    return StepError(
        error_class=ErrorClass.TRANSIENT,
        type=type(error).__name__,
        code="no-executor",
        message=f"{head.module}@{head.version}: no process could be started for the step: {error}; "
        "free memory or processes on this host, or serve with fewer slots",
    )


def died(head: Head, exit: Exit) -> StepError:
    """The executor ended by itself while it ran this attempt alone."""
    return StepError(
        error_class=ErrorClass.TRANSIENT,
        type="ExecutorDied",
        code="executor-died",
        message=f"{head.module}@{head.version}: the process that ran the step ended: {exit.reason}",
        traceback=exit.trace,
    )


def judged(attempt: Held, payload: bytes) -> bytes:
    """What to send for an attempt that was asked to end and answered: its own result if that is `done`."""
    result = decode_result(payload)
    if not isinstance(result, Failed) or attempt.ending is Ending.CANCELLED:
        return payload
    if attempt.ending is Ending.DRAINED:
        return returned(attempt.head, "draining")
    return failed(attempt.head, ended(attempt, Exit("")), log=result.log)


def ended(attempt: Held, exit: Exit) -> StepError:
    """The supervisor ended the attempt."""
    module = f"{attempt.head.module}@{attempt.head.version}"
    if attempt.ending is Ending.TIMED_OUT:
        return StepError(
            error_class=ErrorClass.TRANSIENT,
            type="Timeout",
            code="timeout",
            message=f"{module} ran longer than its {attempt.head.timeout_s:g} s and was ended: "
            "give the node a larger timeout, or the module less to do",
            traceback=exit.trace,
        )
    if attempt.ending is Ending.LEASE_LOST:
        return StepError(
            error_class=ErrorClass.TRANSIENT,
            type="LeaseLost",
            code="lease-lost",
            message=f"{module} was ended because its scheduler could not be reached for as long as its lease: "
            "a sink that is not idempotent must not go on then",
        )
    return cancelled(attempt)


def cancelled(attempt: Held) -> StepError:
    """It was asked to stop, and did not say so itself."""
    return StepError(
        error_class=ErrorClass.FATAL,
        type="Cancelled",
        code="cancelled",
        message=f"{attempt.head.module}@{attempt.head.version} was cancelled{': ' + attempt.reason if attempt.reason else ''}",
    )
