"""What the demo does with a mesh, whatever it consists of: real processes, all started here and all ended here."""

import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
HERE = Path(__file__).parent
PLUGMESH = [sys.executable, "-P", "-m", "plugmesh"]
PATIENCE_S = 180.0


class Failed(Exception):
    """Something did not happen as it should; the message says what."""


class Mesh(ABC):
    """A folder, and a mesh that is started, hurt and ended."""

    killing: str
    """What `kill_in_the_middle` does, as a person would say it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it answers."""

    @abstractmethod
    def up(self) -> str:
        """Start it; returns when the built-in modules are on the palette. Says what was started."""

    @abstractmethod
    def serve(self, file: str) -> None:
        """Start a process with the modules of a file of the demo."""

    @abstractmethod
    def kill_in_the_middle(self) -> None:
        """`kill -9` of what runs flows."""

    @abstractmethod
    def come_back(self) -> str:
        """Until the mesh works again after that. Says how that came about."""

    @abstractmethod
    def close(self) -> None:
        """End every process that was started here."""

    @abstractmethod
    def last_words(self) -> str:
        """How its logs end."""

    @abstractmethod
    def has_ended(self) -> bool:
        """Whether somebody has ended by himself, so that there is nothing to wait for."""

    # -- the command -------------------------------------------------------------------------------------------------

    def plugmesh(self, *arguments: str) -> str:
        """Run a command to its end. Raises Failed with what it said."""
        environment = {**os.environ, "PLUGMESH_URL": self.url}
        done = subprocess.run([*PLUGMESH, *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}\nThe mesh said:\n{self.last_words()}"
            raise Failed(f"plugmesh {' '.join(arguments)} exited with {done.returncode}\n{said}")
        return done.stdout

    def ask(self, *arguments: str) -> Any:
        """What a command answers with --json."""
        return json.loads(self.plugmesh(*arguments, "--json"))

    def submit(self, flow: str, *arguments: str) -> str:
        """Submit a flow of the demo; the run's id."""
        return str(self.ask("run", str(HERE / flow), *arguments)["id"])

    def palette(self) -> set[str]:
        """The modules that somebody serves; none while there is no mesh."""
        try:
            return {module["name"] for module in self.ask("modules") if module["live"]}
        except Failed:
            return set()

    def step(self, run: str, name: str) -> dict[str, Any]:
        """One step of a run; an empty one as long as there is none."""
        steps: list[dict[str, Any]] = self.ask("show", run)["steps"]
        return next((step for step in steps if step["id"] == name), {"state": "", "epoch": 0})

    def wait_for(self, run: str, name: str, *states: str) -> dict[str, Any]:
        """Wait until a step is in one of these states."""

        def there() -> dict[str, Any] | None:
            step = self.step(run, name)
            if step["state"] == "failed":
                raise Failed(f"{name} failed: {step['error']}")
            return step if step["state"] in states else None

        found = self.until(there, f"{name} of {run} is not {' or '.join(states)}")
        assert found is not None
        return found

    def until(self, predicate: Callable[[], T], message: str) -> T:
        """Wait until it is so. Raises Failed with the mesh's log."""
        deadline = time.monotonic() + PATIENCE_S
        while not (answer := predicate()):
            if time.monotonic() > deadline or self.has_ended():
                raise Failed(f"{message}\nThe mesh said:\n{self.last_words()}")
            time.sleep(0.02)
        return answer
