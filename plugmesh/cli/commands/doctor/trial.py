"""Trying one service: how long it took, and what it means that it did not work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from plugmesh.cli.commands.doctor.check import Check, ok, problem, warning
from plugmesh.errors import ConfigurationError, PlugmeshError, Unauthorized
from plugmesh.runtime import Runtime

PATIENCE_S = 30.0
"""A service that has not done what was asked of it by then does not work."""


class Doubt(Exception):
    """It works, and somebody should look at it all the same: what was found, and what to do."""

    def __init__(self, found: str, todo: str) -> None:
        super().__init__(found)
        self.todo = todo


async def tried(
    setting: str, shown: str, origin: str, attempt: Callable[[], Awaitable[str]], runtime: Runtime
) -> Check:
    """What came of `attempt`, which says what it has done, or raises `Doubt` or an error of Plugmesh.

    `setting` is the one that decides about the service, and its name on the report; `shown` its value without secrets, `origin`
    the place where that stands.
    """
    begun = runtime.now()
    correct = f"correct the setting `{setting}` (it stands in: {origin}), then start what uses it again"
    reach = f"see whether it runs, and whether this host may reach it; else {correct}"
    try:
        async with asyncio.timeout(PATIENCE_S):
            check = ok(setting, f"{shown}: {await attempt()}")
    except Doubt as doubt:
        check = warning(setting, f"{shown}: {doubt}", doubt.todo)
    except (ConfigurationError, Unauthorized) as error:
        check = problem(setting, str(error), correct)
    except PlugmeshError as error:
        check = problem(setting, str(error), reach)
    except TimeoutError:
        check = problem(setting, f"{shown}: it did not do what was asked of it within {PATIENCE_S:g} s", reach)
    return replace(check, setting=setting, seconds=round(runtime.now() - begun, 4))
