"""How far attempts are, on its way to the supervisor: a call by user code only leaves a note, a thread takes it along."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from module_sdk.frames import Kind, frame
from plugmesh.contracts.messages import Assign, Progressed

EVERY_S = 0.25
LONG_S = 1.0
"""The last note of an attempt that took at least so long is told; of a shorter one nobody hears."""
_MESSAGE_CHARS = 500

Note = tuple[float, float | None, str]


@dataclass(slots=True, eq=False)
class _Notes:
    assign: Assign
    began: float
    note: Note | None = None
    told: Note | None = None
    begun: bool = False


class ProgressTeller:
    """Sends frames for what has changed, a few times a second. `send` may be called from its thread."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._notes: dict[int, _Notes] = {}
        self._thread: threading.Thread | None = None

    def teller(self, number: int, assign: Assign) -> Callable[[float, float | None, str], None]:
        """What user code calls for the attempt that the supervisor knows as `number`: at most a microsecond."""
        notes = _Notes(assign, time.monotonic())

        def tell(done: float, total: float | None, message: str) -> None:
            notes.note = (done, total, message)
            if not notes.begun:
                self._begin(number, notes)

        return tell

    def end(self, number: int) -> None:
        """The attempt is over; called before its result is sent."""
        notes = self._notes.pop(number, None)
        if notes is not None and time.monotonic() - notes.began >= LONG_S:
            self._tell(number, notes)

    def _begin(self, number: int, notes: _Notes) -> None:
        notes.begun = True
        self._notes[number] = notes
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="plugmesh-progress", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            for number, notes in list(self._notes.items()):
                self._tell(number, notes)
            if not self._notes:
                self._thread = None
                if not self._notes:  # else one began just now and trusts in this thread
                    return
                self._thread = threading.current_thread()

    def _tell(self, number: int, notes: _Notes) -> None:
        note = notes.note
        if note is None or note is notes.told:
            return
        notes.told = note
        done, total, message = note
        who = notes.assign
        progressed = Progressed(
            instance=who.instance,
            run=who.run,
            step=who.step,
            epoch=who.epoch,
            done=done,
            total=total,
            message=message[:_MESSAGE_CHARS].encode("utf-8", "replace").decode(),
        )
        try:
            self._send(frame(Kind.PROGRESS, number, progressed.encode()))
        except OSError:  # the supervisor is gone, and so is this process in a moment
            return
