"""Writes the catalogue's news into its book, in the background: a database that is away stops nobody."""

from __future__ import annotations

import asyncio
import logging

from plugmesh.contracts.module import ModuleContract
from plugmesh.runtime import Runtime
from registry.catalogue import ContractBook

RETRY_S = 1.0
_log = logging.getLogger(__name__)


class Recorder:
    """The contracts that are not in the book yet; the newest one of each name and version."""

    def __init__(self, book: ContractBook, runtime: Runtime) -> None:
        self._book = book
        self._runtime = runtime
        self._waiting: dict[tuple[str, str], ModuleContract] = {}
        self._wake = asyncio.Event()

    def add(self, contract: ModuleContract) -> None:
        """Record it soon."""
        self._waiting[contract.name, contract.version] = contract
        self._wake.set()

    @property
    def behind(self) -> int:
        """Contracts that are not in the book yet."""
        return len(self._waiting)

    async def run(self) -> None:
        """Record for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._record(next(iter(self._waiting.values())))

    async def _record(self, contract: ModuleContract) -> None:
        try:
            await self._book.record(contract)
        except Exception as error:  # noqa: BLE001  whatever is wrong with the book, the catalogue in memory serves
            _log.warning("the contract of %s is not recorded yet, trying again: %s", contract.ref, error)
            await self._runtime.sleep(RETRY_S)
            return
        if self._waiting.get((contract.name, contract.version)) is contract:
            del self._waiting[contract.name, contract.version]
