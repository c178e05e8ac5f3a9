"""The table of all settings. A new setting is one more field here, with the text below it; everything else follows:
the variable `PLUGMESH_NAME`, the line in `plugmesh.toml`, `plugmesh up --set`, `GET /settings`, and the page of the docs.

A name ends with its unit: `_bytes`, `_s` (seconds). `RUN_TIME` settings can be changed while the server runs: whoever
uses one reads it from `Settings` each time, or listens with `on_change`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from plugmesh.settings.group import Group
from plugmesh.settings.kinds import (
    OPTION,
    RUN_TIME,
    SECRET,
    Address,
    Bytes,
    BytesOrZero,
    Count,
    Hosts,
    HostsOrNetworks,
    Networks,
    Origin,
    Origins,
    OrNone,
    Port,
    Seconds,
    SecondsOrZero,
    Texts,
)
from plugmesh.settings.watching import Logs, Traces

_MIB = 2**20
_GIB = 2**30
_DAY_S = 86400.0


class Server(Group):
    """The server: where it listens, and what it starts."""

    host: Annotated[Address, OPTION] = "127.0.0.1"
    """Address to listen on. Anything but this machine's own (127.0.0.1, ::1) turns tokens on."""
    port: Annotated[Port, OPTION] = 8720
    """Port to listen on; 0: any free one."""
    modules: Annotated[Texts, OPTION] = ()
    """Folders whose module files are plugged in."""
    builtins: Annotated[bool, OPTION] = True
    """Serve the built-in modules."""
    sql_folders: Texts = ()
    """Folders in which `sql.write` may make and change SQLite files, besides `databases` in the data folder."""
    slots: Annotated[Count | None, OrNone, OPTION] = None
    """Steps that each process started by the server runs at a time; none: one a processor, at most 8."""
    drain_s: Annotated[SecondsOrZero, OPTION] = 10.0
    """Seconds that steps at work have to finish when the mesh is stopped."""
    synchronous: Annotated[Literal["full", "normal"], OPTION] = "full"
    """How the database writes. full: what was accepted survives power loss; normal: it survives any crash."""
    durable: bool = False
    """Flush data to the disk before the step that wrote it counts as done: then accepted data, too, survives power loss.
    Otherwise a run whose data was lost that way fails, and a rerun computes it again."""
    pool_bytes: BytesOrZero = 2 * _GIB
    """Most bytes of deleted data whose files stay on the disk, to be written again: four times as fast as new ones. They are
    given up when the disk is full; 0: none stay."""


class Backends(Group):
    """The services that the mesh stands on. Each URL may hold a password, and is never shown; it may use `${VARIABLE}`, and
    take its password from a file: `?password_file=/run/secrets/name`. Every process of a mesh needs the same four."""

    bus: Annotated[str, SECRET] = "embedded://"
    """Carries messages. embedded://: the gateway does; or kafka://host:9092/PREFIX."""
    discovery: Annotated[str, SECRET] = "embedded://"
    """Knows which modules are there. embedded://: the gateway does; or consul://host:8500/MESH."""
    objects: Annotated[str, SECRET] = ""
    """Keeps data. Empty: files in the data folder; or file:///folder, s3://bucket?endpoint=https://host."""
    state: Annotated[str, SECRET] = ""
    """Keeps runs, flows and everything else that must not be lost. Empty: SQLite in the data folder, for a mesh of one
    server; or postgresql://host/name, mysql://host/name."""
    scheduler_port: Port = 0
    """Port of a `plugmesh serve scheduler` process for its health and metrics; 0: none."""


class Access(Group):
    """Who may call: names, web pages, tokens."""

    allowed_hosts: Annotated[Hosts, RUN_TIME] = ("localhost", "127.0.0.1", "[::1]")
    """Names that a `Host` header may carry: a foreign name that was made to resolve to this machine is refused. The
    address that the server listens on is always one."""
    allowed_origins: Annotated[Origins, RUN_TIME] = ()
    """Further web origins (`https://host:port`) whose pages may call; this server's own pages always may."""
    require_token: Annotated[bool, OPTION] = False
    """Ask for a token on this machine's own address too; on any other it is always asked for."""
    trusted_proxies: Annotated[Networks, RUN_TIME] = ()
    """Addresses of reverse proxies whose `X-Forwarded-Proto` is believed: they say whether a browser used https."""
    session_s: Annotated[Seconds, RUN_TIME] = 7 * _DAY_S
    """A browser's session ends after this time."""
    sessions: Annotated[Count, RUN_TIME] = 1000
    """Most sessions at a time; one more ends the oldest."""


class Clients(Group):
    """Connections: how many, and how slow they may be."""

    connections: Annotated[Count, RUN_TIME] = 2000
    """Most connections at a time, without those of modules. One more closes the longest idle one; when none is idle
    it is answered with 503."""
    connections_per_address: Annotated[Count, RUN_TIME] = 1500
    """Most connections from one address, in the same way."""
    connections_for_modules: Annotated[Count, RUN_TIME] = 500
    """Connections that only processes which serve modules get, beyond the others."""
    head_timeout_s: Annotated[Seconds, RUN_TIME] = 10.0
    """A request's first line and headers must have come within this time."""
    body_silent_s: Annotated[Seconds, RUN_TIME] = 30.0
    """A client that sends no byte of a body for this time is dropped."""
    body_rate_bytes: Annotated[Bytes, RUN_TIME] = 1024
    """A client that sends fewer bytes of a body a second, over `body_rate_over_s`, is dropped."""
    body_rate_over_s: Annotated[Seconds, RUN_TIME] = 60.0
    """The time over which the rate of a body is measured."""
    stall_s: Annotated[Seconds, RUN_TIME] = 60.0
    """A client that takes no byte of an answer for this time is dropped."""


class Requests(Group):
    """Requests: how large, how long, how many."""

    json_limit_bytes: Annotated[Bytes, RUN_TIME] = 16 * _MIB
    """Largest JSON or YAML body."""
    batch_limit_bytes: Annotated[Bytes, RUN_TIME] = 64 * _MIB
    """Largest body of a batch of runs."""
    file_limit_bytes: Annotated[Bytes, RUN_TIME] = 20 * _GIB
    """Largest file that can be uploaded."""
    wait_limit_s: Annotated[Seconds, RUN_TIME] = 60.0
    """Longest `wait_s` of a long-poll."""
    recheck_s: Annotated[Seconds, RUN_TIME] = 5.0
    """Who waits asks SQL again after this time, in case an event was lost; a silent event stream sends a comment."""
    backlog: Annotated[Count, RUN_TIME] = 64
    """Changes (of at most 64 KiB each) kept for one event stream; a slower one reads on from SQL."""
    flows_kept: Count = 512
    """Parsed and validated flows that are kept for repeated submits."""
    rows_default: Annotated[Count, RUN_TIME] = 100
    """Rows of a preview that does not say how many."""
    rows_limit: Annotated[Count, RUN_TIME] = 10_000
    """Most rows of a preview."""
    answer_limit_bytes: Annotated[Bytes, RUN_TIME] = 16 * _MIB
    """Largest JSON text of a preview; rows that do not fit are left out, and the answer says so."""
    columns_limit: Annotated[Count, RUN_TIME] = 1_000
    """Most columns of a preview; of a wider table the first ones are shown unless it says which."""
    stats_columns_limit: Annotated[Count, RUN_TIME] = 100
    """Most columns whose figures are computed at a time."""
    data_cache_bytes: Annotated[Bytes, RUN_TIME] = 64 * _MIB
    """Figures, schemas and orders of rows that are kept for the next time somebody looks."""

    @model_validator(mode="after")
    def _rows_fit(self) -> Self:
        if self.rows_default > self.rows_limit:
            raise ValueError(f"rows_default is {self.rows_default}, more than rows_limit, which is {self.rows_limit}")
        return self


class Readers(Group):
    """Processes that decode data for previews, figures and downloads."""

    reader_processes: Count = 3
    """Most processes that decode data at a time; a download keeps one busy until it ends."""
    reader_queue: Annotated[Count, RUN_TIME] = 64
    """Questions and downloads that may wait for such a process; one more is answered with 503."""
    reader_memory_bytes: Annotated[Bytes, RUN_TIME] = _GIB
    """Memory of one such process (of those that are started from then on)."""
    reader_timeout_s: Annotated[Seconds, RUN_TIME] = 30.0
    """A reader process that makes no progress for this time is killed."""
    reader_idle_s: Annotated[Seconds, RUN_TIME] = 30.0
    """A reader process that nobody used for this time is ended."""


class Attempts(Group):
    """Limits of one attempt at a step, where neither the flow nor the module says otherwise."""

    attempt_memory_bytes: Annotated[Bytes | None, OrNone, RUN_TIME] = None
    """Memory of an attempt."""
    attempt_cpu_s: Annotated[Seconds | None, OrNone, RUN_TIME] = None
    """CPU time of an attempt."""
    attempt_open_files: Annotated[Count, Field(ge=16), RUN_TIME] = 1024
    """Files that an attempt may have open."""
    attempt_output_bytes: Annotated[Bytes, RUN_TIME] = 50 * _GIB
    """Bytes that an attempt may write as its output."""
    attempt_wall_s: Annotated[Seconds | None, OrNone, RUN_TIME] = None
    """Time of an attempt by the clock on the wall."""
    attempt_silent_s: Annotated[Seconds | None, OrNone, RUN_TIME] = None
    """An attempt that uses no CPU time, logs nothing and reports no progress for this time is stuck."""


class Retention(Group):
    """How long things are kept, and who sweeps."""

    retention_runs_s: Annotated[Seconds | None, OrNone, RUN_TIME] = 30 * _DAY_S
    """Runs that have ended."""
    retention_data_s: Annotated[Seconds | None, OrNone, RUN_TIME] = 30 * _DAY_S
    """Outputs of runs that have ended."""
    retention_logs_s: Annotated[Seconds | None, OrNone, RUN_TIME] = 30 * _DAY_S
    """Logs of runs that have ended."""
    retention_events_s: Annotated[Seconds | None, OrNone, RUN_TIME] = 30 * _DAY_S
    """Event rows of runs that have ended."""
    retention_data_bytes: Annotated[Bytes | None, OrNone, RUN_TIME] = None
    """Bytes of all outputs; the oldest go first."""
    retention_logs_bytes: Annotated[Bytes | None, OrNone, RUN_TIME] = None
    """Bytes of all logs of runs that have ended; the oldest go first."""
    retention_runs: Annotated[Count | None, OrNone, RUN_TIME] = None
    """Runs that have ended; those that ended first go first. Pinned ones stay beside them."""
    retention_file_versions: Annotated[Count | None, OrNone, RUN_TIME] = 100
    """Versions of each file."""
    retention_files_s: Annotated[Seconds | None, OrNone, RUN_TIME] = None
    """Versions of files that are not the newest."""
    retention_files_bytes: Annotated[Bytes | None, OrNone, RUN_TIME] = None
    """Bytes of all files; the oldest versions that are not the newest of their file, and that nothing uses, go first."""
    retention_grace_s: Annotated[Seconds, RUN_TIME] = 300.0
    """Time between marking and deleting, and between a run's end and looking at what it left: longer than any request
    takes to become a run."""
    sweep_every_s: Annotated[Seconds, RUN_TIME] = 300.0
    """Time between two sweeps."""


class Outgoing(Group):
    """Requests that the server itself makes."""

    webhook_attempts: Annotated[Count, RUN_TIME] = 12
    """Tries to deliver a notification."""
    webhook_timeout_s: Annotated[Seconds, RUN_TIME] = 10.0
    """Time for one try."""
    http_allow_private: Annotated[HostsOrNetworks, RUN_TIME] = ()
    """Hosts and networks that outgoing requests may reach although they are private."""
    public_url: Annotated[Origin | None, OrNone, RUN_TIME] = None
    """Where people reach this mesh, for links in notifications; without: the address it listens on."""


GROUPS: tuple[type[Group], ...] = (
    Server,
    Backends,
    Access,
    Clients,
    Requests,
    Readers,
    Attempts,
    Retention,
    Outgoing,
    Logs,
    Traces,
)


class Table(Traces, Logs, Outgoing, Retention, Attempts, Readers, Requests, Clients, Access, Backends, Server):
    """All settings. The order of the bases is that of `GROUPS`, backwards, so that fields come in that order."""
