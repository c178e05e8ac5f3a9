"""What can be set about a gateway. Every limit's error message names the field here."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024
_GIB = 1024 * _MIB


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Limits and names; the defaults are for one machine and one person.

    `allowed_hosts` are the names that a `Host` header may carry (a foreign name that was made to resolve to this
    machine is refused); `allowed_origins` are further web origins (`https://host:port`) that may call from a browser.
    """

    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    allowed_origins: tuple[str, ...] = ()

    json_limit_bytes: int = 16 * _MIB
    file_limit_bytes: int = 20 * _GIB

    wait_limit_s: float = 60.0
    """Longest `wait_s` of a long-poll."""
    recheck_s: float = 5.0
    """Who waits asks SQL again after this time, in case an event was lost; a silent event stream sends a comment."""
    stall_s: float = 60.0
    """A client that takes no byte of a stream for this time is dropped."""
    backlog: int = 64
    """Changes (of at most 64 KiB each) kept for one event stream; a slower one reads on from SQL."""

    flows_kept: int = 512
    """Parsed and validated flows that are kept for repeated submits."""

    rows_default: int = 100
    rows_limit: int = 10_000
    answer_limit_bytes: int = 16 * _MIB
    """Largest JSON text of a preview; rows that do not fit are left out, and the answer says so."""

    reader_processes: int = 3
    """Most processes that decode data at a time; a download keeps one busy until it ends."""
    reader_memory_bytes: int = _GIB
    reader_timeout_s: float = 30.0
    """A reader process that makes no progress for this time is killed."""
    reader_idle_s: float = 30.0
    """A reader process that nobody used for this time is ended."""
