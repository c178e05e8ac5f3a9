"""Looks at the mesh from outside, all the time: which process was which instance, and what a person would have to lift."""

from __future__ import annotations

import threading

from tests.chaos.wire import ask

EVERY_S = 0.5


class Watcher:
    """A thread. `pids` are the processes of all instances that were ever seen.

    Executors that are killed look like a module that kills them, so the mesh quarantines modules; the person who
    looks after this mesh knows better, and enables them again.
    """

    def __init__(self, port: int) -> None:
        self.pids: dict[str, int] = {}
        self.lifted = 0
        self._port = port
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(EVERY_S):
            _, answer = ask(self._port, "GET", "/api/v1/instances")
            for instance in (answer or {}).get("instances", ()):
                self.pids[instance["id"]] = instance["pid"]
            _, answer = ask(self._port, "GET", "/api/v1/modules")
            for module in (answer or {}).get("modules", ()):
                if module.get("disabled"):
                    self._lift(module["name"])

    def _lift(self, name: str) -> None:
        status, _ = ask(self._port, "POST", f"/api/v1/modules/{name}/enable", {"reason": "chaos killed it"})
        self.lifted += status == 200
