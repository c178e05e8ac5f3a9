"""What a server is to the command: what each file of this package defines once."""

import json
import signal
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.real_servers.folders import Folders
from scripts.real_servers.ports import port_of, recorded_port

# The name and password of everything here. It listens on 127.0.0.1 only and holds nothing but what tests write.
USER, PASSWORD = "plugmesh", "plugmesh-tests"


class Server(ABC):
    """One kind of server. Objects hold no state: what is known about a running one stands in its folder.

    In the order of a life: `install` once a machine, `prepare` and `command` at each start, `ready` until it says so,
    `stop_by` at the end.
    """

    name: str
    ports: Sequence[str] = ("main",)
    stop_by: signal.Signals = signal.SIGTERM

    def __init__(self, folders: Folders) -> None:
        self.folders = folders

    @property
    def folder(self) -> Path:
        return self.folders.of_server(self.name)

    @abstractmethod
    def installed(self) -> bool:
        """Whether `install` has nothing to do."""

    @abstractmethod
    def install(self) -> None:
        """Downloads or builds it. Raises Problem with what the tool said."""

    def prepare(self, ports: Mapping[str, int]) -> None:  # noqa: B027 - most have nothing to do
        """Writes its settings, and makes its data folder where there is none."""

    @abstractmethod
    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        """The command that runs it in the foreground."""

    def environ(self) -> Mapping[str, str]:
        return {}

    @abstractmethod
    def ready(self) -> bool:
        """Whether it answers a real request now."""

    @abstractmethod
    def urls(self) -> Mapping[str, str]:
        """Environment variable to URL; the first one is what `status` shows."""

    def choose_ports(self) -> Mapping[str, int]:
        return {purpose: port_of(self.folder, purpose) for purpose in self.ports}

    def port(self, purpose: str = "main") -> int:
        return recorded_port(self.folder, purpose)


def answers(url: str, headers: Mapping[str, str] | None = None) -> object | None:
    """The JSON (or True for anything else) that `url` answers with status 200; None if it does not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=2) as response:
            body = response.read()
    except (OSError, urllib.error.URLError):
        return None
    try:
        found: object = json.loads(body)
    except ValueError:
        return True
    return found
