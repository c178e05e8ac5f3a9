"""Clients that carry out orders over HTTP, through every outage: what they were told is kept in receipts."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.wire import PASSING, ask
from tests.chaos.workload import REDRIVE, Order

THREADS = 5
_RUNS = "/api/v1/runs"
_ENDED = frozenset({"succeeded", "failed", "cancelled", "timed_out"})
_EVERY_S = 1.0


@dataclass(slots=True)
class Receipt:
    """What a client was told about its order. `cancelled` is the state that the answer to a cancel named."""

    order: Order
    run: str = ""
    rerun: str = ""
    cancelled: str = ""
    resumed: bool = False
    requests: int = 0
    problems: list[str] = field(default_factory=list)


Deed = Callable[[], float | None]
"""Something to do: `None` when it is done, else after how many seconds it is to be tried again."""


class Clients:
    """Some threads with one agenda."""

    def __init__(self, port: int, orders: tuple[Order, ...], seed: int) -> None:
        self.receipts = [Receipt(order) for order in orders]
        self.broken: list[str] = []
        self._port = port
        self._dice = random.Random(f"{seed} clients")
        self._agenda: list[tuple[float, int, Deed]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._at_work = 0
        self._closed = False
        self._threads = [threading.Thread(target=self._work, name=f"client-{n}", daemon=True) for n in range(THREADS)]

    def start(self) -> None:
        """Begin now; returns at once."""
        for receipt in self.receipts:
            self._later(receipt.order.at_s, self._submission(receipt))
        for thread in self._threads:
            thread.start()

    @property
    def idle(self) -> bool:
        """All that was wanted has been answered."""
        with self._changed:
            return not self._agenda and not self._at_work

    def close(self) -> None:
        """Forget what is left to do, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    # -- the agenda ----------------------------------------------------------------------------------------------------

    def _later(self, seconds: float, deed: Deed) -> None:
        with self._changed:
            heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._numbers), deed))
            self._changed.notify()

    def _work(self) -> None:
        while (deed := self._next()) is not None:
            try:
                again = deed()
                if again is not None:
                    self._later(again, deed)
            except Exception as error:  # noqa: BLE001  nobody may believe that its order was carried out
                self.broken.append(f"a client broke: {type(error).__name__}: {error}")
            finally:
                with self._changed:
                    self._at_work -= 1

    def _next(self) -> Deed | None:
        with self._changed:
            while not self._closed:
                wait_s = self._agenda[0][0] - time.monotonic() if self._agenda else None
                if wait_s is not None and wait_s <= 0:
                    self._at_work += 1
                    return heapq.heappop(self._agenda)[2]
                self._changed.wait(wait_s)
        return None

    # -- what clients do -----------------------------------------------------------------------------------------------

    def _submission(self, receipt: Receipt) -> Deed:
        job, order = receipt.order.job, receipt.order
        body = {"flow": job.flow, "params": job.params, "labels": {"order": job.label}, "priority": order.priority}

        def submit() -> float | None:
            answer = self._post(receipt, _RUNS, body, job.label)
            if answer is None:
                return self._patience()
            if receipt.run not in {"", answer.get("id")}:
                receipt.problems.append(f"the same key made {receipt.run} and {answer.get('id')}")
            first, receipt.run = not receipt.run, answer.get("id", "")
            if first and receipt.run:
                self._follow_up(receipt)
                return self._patience() if order.again else None
            return None

        return submit

    def _follow_up(self, receipt: Receipt) -> None:
        order, path = receipt.order, f"{_RUNS}/{receipt.run}"
        if order.cancel_after_s is not None:
            self._later(order.cancel_after_s, self._cancel(receipt, path))
        if order.pause_after_s is not None:
            self._later(order.pause_after_s, self._pause(receipt, path))
        if order.rerun:
            self._later(_EVERY_S, self._rerun(receipt, path))

    def _cancel(self, receipt: Receipt, path: str) -> Deed:
        def cancel() -> float | None:
            answer = self._post(receipt, f"{path}/cancel", {"reason": "chaos"})
            if answer is None:
                return self._patience()
            receipt.cancelled = str(answer.get("state"))
            return None

        return cancel

    def _pause(self, receipt: Receipt, path: str) -> Deed:
        def pause() -> float | None:
            if self._post(receipt, f"{path}/pause", {"reason": "chaos"}, ended=409) is None:
                return self._patience()
            self._later(receipt.order.resume_after_s, resume)
            return None

        def resume() -> float | None:
            if self._post(receipt, f"{path}/resume", {"reason": "chaos"}, ended=409) is None:
                return self._patience()
            receipt.resumed = True
            return None

        return pause

    def _rerun(self, receipt: Receipt, path: str) -> Deed:
        def rerun() -> float | None:
            _, run = ask(self._port, "GET", path)
            if not isinstance(run, dict) or run.get("state") not in _ENDED:
                return _EVERY_S
            if run["state"] != receipt.order.job.ends:
                return None  # which is wrong, and seen later
            make = self._redriven if receipt.order.rerun == REDRIVE else self._run_again
            made = make(receipt, path)
            if made is None:
                return self._patience()
            receipt.rerun = made
            return None

        return rerun

    def _run_again(self, receipt: Receipt, path: str) -> str | None:
        job = receipt.order.job
        body = {"from": receipt.order.rerun} | ({"params": job.mended} if job.mended else {})
        answer = self._post(receipt, f"{path}/rerun", body, f"{job.label}-again")
        return None if answer is None else str(answer.get("id", ""))

    def _redriven(self, receipt: Receipt, path: str) -> str | None:
        _, page = ask(self._port, "GET", f"/api/v1/dlq?run={receipt.run}")
        if not isinstance(page, dict) or "letters" not in page:
            return None
        if len(page["letters"]) != 1:
            receipt.problems.append(f"run {receipt.run} left {len(page['letters'])} dead letters, not 1")
            return ""
        answer = self._post(receipt, f"/api/v1/dlq/{page['letters'][0]['id']}/redrive", {})
        return None if answer is None else str(answer.get("run", ""))

    def _post(
        self, receipt: Receipt, path: str, body: dict[str, Any], key: str = "", ended: int = 0
    ) -> dict[str, Any] | None:
        """The answer; empty for a refusal, which is kept as a problem unless its status is `ended`; `None`: again."""
        receipt.requests += 1
        status, answer = ask(self._port, "POST", path, body, key)
        if status in PASSING:
            return None
        if 200 <= status < 300 and isinstance(answer, dict):
            return answer
        if status != ended:
            receipt.problems.append(f"POST {path}: {status} {answer}")
        return {}

    def _patience(self) -> float:
        return self._dice.uniform(0.1, 1.0)
