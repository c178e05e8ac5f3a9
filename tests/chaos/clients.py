"""Clients that carry out orders over HTTP, through every outage: what they were told is kept in receipts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.agenda import Agenda, Deed
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


class Clients:
    """Some threads with one agenda. Each request goes to one of the gateways at `ports`, whichever."""

    def __init__(self, ports: Sequence[int], orders: tuple[Order, ...], seed: int) -> None:
        self.receipts = [Receipt(order) for order in orders]
        self.agenda = Agenda(THREADS)
        self._ports = ports
        self._dice = random.Random(f"{seed} clients")

    def start(self) -> None:
        """Begin now; returns at once."""
        for receipt in self.receipts:
            self.agenda.later(receipt.order.at_s, self._submission(receipt))
        self.agenda.start()

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
            self.agenda.later(order.cancel_after_s, self._cancel(receipt, path))
        if order.pause_after_s is not None:
            self.agenda.later(order.pause_after_s, self._pause(receipt, path))
        if order.rerun:
            self.agenda.later(_EVERY_S, self._rerun(receipt, path))

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
            self.agenda.later(receipt.order.resume_after_s, resume)
            return None

        def resume() -> float | None:
            if self._post(receipt, f"{path}/resume", {"reason": "chaos"}, ended=409) is None:
                return self._patience()
            receipt.resumed = True
            return None

        return pause

    def _rerun(self, receipt: Receipt, path: str) -> Deed:
        def rerun() -> float | None:
            _, run = ask(self._dice.choice(self._ports), "GET", path)
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
        _, page = ask(self._dice.choice(self._ports), "GET", f"/api/v1/dlq?run={receipt.run}")
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
        status, answer = ask(self._dice.choice(self._ports), "POST", path, body, key)
        if status in PASSING:
            return None
        if 200 <= status < 300 and isinstance(answer, dict):
            return answer
        if status != ended:
            receipt.problems.append(f"POST {path}: {status} {answer}")
        return {}

    def _patience(self) -> float:
        return self._dice.uniform(0.1, 1.0)
