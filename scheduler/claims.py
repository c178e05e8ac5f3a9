"""Idempotency keys that are being submitted right now."""

from __future__ import annotations

import asyncio

from plugmesh.contracts.run import Receipt, Submission
from plugmesh.intake_rows import repeated
from plugmesh.runtime import Runtime
from plugmesh.state.reads import Reader
from plugmesh.state.store import State as Store

_AGAIN_S = 0.005


class Claims:
    """A key makes one run, however many submit it at once: the first one claims it until its outcome is known."""

    def __init__(self, runtime: Runtime, store: Store) -> None:
        self._runtime, self._store = runtime, store
        self._claimed: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._claimed)

    async def earlier(self, submission: Submission, receipt: asyncio.Future[Receipt]) -> Receipt | None:
        """The run that the submission's key has made before; `None`: the key is its own until `receipt` is done.

        Raises `Conflict` when the key was used for another request.
        """
        if submission.idempotency_key is None:
            return None
        claim = (submission.namespace, submission.idempotency_key)
        while claim in self._claimed:  # the same key is being submitted right now: its outcome decides
            await self._runtime.sleep(_AGAIN_S)
        self._claimed.add(claim)  # before SQL is asked: between answer and insert another one could be committed
        receipt.add_done_callback(lambda _: self._claimed.discard(claim))
        try:
            found = await self._find(*claim, submission.request_hash)
        except BaseException:
            receipt.cancel()
            raise
        if found is not None:
            receipt.cancel()
        return found

    async def _find(self, namespace: str, key: str, request_hash: str | None) -> Receipt | None:
        stored = await self._store.read(Reader.run_by_key, namespace, key)
        return None if stored is None else repeated(stored, request_hash)
