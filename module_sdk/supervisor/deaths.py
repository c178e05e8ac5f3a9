"""What becomes of attempts whose executor ended: who is to blame, what is said, and the log that is kept."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

from module_sdk.supervisor import answers
from module_sdk.supervisor.attempts import GIVEN_BACK, Held
from module_sdk.supervisor.executor import Exit
from module_sdk.supervisor.inputs import damaged_input, is_crash
from module_sdk.supervisor.livelogs import LiveLogs
from plugmesh.contracts.run import StepError
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime

SUSPECTS = 1024


class Deaths:
    """Judges deaths of executors. `finish` is told the result of each attempt that was on one."""

    def __init__(
        self, runtime: Runtime, objects: ObjectStore, logs: LiveLogs, finish: Callable[[Held, bytes], None]
    ) -> None:
        self._runtime, self._objects, self._logs, self._finish = runtime, objects, logs, finish
        self._suspects: OrderedDict[tuple[str, str], None] = OrderedDict()

    def suspects(self, attempt: Held) -> bool:
        """Whether the attempt's step was on a shared executor that died, so that it has to run alone."""
        return attempt.key[:2] in self._suspects

    def judge(self, victims: Sequence[Held], exit: Exit) -> None:
        """`victims` are the attempts without a result that the executor ran."""
        blamed = [attempt for attempt in victims if attempt.ending is not None]
        reported = False
        for attempt in victims:
            if attempt.ending in GIVEN_BACK:
                self._finish(attempt, answers.returned(attempt.head, attempt.ending.value))
            elif attempt.ending is not None:
                self._report(attempt, answers.ended(attempt, exit), exit, None if reported else exit.log)
                reported = True
            elif exit.asked and attempt.started_at is None:  # whoever did that to a process that was just coming up
                self._finish(attempt, answers.returned(attempt.head, "executor-lost"))
            elif len(victims) == 1 and not exit.killed:
                error, convicting = answers.died(attempt, exit)
                self._report(attempt, error, exit, exit.log, convicting=convicting and not exit.asked)
                reported = True
            else:
                # Nobody knows which of them it was: none is convicted; if none is to blame yet, each runs alone next.
                if not blamed and not exit.killed:
                    self._suspect(attempt)
                self._finish(attempt, answers.returned(attempt.head, "executor-lost"))
        if not reported and exit.log is not None:
            os.close(exit.log)

    def _report(
        self, attempt: Held, error: StepError, exit: Exit, log: int | None, *, convicting: bool = False
    ) -> None:
        stats = answers.used(attempt, exit, self._runtime.now())
        told = partial(answers.failed, attempt.head, stats=stats)
        looked = is_crash(exit) and attempt.ending is None
        self._runtime.spawn(self._tell(attempt, told, log, error, convicting=convicting, looked=looked), "report")

    async def _tell(
        self,
        attempt: Held,
        told: Callable[..., bytes],
        log: int | None,
        error: StepError,
        *,
        convicting: bool,
        looked: bool,
    ) -> None:
        kept = await self._logs.close(attempt, log)
        damage = await self._runtime.run_sync(damaged_input, self._objects, attempt.payload) if looked else None
        if damage is not None:
            error, convicting = answers.of_damage(attempt, error, damage), False
        self._finish(attempt, told(error, convicting=convicting, log=kept, artifacts=tuple(attempt.artifacts)))

    def _suspect(self, attempt: Held) -> None:
        self._suspects[attempt.key[:2]] = None
        if len(self._suspects) > SUSPECTS:
            self._suspects.popitem(last=False)
