"""How long a module's steps take, measured, and how many more than its slots an instance is therefore sent."""

from __future__ import annotations

_WEIGHT = 0.2
_TIERS = ((0.001, 32), (0.005, 8), (0.1, 1))
"""Attempts ahead while steps are shorter than so many seconds."""


class Durations:
    """A moving average of the wall time of each module's steps."""

    def __init__(self) -> None:
        self._mean_s: dict[str, float] = {}

    def saw(self, module: str, wall_s: float) -> None:
        """A step of `module` took `wall_s`."""
        before = self._mean_s.get(module)
        self._mean_s[module] = wall_s if before is None else before + _WEIGHT * (wall_s - before)

    def ahead(self, module: str) -> int:
        """Attempts to queue per slot beyond the one that runs.

        32 while steps are shorter than 1 ms, 8 up to 5 ms: the round trip is then longer than the step, and more at a
        time is cheaper for everybody. 1 up to 100 ms, 0 above and while nothing is known: a step that waits behind a
        long one would be faster elsewhere.
        """
        mean = self._mean_s.get(module)
        if mean is None:
            return 0
        return next((ahead for shorter_s, ahead in _TIERS if mean < shorter_s), 0)
