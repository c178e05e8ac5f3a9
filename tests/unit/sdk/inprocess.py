"""Attempts in this process: as in an executor, with a real store, without the executor's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from module_sdk.decorator import Module
from module_sdk.executor.attempt import Attempt
from module_sdk.executor.runner import Runner
from module_sdk.invoke import Caller
from module_sdk.launch import ExecutorSetup
from plugmesh.contracts.data import DataRef, Reference
from plugmesh.contracts.messages import Assign
from plugmesh.data.reference import resolve
from plugmesh.data.table import read_table, write_table
from plugmesh.objects.local import LocalStore
from plugmesh.runtime_loader import load_runtime


class _Runner(Runner):
    """Of modules that are there already."""

    def caller(self, assign: Any) -> Caller:
        return self._callers[f"{assign.module}@{assign.version}"]

    def add(self, module: Module[..., Any]) -> None:
        self._callers[module.contract.ref] = Caller(module)

    def remove(self, module: Module[..., Any]) -> None:
        del self._callers[module.contract.ref]


class InProcess:
    """One executor's store and runner."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder, keep_free_bytes=0)
        self._runner = _Runner(ExecutorSetup(objects="", path=(), sources={}), self.store, load_runtime())
        self._made = 0

    def put(self, table: pa.Table, **cut: Any) -> DataRef:
        """A stored table."""
        self._made += 1
        return write_table(self.store, f"in/{self._made}", table, **cut)

    def run(self, module: Module[..., Any], inputs: Mapping[str, Sequence[Reference]], **assigned: Any) -> Any:
        """What an attempt comes to: a `Done`. Raises what fails it."""
        return self.text(module, inputs, **assigned)[0]

    def text(
        self, module: Module[..., Any], inputs: Mapping[str, Sequence[Reference]], **assigned: Any
    ) -> tuple[Any, bytes]:
        """With the message that tells it."""
        self._made += 1
        self._runner.add(module)
        contract = module.contract
        assign = Assign(
            instance="i", shard=0, term=1, run="r", step="s", epoch=1, namespace="default", module=contract.name,
            version=contract.version, digest=contract.digest, prefix=f"out/{self._made}",
            inputs={port: tuple(found) for port, found in inputs.items()}, **assigned,
        )  # fmt: skip
        attempt = Attempt(self._runner, assign)
        try:
            _, prepared = attempt.prepare()
            calls = attempt.calls(prepared)
            while (asked := calls.asked) is not None:
                try:
                    returned = module.function(*asked.args, **asked.kwargs)
                except Exception as error:  # noqa: BLE001  raised again, if it is not about rows
                    calls.failed(error)
                else:
                    calls.returned(returned)
            return calls.result, attempt.encode(calls.result, None)
        except BaseException as error:
            attempt.fail(error)
            raise
        finally:
            attempt.close()
            self._runner.remove(module)

    def read(self, reference: Reference) -> pa.Table:
        """A stored table, every byte of it checked."""
        ref = resolve(self.store, reference)
        assert isinstance(ref, DataRef)
        return read_table(self.store, ref, verify=True)

    def clear(self) -> None:
        """Delete all objects."""
        for key in self.keys():
            self.store.delete(key)

    def keys(self) -> set[str]:
        """Of all objects."""
        return {stored.key for stored in self.store.list("")}
