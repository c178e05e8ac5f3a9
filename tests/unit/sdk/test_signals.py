"""What signals mean to a supervisor."""

from __future__ import annotations

import asyncio
import os
import signal

from module_sdk.supervisor.signals import ASKED_BY_SERVER, Signals
from tests.waiting import wait_until


async def test_only_a_second_signal_of_people_hurries() -> None:
    hurried: list[int] = []
    signals = Signals(lambda: hurried.append(1))
    loop = asyncio.get_running_loop()
    signals.listen(loop)
    try:
        for _ in range(3):
            os.kill(os.getpid(), ASKED_BY_SERVER)
        await wait_until(signals.asked.is_set)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), ASKED_BY_SERVER)
        await wait_until(lambda: signals._by_people == 1)
        assert not hurried
        os.kill(os.getpid(), signal.SIGINT)
        await wait_until(lambda: hurried)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, ASKED_BY_SERVER):
            loop.remove_signal_handler(number)
