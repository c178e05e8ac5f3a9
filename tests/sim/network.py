"""What lies between simulated processes: links that delay, break and freeze."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
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
    """A process's way to the others. `cut` is a connection that the peer sees closed; the rest is silence: `freeze` both
    ways, `mute` only what the process sends, `deaf` only what it is sent."""

    def __init__(self, process: SimProcess) -> None:
        self.process = process
        self.is_cut = False
        self._is_frozen = self._is_mute = self._is_deaf = False
        self.listeners: list[Callable[[], None]] = []
        self.until = 0.0
        process.on_death.append(self._tell)

    @property
    def up(self) -> bool:
        """Messages pass, both ways."""
        return self.sends and self.hears

    @property
    def sends(self) -> bool:
        """What the process sends gets through."""
        return self.process.alive and not (self.is_cut or self._is_frozen or self._is_mute)

    @property
    def hears(self) -> bool:
        """What is sent to the process gets through."""
        return self.process.alive and not (self.is_cut or self._is_frozen or self._is_deaf)

    @property
    def is_silent(self) -> bool:
        """Something does not get through, and nobody is told."""
        return self._is_frozen or self._is_mute or self._is_deaf

    def cut(self, seconds: float) -> None:
        """Break the connection; it can be made again after `seconds`."""
        self.is_cut = True
        self._again(seconds)

    def freeze(self, seconds: float) -> None:
        """Let nothing through for `seconds`."""
        self._is_frozen = True
        self._again(seconds)

    def mute(self, seconds: float) -> None:
        """Let nothing out for `seconds`."""
        self._is_mute = True
        self._again(seconds)

    def deafen(self, seconds: float) -> None:
        """Let nothing in for `seconds`."""
        self._is_deaf = True
        self._again(seconds)

    def _again(self, seconds: float) -> None:
        loop = self.process.house.loop
        self.until = max(self.until, loop.time() + seconds)
        self._tell()
        self.process.house.outside(self.until, self._mend)

    def _mend(self) -> None:
        if self.process.alive and self.process.house.loop.time() >= self.until and not self.up:
            self.process.house.note(self.process.name, "link is back")
            self.is_cut = self._is_frozen = self._is_mute = self._is_deaf = False
            self._tell()

    def _tell(self) -> None:
        for listener in tuple(self.listeners):
            listener()


class Walls:
    """Who cannot reach whom, one way each: partitions of the network, by the names of processes."""

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()
        self.listeners: list[Callable[[], None]] = []

    def between(self, sender: str, receiver: str) -> bool:
        """What `sender` sends does not get to `receiver`."""
        return (sender, receiver) in self._pairs

    def build(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Let nothing from the first to the second of each pair."""
        self._pairs.update(pairs)

    def tear_down(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Let it through again."""
        self._pairs.difference_update(pairs)
        for listener in tuple(self.listeners):
            listener()
