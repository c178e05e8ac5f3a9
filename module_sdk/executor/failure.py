"""From an exception to what its user is told."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator

from module_sdk.errors import Cancelled, error_class_of
from module_sdk.executor.ceilings import NoRoom
from module_sdk.limits import files_text, memory_text
from module_sdk.trace import place_of_error, shown_frames
from plugmesh.contracts.module import Limits
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass, PlugmeshError

MESSAGE_CHARS = 4_000
TRACE_CHARS = 12_000
_SAID_CHARS = 300
_READ_ONLY = re.compile("read-only|WRITEABLE flag")
_COPY_FIRST = (
    "Inputs are read-only, since other steps and processes have the same bytes: write into a copy (array = array.copy(), "
    "frame = frame.copy()), or make a new column (frame.assign(x=…))"
)
_CHAIN = 10
_OF_MEMORY = frozenset({"OutOfMemoryException", "OutOfMemoryError"})
"""Errors of libraries that are no `MemoryError`."""


def step_error(error: BaseException, module: str, file: str = "", line: int | None = None) -> StepError:
    """The error with its place in the author's code, else that of the function; Plugmesh's own frames are left out.

    `file`, `line`: where the module's function stands, as far as it is known.
    """
    frames: list[traceback.FrameSummary] = shown_frames(error)
    if not frames and not isinstance(error, PlugmeshError | SyntaxError):  # nobody expected it: it is a mistake of ours
        frames = traceback.extract_tb(error.__traceback__)
    where = place_of_error(error, file) or (file if line is None else f"{file}:{line}")
    if isinstance(error, Cancelled):
        return StepError(type="Cancelled", code="cancelled", message=f"{module} was cancelled", where=where)
    fields = {name: _text_or_none(error, name) for name in ("port", "column", "expected", "found")}
    return StepError(
        error_class=error_class_of(error),
        type=type(error).__name__,
        message=_short(_message(error), MESSAGE_CHARS) + _way_out(error),
        code=error.code if isinstance(error, PlugmeshError) else "module-failed",
        where=where,
        traceback=_trace(error, frames),
        **fields,
    )


def _way_out(error: BaseException) -> str:
    """What to do about a write into an input: NumPy, and what is built on it, only say that it is read-only."""
    if isinstance(error, ValueError | BufferError) and _READ_ONLY.search(_message(error)):
        return ". " + _COPY_FIRST
    return ""


def limit_error(error: BaseException, module: str, limits: Limits | None, own: Limits) -> dict[str, str] | None:
    """Code, message and class, if `error` is what a limit of the attempt looks like to its code. `own`: the module's limits."""
    if limits is None:
        return None
    if isinstance(error, NoRoom):
        text = memory_text(module, limits, own)
        return _limit("memory-limit", f"{text} (its process needs more before the module begins)")
    for one in _chain(error):
        if limits.memory_bytes is not None and _is_of_memory(one):
            return _limit("memory-limit", f"{memory_text(module, limits, own)} ({_name_and_message(one)})")
        if limits.open_files is not None and isinstance(one, OSError) and one.errno == errno.EMFILE:
            return _limit("open-files-limit", files_text(module, limits, own))
    return None


def _limit(code: str, message: str) -> dict[str, str]:
    """Whatever the error itself looks like: the next try would meet the same limit."""
    return {"code": code, "message": message, "error_class": ErrorClass.FATAL}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, as far as that is reasonable."""
    one: BaseException | None = error
    for _ in range(_CHAIN):
        if one is None:
            return
        yield one
        one = one.__cause__ or one.__context__


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return type(error).__name__ in _OF_MEMORY or (
        isinstance(error, RuntimeError) and "can't start new thread" in _message(error)
    )


def _name_and_message(error: BaseException) -> str:
    name, said = type(error).__name__, _short(_message(error), _SAID_CHARS)
    return name if said == name else f"{name}: {said}"


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the module called sys.exit({_shown(error.code)}); raise an exception, or return"
    try:
        text = _sayable(str(error))
    except BaseException as second:  # noqa: BLE001  an author's __str__ may be broken, in every way
        text = f"(its message cannot be shown: {type(second).__name__})"
    return text or type(error).__name__


def _shown(value: object) -> str:
    try:
        return _short(repr(value), _SAID_CHARS)
    except BaseException:  # noqa: BLE001  the same for a __repr__
        return type(value).__name__


def _sayable(text: str) -> str:
    """Text without halves of characters, which no message can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _trace(error: BaseException, frames: list[traceback.FrameSummary]) -> str:
    if not frames:
        return ""
    shown = "".join(traceback.format_list(frames))
    text = (
        f"Traceback (most recent call last):\n{shown}{type(error).__name__}: {_short(_message(error), MESSAGE_CHARS)}"
    )
    if error.__cause__ is not None:
        text = f"{_cause(error.__cause__)}\nwhich caused:\n\n{text}"
    return _sayable(text if len(text) <= TRACE_CHARS else "…" + text[-TRACE_CHARS:])


def _cause(cause: BaseException) -> str:
    try:
        return _short("".join(traceback.format_exception(cause)), TRACE_CHARS)
    except BaseException as second:  # noqa: BLE001  an author's __str__ may be broken, in every way
        return f"{type(cause).__name__}: (its message cannot be shown: {type(second).__name__})"


def _text_or_none(error: BaseException, name: str) -> str | None:
    if not isinstance(error, PlugmeshError):
        return None
    value = getattr(error, name, None)
    return None if value is None else str(value)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
