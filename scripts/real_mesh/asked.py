"""What one asks of a mesh from outside: its API, its figures, and the command."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from scripts.real_mesh.member import Member

PLUGMESH = str(Path(sys.executable).with_name("plugmesh"))
ENDED = frozenset({"succeeded", "failed", "cancelled", "timed_out"})
TIMEOUT_S = 30.0
COMMAND_S = 120.0
PATIENCE_S = 180.0
"""Only bounds how long it takes until something that is broken is called so."""
LOOK_EVERY_S = 0.05
T = TypeVar("T")


class Refused(Exception):
    """A command or a request that was not carried out; the message is what it said."""


class NotReady(Exception):
    """Something did not come about; the message says what, and how the logs end."""


class Asked(ABC):
    """Whoever knows a gateway. `token` is said to it, where it asks for one."""

    environment: Mapping[str, str]
    token: str = ""

    @property
    @abstractmethod
    def url(self) -> str:
        """Of a gateway, without a slash at the end."""

    @abstractmethod
    def said(self) -> str:
        """How all logs end."""

    def gone(self) -> list[str]:
        """Who ended that should run, in words."""
        return []

    def ask(self, path: str, member: Member | None = None, timeout_s: float = TIMEOUT_S) -> Any:
        """What a gateway, or this member, answers; None if it does not, or not with a status below 300."""
        url = f"http://127.0.0.1:{member.port}" if member else self.url
        try:
            with self._open(urllib.request.Request(f"{url}{path}"), timeout_s) as answer:
                body = answer.read()
        except OSError:
            return None
        return json.loads(body) if "json" in answer.headers.get("content-type", "") else body.decode()

    def post(self, path: str, document: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> Any:
        """The answer. Raises Refused for a refusal, OSError where nobody answers."""
        body, headers = json.dumps(document).encode(), {"content-type": "application/json"}
        try:
            with self._open(urllib.request.Request(f"{self.url}{path}", body, headers), timeout_s) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise Refused(f"POST {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def submit(self, flow: Mapping[str, Any], **params: Any) -> str:
        """Submit a flow's document; the run's id. Raises as `post`."""
        return str(self.post("/api/v1/runs", {"flow": flow, "params": params})["id"])

    def show(self, run: str, wait_s: float = 0) -> Any:
        """The run as the API shows it, at once or when it has ended, but at most after `wait_s`; None without an answer."""
        return self.ask(f"/api/v1/runs/{run}?wait_s={wait_s:g}", timeout_s=TIMEOUT_S + wait_s)

    def ended(self, run: str) -> Any:
        """The run, if it has ended; waits for that for a second."""
        shown = self.show(run, wait_s=1)
        return shown if shown and shown["state"] in ENDED else None

    def finish(self, run: str, state: str = "succeeded", within_s: float = PATIENCE_S) -> Any:
        """Follow a run to its end, which must be `state`. Raises NotReady."""
        shown = self.until(lambda: self.ended(run), f"{run} does not end", within_s)
        if shown["state"] != state:
            raise NotReady(f"{run} is {shown['state']}: {shown}\n{self.said()}")
        return shown

    def until(self, predicate: Callable[[], T], message: str, within_s: float = PATIENCE_S) -> T:
        """Wait until it is so; what it was then. Raises NotReady, at once if somebody ended who should run."""
        deadline = time.monotonic() + within_s
        while not (answer := predicate()):
            gone = self.gone()
            if gone or time.monotonic() > deadline:
                raise NotReady(f"{message} after {within_s:g} s; {', '.join(gone)}\n{self.said()}")
            time.sleep(LOOK_EVERY_S)
        return answer

    def palette(self) -> set[str]:
        """The modules that somebody serves."""
        answer = self.ask("/api/v1/modules") or {"modules": ()}
        return {module["name"] for module in answer["modules"] if module["live"]}

    def figure(self, member: Member, name: str) -> float | None:
        """A figure of its `/metrics`, all its labels added up; None as long as it does not answer."""
        text = self.ask("/metrics", member, 5.0)
        if text is None:
            return None
        lines = [line.rpartition(" ") for line in str(text).splitlines() if not line.startswith("#")]
        return sum(float(value) for head, _, value in lines if head.partition("{")[0] == name)

    def command(self, *arguments: str, code: int = 0, within_s: float = COMMAND_S) -> str:
        """Run a `plugmesh` command against the gateway to its end; what it printed. Raises Refused if it exits otherwise."""
        done = subprocess.run(
            [PLUGMESH, *arguments], env={**self.environment, "PLUGMESH_URL": self.url}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=within_s,
        )  # fmt: skip
        if done.returncode != code:
            said = f"{done.stdout}{done.stderr}"
            raise Refused(f"plugmesh {' '.join(arguments)} exited with {done.returncode}\n{said}")
        return done.stdout

    def _open(self, request: urllib.request.Request, timeout_s: float) -> Any:
        if self.token:
            request.add_header("authorization", f"Bearer {self.token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the machine's is not for 127.0.0.1
        return opener.open(request, timeout=timeout_s)
