"""Every error of Plugmesh. Each class says what the engine does when it meets one.

The four classes an author may raise (`transient`, `connection`, `data`, `fatal`) decide whether a step is
tried again; the others end an operation with a message that tells the user what to do next.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorClass(StrEnum):
    """What the engine does with a failed attempt.

    transient, connection: try again after a backoff, as the node's `retry` says. data: the rows go to the step's dead
    letters as far as they are known, else stop. fatal: stop.
    """

    TRANSIENT = "transient"
    CONNECTION = "connection"
    DATA = "data"
    FATAL = "fatal"


class PlugmeshError(Exception):
    """Base class. The message is for the user: what happened, where, what to do.

    `arguments` name what the message is about, for programs: `NotFound("there is no run r-1", kind="run", name="r-1")`.
    Which ones a code may have is declared in `plugmesh/codes`.
    """

    error_class: ErrorClass = ErrorClass.FATAL
    code: str = "internal"

    def __init__(self, message: object = "", /, **arguments: object) -> None:
        super().__init__(message)
        self.arguments = arguments


class ConfigurationError(PlugmeshError):
    """A setting cannot be used; the process says which one and stops."""

    code = "configuration"


class ProtocolMismatch(PlugmeshError):
    """The other side speaks a newer major version; the sender must be upgraded or downgraded."""

    code = "protocol-mismatch"


class InvalidMessage(PlugmeshError):
    """A message cannot be understood; it is logged and dropped, the link stays."""

    code = "invalid-message"


class ContractError(PlugmeshError):
    """A module's declaration contradicts itself or its function; raised at decoration."""

    code = "contract"


class ContractRefused(PlugmeshError):
    """The same name@version is known with another contract; the instance must change its version."""

    code = "contract-refused"


class FlowInvalid(PlugmeshError):
    """A flow has errors; all of them are listed in `problems`."""

    code = "flow-invalid"

    def __init__(self, message: str, problems: tuple[object, ...] = (), **arguments: object) -> None:
        super().__init__(message, **arguments)
        self.problems = problems


class NotFound(PlugmeshError):
    """The named thing does not exist (any more)."""

    code = "not-found"


class Conflict(PlugmeshError):
    """The thing exists already in another form, or its state forbids the operation."""

    code = "conflict"


class LimitExceeded(PlugmeshError):
    """Input is larger than a limit; the message names the limit and the setting."""

    code = "limit-exceeded"


class Unauthorized(PlugmeshError):
    """The actor may not do this."""

    code = "unauthorized"


class NotReachable(PlugmeshError):
    """The other side does not answer; the caller waits and tries again."""

    error_class = ErrorClass.CONNECTION
    code = "not-reachable"


class LinkLost(NotReachable):
    """The connection to the hub ended; the driver reconnects by itself."""

    code = "link-lost"


class ObjectMissing(PlugmeshError):
    """An object that a reference names is not in the store."""

    code = "object-missing"


class ObjectCorrupt(PlugmeshError):
    """An object's bytes do not match what its reference says."""

    code = "object-corrupt"


class StoreFull(PlugmeshError):
    """The object store has no room; nothing half-written is visible."""

    error_class = ErrorClass.TRANSIENT
    code = "store-full"


class DataMismatch(PlugmeshError):
    """A table does not have the columns or types that a port asks for (module, port, column, expected, found)."""

    error_class = ErrorClass.DATA
    code = "data-mismatch"


class PlanOutdated(PlugmeshError):
    """A module's version reads columns that the run's plan left out, because it was made with another version."""

    code = "plan-outdated"


class DataError(PlugmeshError):
    """The data is not what the module can work with; trying again is useless.

    `rows` says which rows of the module's only table input it is about (their numbers from 0, or a truth value for each):
    they go to the step's dead letters, and the module is called once more with the others.
    """

    error_class = ErrorClass.DATA
    code = "data"

    def __init__(self, message: object = "", /, *, rows: object = None, **arguments: object) -> None:
        super().__init__(message, **arguments)
        self.rows = rows


class FileUnreadable(DataError):
    """A file from outside cannot be decoded: it is damaged, made to do harm, or needs more than its limits."""

    code = "file-unreadable"


class DecoderEnded(PlugmeshError):
    """Somebody ended the process that decoded a file; the file is not to blame."""

    error_class = ErrorClass.TRANSIENT
    code = "decoder-ended"


class OwnershipLost(PlugmeshError):
    """A shard has another owner now (or the outcome of a commit is unknown): drop it and reload from SQL."""

    code = "ownership-lost"


class StateUnavailable(PlugmeshError):
    """The database cannot be used; the process must end, another start recovers from SQL."""

    error_class = ErrorClass.CONNECTION
    code = "state-unavailable"


class Stopping(StateUnavailable):
    """The server is about to stop and begins nothing new; nothing was done, the caller tries again."""

    code = "stopping"


class Cancelled(BaseException):
    """The run was cancelled while the module worked. Clean up and let it pass; after a grace the process is killed.

    Not an `Exception`, so that `except Exception` does not swallow it.
    """
