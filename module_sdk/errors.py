"""What an author raises to say what the engine should do. `error_classes` says how any other exception is classed."""

from __future__ import annotations

from module_sdk.error_classes import error_class_of
from plugmesh.errors import Cancelled, DataError, ErrorClass, PlugmeshError

__all__ = [
    "Cancelled",
    "ConnectionFailed",
    "DataError",
    "FatalError",
    "TooManyRejected",
    "TransientError",
    "error_class_of",
]


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


class TooManyRejected(DataError):
    """More rows were rejected than the flow allows; the step fails at once, and keeps those rejected until then."""

    code = "too-many-rejected"
