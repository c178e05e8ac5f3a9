"""The first contact with the services that a process needs: a wrong setting ends the process, an outage is waited for.

A host that nobody knows, or where nobody listens, may be a service that is not up yet: that is an outage, too.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from plugmesh.bus.port import Bus
from plugmesh.contracts.messages import RUNS
from plugmesh.discovery.port import Discovery
from plugmesh.errors import ConfigurationError, NotReachable, StateUnavailable, Unauthorized
from plugmesh.runtime import Runtime

AGAIN_S = 1.0
SAY_AGAIN_S = 30.0
"""The same outage is told again after this time, another one sooner."""
SAY_OTHER_S = 5.0
OUTAGES: tuple[type[Exception], ...] = (NotReachable, StateUnavailable)
T = TypeVar("T")
_log = logging.getLogger(__name__)


async def first_contact(
    reach: Callable[[], Awaitable[T]],
    runtime: Runtime,
    *,
    outages: tuple[type[Exception], ...] = OUTAGES,
    say: Callable[[str], object] = _log.warning,
) -> T:
    """What `reach` gives; as long as it raises an outage it is called again, for ever, and `say` is told now and then.

    Raises whatever else `reach` raises, `Unauthorized` as a `ConfigurationError`.
    """
    outage: _Outage | None = None
    while True:
        try:
            reached = await reach()
        except Unauthorized as error:
            raise ConfigurationError(str(error)) from error
        except outages as error:
            outage = outage or _Outage(runtime, say)
            outage.goes_on(str(error))
            await runtime.sleep(AGAIN_S * runtime.random().uniform(0.5, 1.5))
        else:
            if outage is not None:
                outage.ended()
            return reached


class _Outage:
    """What was said of it, and when."""

    def __init__(self, runtime: Runtime, say: Callable[[str], object]) -> None:
        self._runtime, self._say = runtime, say
        self._since = self._said_at = runtime.now()
        self._said = ""

    def goes_on(self, text: str) -> None:
        now = self._runtime.now()
        quiet_s = SAY_AGAIN_S if text == self._said else SAY_OTHER_S
        if self._said and now < self._said_at + quiet_s:
            return
        self._said, self._said_at = text, now
        self._say(f"waiting ({now - self._since:.0f} s so far; tried again until it works): {text}")

    def ended(self) -> None:
        self._say(f"everything that is needed answers now, after {self._runtime.now() - self._since:.0f} s")


async def check_services(bus: Bus, discovery: Discovery) -> None:
    """Ask both for what a process does with them. Raises `ConfigurationError` or `Unauthorized` for what only a setting can
    change, and `NotReachable` for an outage; all name the setting."""
    await bus.end(RUNS, 0)
    await discovery.check()
