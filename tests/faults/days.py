"""A mesh whose bad days are made: a gateway, two schedulers and two module processes, on servers of its own, each server behind a
fault proxy.

Every day is the same: `load` submits runs, the test does harm while they go on, `finish` wants all of them to succeed with the
right result, and `check` reads database and objects with the checker.
"""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime
from plugmesh.state.database import Database
from scheduler.invariants.check import check
from scripts.real_mesh import RealMesh, Urls, addresses_of, new_servers, room
from scripts.real_servers import rooms
from scripts.real_servers.own_server import OwnServer
from tests.faults.http import HttpProxy
from tests.faults.proxy import FaultProxy
from tests.faults.urls import place_of, through
from tests.faults.wires import CommitWire, KafkaWire
from tests.faults.work import MODULES, NAMES, expected, flow, result_of

PROXIES: Mapping[str, Callable[..., FaultProxy]] = {
    "kafka": partial(FaultProxy, wire=KafkaWire),
    "postgres": partial(FaultProxy, wire=CommitWire),
    "mariadb": partial(FaultProxy, wire=CommitWire),
    "consul": FaultProxy,
    "minio": HttpProxy,
}
SETTINGS = {"kafka": "bus", "postgres": "state", "consul": "discovery", "minio": "objects"}
FINISH_S = 180.0
_PATIENCE = {
    "postgresql": "SET idle_in_transaction_session_timeout = 0",
    "mysql": "SET SESSION idle_transaction_timeout = 0",
}
"""The checker reads objects while its transaction says nothing, which may take long on a busy machine."""


class Days:
    """`proxies` and `servers` are named as `scripts/servers` names them."""

    def __init__(
        self, mesh: RealMesh, servers: dict[str, OwnServer], proxies: dict[str, FaultProxy], real: Urls, seed: int
    ) -> None:
        self.mesh, self.servers, self.proxies, self.real, self.seed = mesh, servers, proxies, real, seed
        self._submitted: list[str] = []
        self._held = mesh.folder / "held"
        """Held steps wait as long as it is there."""

    def begin(self) -> None:
        """Start everybody and wait until they can work."""
        (self.mesh.folder / "days.py").write_text(MODULES)
        self.mesh.gateway()
        for _ in range(2):
            self.mesh.scheduler()
            self.modules()
        self.mesh.wait_until_ready(*NAMES)

    def modules(self, slots: int = 3) -> Any:
        """One more process that serves the modules."""
        return self.mesh.modules(self.mesh.folder / "days.py", slots=slots)

    # -- work ----------------------------------------------------------------------------------------------------------

    def load(self, runs: int, ms: int = 50, *, held: bool = False) -> list[str]:
        """Submit runs, each of three steps of which two take so long. `held`: the first step does not end before `let_go`."""
        if held:
            self._held.touch()
        submission = {"flow": flow(ms, str(self._held) if held else "")}
        made = [self._submit(submission) for _ in range(runs)]
        self._submitted += made
        return made

    def let_go(self) -> None:
        """Steps that are held go on."""
        self._held.unlink(missing_ok=True)

    def _submit(self, document: Mapping[str, Any]) -> str:
        """As a client does that has a key: again, until it is answered."""
        headers = {"content-type": "application/json", "idempotency-key": uuid.uuid4().hex}
        deadline = time.monotonic() + FINISH_S
        while True:
            request = urllib.request.Request(f"{self.mesh.url}/api/v1/runs", json.dumps(document).encode(), headers)
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                    return str(json.loads(answer.read())["id"])
            except OSError as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"nothing can be submitted: {error}\n{self.mesh.said()}") from error
                time.sleep(0.2)

    def finish(self, runs: list[str], within_s: float = FINISH_S) -> None:
        """All of them succeed with the right result, and nobody who should run has ended."""
        deadline = time.monotonic() + within_s
        for run in runs:
            left_s = max(1.0, deadline - time.monotonic())
            shown = self.mesh.until(partial(self.mesh.ended, run), f"{run} does not end", left_s)
            assert shown["state"] == "succeeded", f"{shown}\n{self.mesh.said()}"
            assert result_of(shown) == expected(), shown

    def check(self, *, hashes: bool = False) -> None:
        """Database and objects are as they must be, with `hashes` to the last byte. Reads past the proxies."""
        database = Database(self.real.state)
        try:
            with database.connect() as connection:
                connection.exec_driver_sql(_PATIENCE[connection.dialect.name])
                store = open_store(self.real.objects, SystemRuntime())
                report = check(connection, store, hashes=hashes, submitted=self._submitted)
        finally:
            database.close()
        assert not report.violations, [str(violation) for violation in report.violations]

    def at_work(self, runs: list[str]) -> int:
        """How many of their steps are known to be running."""
        shown = [self.mesh.show(run) or {"steps": ()} for run in runs]
        return sum(step["state"] == "running" for one in shown for step in one["steps"])

    def until_begun(self, runs: list[str]) -> None:
        """Until a step of some of them is at work."""
        self.mesh.until(lambda: any(self.at_work([run]) for run in runs), "no step begins")

    def unfinished(self, runs: list[str]) -> int:
        """How many of them have not ended."""
        path = "/api/v1/runs?state=queued,running,cancelling,paused&limit=500"
        page = self.mesh.until(lambda: self.mesh.ask(path), "the gateway does not answer")
        return len({run["id"] for run in page["runs"]}.intersection(runs))

    # -- servers and what stands before them ---------------------------------------------------------------------------

    def until_met(self, fault: str, names: Iterable[str]) -> None:
        """Until something has met this fault on the way to each of these servers, or back."""
        for name in names:
            met = self.proxies[name].met
            self.mesh.until(partial(met.__getitem__, fault), f"nothing is {fault} at {name}")

    @property
    def database(self) -> FaultProxy:
        """The proxy before the database, whichever it is."""
        return next(self.proxies[name] for name in ("postgres", "mariadb") if name in self.proxies)

    @property
    def database_server(self) -> OwnServer:
        return next(self.servers[name] for name in ("mariadb", "postgres") if name in self.servers)

    # -- the days ------------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Everything that was done to servers, processes and connections is undone, and forgotten."""
        self.let_go()
        for server in self.servers.values():
            server.resume()
            server.start()
        for proxy in self.proxies.values():
            proxy.heal()
            proxy.met.clear()
        for member in self.mesh.members.values():
            if member.running:
                member.resume()
        self.mesh.wait_until_ready(*NAMES)


@contextmanager
def bad_days(folder: Path, seed: int, database: str = "postgres") -> Iterator[Days]:
    """The mesh, until the block ends."""
    with ExitStack() as stack:
        servers = stack.enter_context(new_servers(folder, ("kafka", "postgres", "consul", "minio")))
        real = stack.enter_context(room(addresses_of(servers)))
        settings = dict(SETTINGS)
        if database == "mariadb":
            servers |= stack.enter_context(new_servers(folder / "mariadb", ("mariadb",)))
            url = stack.enter_context(rooms.mariadb_database(servers["mariadb"].address, "days"))
            real = replace(real, state=url)
            settings = {"mariadb" if name == "postgres" else name: setting for name, setting in SETTINGS.items()}
        urls, proxies = real, {}
        for number, (name, setting) in enumerate(settings.items()):
            proxy = PROXIES[name](place_of(servers[name].address), seed=seed + number)
            stack.callback(proxy.close)
            proxies[name] = proxy
            urls = replace(urls, **{setting: through(getattr(urls, setting), proxy)})
        mesh = stack.enter_context(RealMesh(folder / "mesh", urls))
        days = Days(mesh, servers, proxies, real, seed)
        days.begin()
        yield days
        days.check(hashes=True)
        problems = mesh.close()
        assert not problems, problems
