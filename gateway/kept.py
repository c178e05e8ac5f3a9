"""Answers that never change, kept while there is room; equal questions at one time share one computation."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from plugmesh.runtime import Runtime

Make = Callable[[], Coroutine[Any, Any, bytes]]
_ENTRY_BYTES = 200
"""What an entry costs beside its bytes."""


class Kept:
    """The answers used last, in at most `limit_bytes`; one that would take a quarter of them is not kept."""

    def __init__(self, runtime: Runtime, limit_bytes: Callable[[], int]) -> None:
        self._runtime = runtime
        self._limit_bytes = limit_bytes
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._asked: dict[Hashable, _Question] = {}
        self.bytes = 0
        """What is kept now."""

    async def get(self, key: Hashable, make: Make) -> bytes:
        """The answer to `key`: kept, being made for somebody else, or made now. Errors are not kept."""
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
            return found
        question = self._asked.get(key)
        if question is None:
            question = self._asked[key] = _Question(self._runtime.spawn(self._made(key, make), "gateway-answer"))
        question.waiting += 1
        try:
            return await asyncio.shield(question.task)
        finally:
            question.waiting -= 1
            if not question.waiting:
                self._leave(key, question)

    async def _made(self, key: Hashable, make: Make) -> bytes:
        answer = await make()
        limit = self._limit_bytes()
        if len(answer) + _ENTRY_BYTES <= limit // 4:
            self._answers[key] = answer
            self.bytes += len(answer) + _ENTRY_BYTES
        while self.bytes > limit:
            _, old = self._answers.popitem(last=False)
            self.bytes -= len(old) + _ENTRY_BYTES
        return answer

    def _leave(self, key: Hashable, question: _Question) -> None:
        """Nobody waits any more: what is still being made is of no use."""
        if self._asked.get(key) is question:
            del self._asked[key]
        question.task.cancel()


class _Question:
    def __init__(self, task: asyncio.Task[bytes]) -> None:
        self.task = task
        self.waiting = 0
