"""From an exception to what its user is told."""

from __future__ import annotations

import traceback

from module_sdk.errors import Cancelled, error_class_of
from module_sdk.trace import place_of_error, shown_frames
from plugmesh.contracts.run import StepError
from plugmesh.errors import PlugmeshError

MESSAGE_CHARS = 4_000
TRACE_CHARS = 12_000


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
        message=_short(_message(error), MESSAGE_CHARS),
        code=error.code if isinstance(error, PlugmeshError) else "module-failed",
        where=where,
        traceback=_trace(error, frames),
        **fields,
    )


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the module called sys.exit({error.code!r}); raise an exception, or return"
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001  an author's __str__ may be broken
        text = f"(its message cannot be shown: {type(second).__name__})"
    return text or type(error).__name__


def _trace(error: BaseException, frames: list[traceback.FrameSummary]) -> str:
    if not frames:
        return ""
    shown = "".join(traceback.format_list(frames))
    text = f"Traceback (most recent call last):\n{shown}{type(error).__name__}: {_message(error)}"
    if error.__cause__ is not None:
        text = f"{''.join(traceback.format_exception(error.__cause__))}\nwhich caused:\n\n{text}"
    return text if len(text) <= TRACE_CHARS else "…" + text[-TRACE_CHARS:]


def _text_or_none(error: BaseException, name: str) -> str | None:
    if not isinstance(error, PlugmeshError):
        return None
    value = getattr(error, name, None)
    return None if value is None else str(value)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
