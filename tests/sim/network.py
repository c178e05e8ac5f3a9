"""What lies between simulated processes: links that delay, break and freeze."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.sim.process import SimProcess


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is. Chances are per message; `slow` is the chance of a delay of up to `slow_s`.

    `drop` and `repeat` are for topics that are not kept; `again` is that of a kept message sent a second time.
    """

    drop: float = 0.0
    repeat: float = 0.0
    again: float = 0.0
    slow: float = 0.0
    slow_s: float = 0.0
    fast_s: float = 0.002

    def delay_s(self, dice: random.Random) -> float:
        """How long one message takes."""
        if self.slow and dice.random() < self.slow:
            return dice.uniform(0.0, self.slow_s)
        return dice.uniform(0.0001, self.fast_s)


class Link:
    """A process's way to the others. `cut` is a connection that the peer sees closed; `freeze` is silence."""

    def __init__(self, process: SimProcess) -> None:
        self.process = process
        self.is_cut = False
        self.is_frozen = False
        self.listeners: list[Callable[[], None]] = []
        self.until = 0.0
        process.on_death.append(self._tell)

    @property
    def up(self) -> bool:
        """Messages pass."""
        return self.process.alive and not self.is_cut and not self.is_frozen

    def cut(self, seconds: float) -> None:
        """Break the connection; it can be made again after `seconds`."""
        self.is_cut = True
        self._again(seconds)

    def freeze(self, seconds: float) -> None:
        """Let nothing through for `seconds`, without anybody being told."""
        self.is_frozen = True
        self._again(seconds)

    def _again(self, seconds: float) -> None:
        loop = self.process.house.loop
        self.until = max(self.until, loop.time() + seconds)
        self._tell()
        self.process.house.outside(self.until, self._mend)

    def _mend(self) -> None:
        if self.process.alive and self.process.house.loop.time() >= self.until and not self.up:
            self.process.house.note(self.process.name, "link is back")
            self.is_cut = self.is_frozen = False
            self._tell()

    def _tell(self) -> None:
        for listener in tuple(self.listeners):
            listener()
