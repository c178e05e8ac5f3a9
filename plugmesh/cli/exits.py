"""The exit codes of `plugmesh`, for scripts."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the number means, for every command."""

    OK = 0
    RUN_FAILED = 1
    """The run failed, was cancelled or timed out; for `up`: the server ended because something broke."""
    USAGE = 2
    """The command line, a setting or the flow is not valid; nothing was started."""
    NOT_REACHABLE = 3
    """No mesh answers."""
    NOT_FOUND = 4
    """The run, step or file does not exist."""
    INTERRUPTED = 130
    """Ended by Ctrl-C. A run that was submitted goes on."""


EXIT_CODES = {
    ExitCode.OK: "All went well.",
    ExitCode.RUN_FAILED: "The run failed, was cancelled or timed out. For `up`: the server ended because something broke.",
    ExitCode.USAGE: "The command line, a setting or the flow is not valid; nothing was started.",
    ExitCode.NOT_REACHABLE: "No mesh answers at the address.",
    ExitCode.NOT_FOUND: "The run, step, output or file does not exist.",
    ExitCode.INTERRUPTED: "Ended by Ctrl-C. A run that was submitted goes on.",
}
"""The text of each code, for the reference page."""
