"""A mesh on real servers whose processes fall into a trap: a gateway, two schedulers and a process of modules."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

from plugmesh.runtime_loader import VARIABLE as RUNTIME
from scripts.real_mesh import Member, RealMesh, Urls
from tests.crash.killing_runtime import VARIABLE as TRAP
from tests.crash.trapped import WITHIN_S, Trapped
from tests.waiting import wait_until_sync

STEPS = Path(__file__).with_name("steps.py")


class TrappedServers(Trapped):
    """See `Trapped`. The roles are those of `RealMesh`."""

    def __init__(self, folder: Path, urls: Urls) -> None:
        super().__init__(folder)
        made_by = f"{Path(__file__).with_name('killing_runtime.py')}:make"
        self.mesh = RealMesh(
            folder / "mesh", urls, {RUNTIME: made_by, TRAP: str(self.trap), "PLUGMESH_HTTP_ALLOW_PRIVATE": "127.0.0.1"}
        )
        self._numbers = itertools.count(1)
        self._fresh: Member | None = None

    def up(self) -> None:
        """Start everybody, and wait until they are ready."""
        self.mesh.gateway()
        self.mesh.wait_until_answers()
        self.mesh.scheduler()
        self.mesh.scheduler()
        self.mesh.modules(STEPS)
        self.mesh.wait_until_ready("crash.start")

    @property
    def url(self) -> str:
        return self.mesh.url

    def said(self) -> str:
        return "\n" + self.mesh.said()

    def look_after(self) -> None:
        for member in self.mesh.members.values():
            if not member.running:
                member.start()
        self.enable_modules()

    def end(self, role: str, number: signal.Signals) -> None:
        member = self.mesh.of(role)[0]
        if role == "scheduler":  # one without shards passes nothing at its end; the trap may have been faster than we
            wait_until_sync(lambda: self.mesh.shards(member) or not member.running, WITHIN_S, message=self.said())
        member.process.send_signal(number)
        member.process.wait(WITHIN_S)

    def plug_in(self, text: str) -> None:
        file = self.mesh.folder / "fresh.py"
        file.write_text(text)
        self._fresh = self.mesh.modules(file, name=f"fresh-{next(self._numbers)}")

    def plug_out(self) -> None:
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            del self.mesh.members[fresh.name]
            fresh.stop()
