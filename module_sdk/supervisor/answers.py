"""What a supervisor itself says about an attempt; everything else it forwards as the executor wrote it."""

from __future__ import annotations

from collections.abc import Callable

from module_sdk import limits
from module_sdk.supervisor.attempts import GIVEN_BACK, NO_LIMITS, Ending, Head, Held
from module_sdk.supervisor.executor import Exit
from module_sdk.trace import place_in_dump
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.messages import Accepted, AttemptStats, Done, Failed, LogRef, Returned, Started, decode_result
from plugmesh.contracts.module import Limits
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass, ObjectCorrupt

_NEARLY = 0.8
"""A process that dies with so much of its memory limit in use died of it."""


def accepted(head: Head) -> bytes:
    """The attempt is here."""
    return Accepted(instance=head.instance, run=head.run, step=head.step, epoch=head.epoch).encode()


def started(head: Head) -> bytes:
    """User code runs."""
    return Started(instance=head.instance, run=head.run, step=head.step, epoch=head.epoch).encode()


def returned(head: Head, reason: str) -> bytes:
    """It comes back, at no cost."""
    return Returned(instance=head.instance, run=head.run, step=head.step, epoch=head.epoch, reason=reason).encode()


def failed(
    head: Head,
    error: StepError,
    *,
    convicting: bool = False,
    stats: AttemptStats | None = None,
    log: LogRef | None = None,
    artifacts: tuple[FileRef, ...] = (),
) -> bytes:
    """It ended without outputs."""
    return Failed(
        instance=head.instance,
        run=head.run,
        step=head.step,
        epoch=head.epoch,
        error=error,
        convicting=convicting,
        artifacts=artifacts,
        stats=stats,
        log=log,
    ).encode()


def used(attempt: Held, exit: Exit, now: float) -> AttemptStats | None:
    """What an attempt used whose process could not say it: `None` if it was not alone in it. `now` is monotonic.

    What it read is not known (`read` is `None`), nor what it had written.
    """
    if attempt.concurrent:
        return None
    began = attempt.handed_at if attempt.started_at is None else attempt.started_at
    wall_s = 0.0 if began is None else now - began
    return AttemptStats(wall_s=wall_s, cpu_s=exit.cpu_s, peak_memory_bytes=max(exit.peak_bytes, attempt.most_bytes))


def with_log(payload: bytes, log: LogRef | None) -> bytes:
    """A result with the log that was kept of it."""
    result = decode_result(payload)
    return result.model_copy(update={"log": log}).encode() if isinstance(result, Done | Failed) else payload


def not_started(head: Head, error: OSError) -> StepError:
    """The machine has no room for one more process."""
    return StepError(
        error_class=ErrorClass.TRANSIENT,
        type=type(error).__name__,
        code="no-executor",
        message=f"{head.module}@{head.version}: no process could be started for the step: {error}; "
        "free memory or processes on this host, or serve with fewer slots",
    )


def died(attempt: Held, exit: Exit) -> tuple[StepError, bool]:
    """The executor ended by itself while it ran this attempt alone; also whether that speaks against the module."""
    head = attempt.head
    memory = None if head.limits is None else head.limits.memory_bytes
    needed = max(exit.peak_bytes, attempt.most_bytes)
    if memory is not None and (exit.out_of_memory or needed >= _NEARLY * memory):
        return _limit(attempt, exit, "memory-limit", limits.memory_text, f" ({exit.reason})"), False
    error = StepError(
        error_class=ErrorClass.TRANSIENT,
        type="ExecutorDied",
        code="executor-died",
        message=f"{head.module}@{head.version}: the process that ran the step ended: {exit.reason}{_of_crash(exit)}",
        where=place_in_dump(exit.trace),
        traceback=exit.trace,
    )
    return error, True


def of_damage(attempt: Held, crash: StepError, damage: str) -> StepError:
    """The error of a crash whose cause is known: an input is not what was written. That is no fault of the module."""
    head = attempt.head
    return crash.model_copy(
        update={
            "error_class": ErrorClass(ObjectCorrupt.error_class),
            "type": ObjectCorrupt.__name__,
            "code": ObjectCorrupt.code,
            "message": f"{head.module}@{head.version} crashed over an input that is damaged: {damage}",
        }
    )


def _of_crash(exit: Exit) -> str:
    """A write into an input past its library, where the kernel refuses it, looks like any fault of native code."""
    if "SIGSEGV" not in exit.reason:
        return ""
    place = place_in_dump(exit.trace)
    at = f" at {place}" if place else ""
    return (
        f"{at}: it wrote into a read-only input there (by ctypes, numba, torch.from_numpy or the like: write into a copy), or "
        "its native code is faulty"
    )


def judged(attempt: Held, payload: bytes) -> bytes:
    """What to send for an attempt that was asked to end and answered: its own result if that is `done`."""
    result = decode_result(payload)
    if not isinstance(result, Failed) or attempt.ending is Ending.CANCELLED:
        return payload
    if attempt.ending in GIVEN_BACK:
        return returned(attempt.head, attempt.ending.value)
    error = ended(attempt, Exit(""))
    return failed(attempt.head, error, stats=result.stats, log=result.log, artifacts=result.artifacts)


def ended(attempt: Held, exit: Exit) -> StepError:
    """The supervisor ended the attempt."""
    module = f"{attempt.head.module}@{attempt.head.version}"
    match attempt.ending:
        case Ending.TIMED_OUT:
            message = (
                f"{module} ran longer than its {attempt.head.timeout_s:g} s and was ended: "
                "give the node a larger timeout, or the mesh a larger attempt_wall_s, or the module less to do"
            )
            return _stopped(exit, "Timeout", "timeout", message, ErrorClass.TRANSIENT)
        case Ending.MEMORY:
            return _limit(attempt, exit, "memory-limit", limits.memory_text)
        case Ending.CPU:
            return _limit(attempt, exit, "cpu-limit", limits.cpu_text)
        case Ending.STUCK:
            return _limit(attempt, exit, "stuck", limits.stuck_text, error_class=ErrorClass.TRANSIENT)
        case Ending.LEASE_LOST:
            message = (
                f"{module} was ended because its scheduler could not be reached for as long as its lease: "
                "a sink that is not idempotent must not go on then"
            )
            return StepError(error_class=ErrorClass.TRANSIENT, type="LeaseLost", code="lease-lost", message=message)
        case _:
            return cancelled(attempt)


def cancelled(attempt: Held) -> StepError:
    """It was asked to stop, and did not say so itself."""
    return StepError(
        error_class=ErrorClass.FATAL,
        type="Cancelled",
        code="cancelled",
        message=f"{attempt.head.module}@{attempt.head.version} was cancelled{': ' + attempt.reason if attempt.reason else ''}",
    )


def _limit(
    attempt: Held,
    exit: Exit,
    code: str,
    text: Callable[[str, Limits, Limits], str],
    more: str = "",
    *,
    error_class: ErrorClass = ErrorClass.FATAL,
) -> StepError:
    """One of its limits was exceeded: the same would happen again, unless it was stuck."""
    head = attempt.head
    message = text(f"{head.module}@{head.version}", head.limits or NO_LIMITS, attempt.own_limits)
    return _stopped(exit, "LimitExceeded", code, message + more, error_class)


def _stopped(exit: Exit, type: str, code: str, message: str, error_class: ErrorClass) -> StepError:
    """With the place where its code was, as far as it could say that."""
    return StepError(
        error_class=error_class,
        type=type,
        code=code,
        message=message,
        where=place_in_dump(exit.trace),
        traceback=exit.trace,
    )
