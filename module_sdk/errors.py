"""What an author raises to say what the engine should do. Any other exception is fatal, but for network errors."""

from __future__ import annotations

from plugmesh.errors import Cancelled, DataError, ErrorClass, PlugmeshError

__all__ = ["Cancelled", "ConnectionFailed", "DataError", "FatalError", "TransientError", "error_class_of"]


class TransientError(PlugmeshError):
    """It may work next time: the step is tried again after a backoff."""

    error_class = ErrorClass.TRANSIENT
    code = "transient"


class ConnectionFailed(PlugmeshError):
    """Another system cannot be reached: the step is tried again after a backoff."""

    error_class = ErrorClass.CONNECTION
    code = "connection"


class FatalError(PlugmeshError):
    """Nothing will make this work; the step fails at once."""

    error_class = ErrorClass.FATAL
    code = "fatal"


def error_class_of(error: BaseException) -> ErrorClass:
    """The class of any exception a module raised: its own, `connection` for network errors, else `fatal`."""
    if isinstance(error, PlugmeshError):
        return error.error_class
    if isinstance(error, ConnectionError | TimeoutError):
        return ErrorClass.CONNECTION
    return ErrorClass.FATAL
