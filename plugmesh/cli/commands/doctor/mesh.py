"""The running mesh as its API shows it: version, readiness, clock, instances, what waits. Facts, and pure checks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from plugmesh.cli.api.client import MeshClient
from plugmesh.cli.api.routes import at
from plugmesh.cli.commands.doctor.check import Check, ok, problem, warning
from plugmesh.cli.display.steps import waiting_lines
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime

MOST_SKEW_S = 5.0
_RUNS_LOOKED_AT = 20
_LISTED = 5
_GAVE_UP = "plugmesh: "


@dataclass(frozen=True, slots=True)
class Served:
    """What answers at the address. `error`: nobody does, or no Plugmesh; `refused`: the API wants a token."""

    url: str
    error: str = ""
    is_away: bool = False
    is_silent: bool = False
    version: str = ""
    ready: Mapping[str, str] = field(default_factory=dict)
    clock_ahead_s: float | None = None
    refused: str = ""
    instances: Sequence[Mapping[str, Any]] = ()
    unplugged: Sequence[Mapping[str, str]] = ()
    switches: Sequence[Mapping[str, Any]] = ()
    waiting: Sequence[str] = ()
    looked_at: int = 0
    answered_s: float | None = None


def checks_of(served: Served, ours: str) -> Iterator[Check]:
    """Everything about the mesh; `ours` is the version of this command."""
    yield check_server(served, ours)
    if served.error:
        return
    yield check_clock(served)
    if served.refused:
        todo = "export PLUGMESH_TOKEN with what `plugmesh token show` prints on the mesh's machine"
        yield problem("API", served.refused, todo)
        return
    yield check_ready(served)
    yield check_hub(served)
    yield check_versions(served, ours)
    yield check_instances(served)
    yield check_files(served)
    yield check_quarantine(served)
    yield check_waiting(served)


def check_server(served: Served, ours: str) -> Check:
    """Who answers at the address."""
    if served.is_away:
        return warning(
            "server", f"no mesh answers at {served.url}", "start one with `plugmesh up`, or say where it is: --url"
        )
    if served.is_silent:
        todo = "see whether its process is stopped or busy (`top`, and what it logged); else end it and start it again"
        return problem("server", f"something listens at {served.url}, and does not answer", todo)
    if served.error:
        todo = "another program has the port: choose another with `plugmesh up --port`, or say where the mesh is: --url"
        return problem("server", served.error, todo)
    if not served.version:
        return ok("server", f"it answers at {served.url}, and wants a token")
    if served.version != ours:
        todo = "use one version: start the mesh again with this one, or install that one here"
        return warning("server", f"it is version {served.version}, this command is {ours}", todo)
    return replace(ok("server", f"version {served.version} at {served.url}"), seconds=served.answered_s)


def check_ready(served: Served) -> Check:
    """The parts of the server, as it sees them itself."""
    wrong = [f"{name}: {said}" for name, said in served.ready.items() if said != "ok"]
    if wrong:
        return problem("readiness", "; ".join(wrong), "see what the server logged: it says why; then start it again")
    return ok("readiness", ", ".join(served.ready))


def check_clock(served: Served) -> Check:
    """The server's clock against ours."""
    ahead = served.clock_ahead_s
    if ahead is None:
        return warning("clock", "the server does not tell its time", "see whether a proxy stands between")
    if abs(ahead) > MOST_SKEW_S:
        word = "ahead of" if ahead > 0 else "behind"
        return warning("clock", f"the server's is {abs(ahead):.0f} s {word} ours", "let both use a time server (NTP)")
    return ok("clock", "the server's and ours agree")


def check_instances(served: Served) -> Check:
    """Who serves modules."""
    usable = [one for one in served.instances if one.get("usable", one["liveness"] == "alive")]
    suspect = [one for one in served.instances if one["liveness"] == "suspect"]
    refused = [entry for one in served.instances for entry in one.get("refused", ())]
    if suspect:
        found = ", ".join(f"{one['id']} on {one['host']}" for one in suspect[:_LISTED])
        todo = "see whether that host and its network are up; the instance gets no work until it is heard from"
        return warning("instances", f"not heard from: {found}", todo)
    if refused:
        found = "; ".join(f"{entry['module']}@{entry['version']}: {entry['difference']}" for entry in refused[:_LISTED])
        return warning("instances", f"refused: {found}", "give the changed module a new version, and start it again")
    if not usable:
        return warning("instances", "nobody serves modules", "plug some in: `plugmesh module serve FILE.py`")
    return ok("instances", f"{len(usable)} with {sum(one['slots'] for one in usable)} slots")


def check_files(served: Served) -> Check:
    """The module files of the folders that the server watches."""
    if not served.unplugged:
        return ok("module files", "every file of the watched folders is plugged in")
    found = "; ".join(f"{one['file']}: {_gist(one['reason'])}" for one in served.unplugged[:_LISTED])
    more = f"; and {len(served.unplugged) - _LISTED} more" if len(served.unplugged) > _LISTED else ""
    return warning("module files", f"not plugged in: {found}{more}", served.unplugged[0]["todo"])


def check_quarantine(served: Served) -> Check:
    """The module versions that the mesh gives no work, because they ended their processes."""
    held = [one for one in served.switches if one.get("kind") == "quarantined"]
    if not held:
        return ok("quarantine", "no module is in quarantine")
    found = "; ".join(f"{one['module']}@{one['version']}: {one['reason']}" for one in held[:_LISTED])
    more = f"; and {len(held) - _LISTED} more" if len(held) > _LISTED else ""
    todo = f"`plugmesh modules {held[0]['module']}` shows the steps; serve a version that is mended, or lift it"
    return warning("quarantine", found + more, todo)


def _gist(said: str) -> str:
    """What a process said when it gave up, of all that it said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return next((line.removeprefix(_GAVE_UP) for line in reversed(lines) if line.startswith(_GAVE_UP)), last)


def check_hub(served: Served) -> Check:
    """Whether those who serve modules hold their connections to the hub."""
    if served.instances and all(one.get("connected", True) is None for one in served.instances):
        return ok("hub", "there is none: instances are found by a service of its own")
    apart = [one for one in served.instances if one.get("connected", True) is False]
    if apart:
        found = ", ".join(f"{one['id']} on {one['host']}" for one in apart[:_LISTED])
        todo = "they join again by themselves; if they do not, see what they print, or start them again"
        return warning("hub", f"not connected: {found}", todo)
    return ok("hub", f"{len(served.instances)} connected")


def check_versions(served: Served, ours: str) -> Check:
    """Whether instances run the SDK of this version."""
    others = [one for one in served.instances if str(one.get("sdk") or "").partition("/")[2] not in {"", ours}]
    if others:
        found = ", ".join(f"{one['id']} on {one['host']} has {one['sdk']}" for one in others[:_LISTED])
        return warning("versions", found, f"install {ours} there, and start them again")
    return ok("versions", f"{ours} everywhere")


def check_waiting(served: Served) -> Check:
    """Runs that wait for something."""
    if served.waiting:
        more = f"; and {len(served.waiting) - _LISTED} more" if len(served.waiting) > _LISTED else ""
        found = "; ".join(served.waiting[:_LISTED]) + more
        return warning("runs", found, "serve the modules that are missing, or cancel: `plugmesh cancel RUN`")
    return ok("runs", f"none waits for a module ({served.looked_at} open)")


def served_at(client: MeshClient, runtime: Runtime) -> Served:
    """Ask the mesh."""
    now = runtime.wall()
    begun = runtime.now()
    try:
        _, health, headers = client.look("/healthz")
        answered_s = round(runtime.now() - begun, 4)
        if not isinstance(health, dict) or health.get("service", "plugmesh") != "plugmesh" or "alive" not in health:
            return Served(client.url, error=f"what answers at {client.url} is no Plugmesh")
        ready = client.look("/readyz")[1].get("checks", {})
    except PlugmeshError as error:
        silent = isinstance(error.__cause__, httpx2.TimeoutException)
        return Served(client.url, error=str(error), is_away="no mesh answers" in str(error), is_silent=silent)
    # Without a token a server says no more than that it is there.
    known = {
        "version": health.get("version", ""),
        "ready": ready,
        "clock_ahead_s": _ahead(headers.get("date"), now),
        "answered_s": answered_s,
    }
    try:
        instances = client.get("/instances")["instances"]
        plugged = client.get("/modules")
        open_runs = list(client.pages("/runs", "runs", _RUNS_LOOKED_AT, state="running"))
        waiting = [
            f"{run['id']}: {line}" for run in open_runs for line in waiting_lines(client.get(at("runs", run["id"])))
        ]
    except PlugmeshError as error:
        return Served(client.url, **known, refused=str(error))
    return Served(
        client.url,
        **known,
        instances=instances,
        unplugged=plugged.get("not_plugged_in", ()),
        switches=[switch for module in plugged.get("modules", ()) for switch in module["disabled"]],
        waiting=waiting,
        looked_at=len(open_runs),
    )


def _ahead(date: str | None, now: float) -> float | None:
    """How far a `Date` header is from our time; it has whole seconds."""
    if date is None:
        return None
    try:
        there = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    difference = there - now
    return difference if difference > 0 else min(0.0, difference + 1)
