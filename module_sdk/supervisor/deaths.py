"""What becomes of attempts whose executor ended: who is to blame, what is said, and the log that is kept."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence

from module_sdk.storing import put
from module_sdk.supervisor import answers
from module_sdk.supervisor.attempts import Ending, Held
from module_sdk.supervisor.executor import Exit
from plugmesh.contracts.messages import LogRef
from plugmesh.contracts.run import StepError
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime

SUSPECTS = 1024

_log = logging.getLogger(__name__)


class Deaths:
    """Judges deaths of executors. `finish` is told the result of each attempt that was on one."""

    def __init__(self, runtime: Runtime, objects: ObjectStore, finish: Callable[[Held, bytes], None]) -> None:
        self._runtime, self._objects, self._finish = runtime, objects, finish
        self._suspects: OrderedDict[tuple[str, str], None] = OrderedDict()

    def suspects(self, attempt: Held) -> bool:
        """Whether the attempt's step was on a shared executor that died, so that it has to run alone."""
        return attempt.key[:2] in self._suspects

    def judge(self, victims: Sequence[Held], exit: Exit) -> None:
        """`victims` are the attempts without a result that the executor ran."""
        blamed = [attempt for attempt in victims if attempt.ending is not None]
        for attempt in victims:
            if attempt.ending is Ending.DRAINED:
                self._finish(attempt, answers.returned(attempt.head, "draining"))
            elif attempt.ending is not None:
                self._report(attempt, answers.ended(attempt, exit), exit)
            elif len(victims) == 1 and not exit.killed:
                self._report(attempt, answers.died(attempt.head, exit), exit, convicting=True)
            else:
                # Nobody knows which of them it was: none is convicted; if none is to blame yet, each runs alone next.
                if not blamed and not exit.killed:
                    self._suspect(attempt)
                self._finish(attempt, answers.returned(attempt.head, "executor-lost"))

    def _report(self, attempt: Held, error: StepError, exit: Exit, *, convicting: bool = False) -> None:
        self._runtime.spawn(self._tell(attempt, error, exit, convicting), "report")

    async def _tell(self, attempt: Held, error: StepError, exit: Exit, convicting: bool) -> None:
        log = await self._upload(attempt, exit)
        self._finish(attempt, answers.failed(attempt.head, error, convicting=convicting, log=log))

    async def _upload(self, attempt: Held, exit: Exit) -> LogRef | None:
        """Keep the log of an executor that could not do it itself."""
        if not exit.log:
            return None
        key = f"{attempt.head.prefix}/{self._runtime.new_id('log')}.jsonl"
        try:
            await self._runtime.run_sync(put, self._objects, key, exit.log)
        except PlugmeshError as error:
            _log.warning("the log of %s could not be kept: %s", attempt.id, error)
            return None
        return LogRef(key=key, bytes=len(exit.log), lines=exit.lines, truncated=exit.cut)

    def _suspect(self, attempt: Held) -> None:
        self._suspects[attempt.key[:2]] = None
        if len(self._suspects) > SUSPECTS:
            self._suspects.popitem(last=False)
