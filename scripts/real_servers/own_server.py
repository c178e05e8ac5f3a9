"""A server for one test alone, which may hurt it."""

import os
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals

from scripts.real_servers import life
from scripts.real_servers.server import Server


class OwnServer:
    """A server that belongs to one test, which may do anything to it. Its data and its port outlive stops and kills."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def address(self) -> str:
        """What its environment variable would say: `127.0.0.1:PORT`, or a URL."""
        return next(iter(self._server.urls().values()))

    @property
    def urls(self) -> dict[str, str]:
        return dict(self._server.urls())

    @property
    def port(self) -> int:
        return self._server.port()

    @property
    def pid(self) -> int:
        process = life.running(self._server)
        assert process is not None, f"{self._server.name} is not running"
        return process.pid

    def start(self) -> None:
        """Starts it on the data that it had, and returns when it answers."""
        life.start(self._server)

    def stop(self, *, wipe: bool = False) -> None:
        self.resume()
        life.stop(self._server, wipe=wipe)

    def kill(self) -> None:
        """Ends it as a machine without power would."""
        process = life.running(self._server)
        if process is not None:
            process.signal(SIGKILL)
            process.wait_gone(10)

    def pause(self) -> None:
        """Its connections stay open, and nothing answers."""
        self._signal(SIGSTOP)

    def resume(self) -> None:
        self._signal(SIGCONT)

    def _signal(self, number: Signals) -> None:
        process = life.running(self._server)
        if process is not None:
            os.killpg(process.pid, number)
