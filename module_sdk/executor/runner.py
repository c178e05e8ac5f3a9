"""The modules of one executor: each is loaded once. What all their attempts share is here."""

from __future__ import annotations

from module_sdk.decorator import code_digest
from module_sdk.errors import TransientError
from module_sdk.executor.ceilings import Ceilings
from module_sdk.executor.inputs import Inputs
from module_sdk.executor.memory import Memory
from module_sdk.invoke import Caller
from module_sdk.launch import ExecutorSetup
from module_sdk.loading import find_module, load
from plugmesh.contracts.messages import Assign
from plugmesh.contracts.plan import PlanQuestion
from plugmesh.data.outside.outside import Outside
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime


class CodeChanged(TransientError):
    """A module's file was changed after it was put on the mesh: start it again, with a new version.

    Transient, because a watched folder is about to replace the process.
    """

    code = "code-changed"


class Runner:
    """Loads modules once and runs their attempts."""

    def __init__(self, setup: ExecutorSetup, store: ObjectStore, runtime: Runtime) -> None:
        self._setup = setup
        self._callers: dict[str, Caller] = {}
        self.store = store
        self.runtime = runtime
        self.inputs = Inputs(store)
        self.memory = Memory()
        self.ceilings = Ceilings(self.memory)
        self.outside = Outside()

    def is_loaded(self, assign: Assign | PlanQuestion) -> bool:
        """Whether the module's file was imported already."""
        return f"{assign.module}@{assign.version}" in self._callers

    def caller(self, assign: Assign | PlanQuestion) -> Caller:
        """The module's caller; imports its file the first time. Raises what the file raises, `ContractError`."""
        ref = f"{assign.module}@{assign.version}"
        caller = self._callers.get(ref)
        if caller is None:
            caller = self._callers[ref] = self._load(ref)
        return caller

    def file_of(self, assign: Assign) -> str:
        """The file that a module is loaded from, "" if it is imported by name."""
        known = self._setup.sources.get(f"{assign.module}@{assign.version}")
        return "" if known is None else known[0].file

    def _load(self, ref: str) -> Caller:
        source, digest = self._setup.sources[ref]
        if source.file and digest and code_digest(source.file) != digest:  # it may not even be Python now
            raise _changed(source.file, ref)
        module = find_module(load(source), ref)
        if code_digest(module.file) != digest or module.contract.code_digest != digest:
            raise _changed(module.file, ref)
        return Caller(module)


def _changed(file: str, ref: str) -> CodeChanged:
    return CodeChanged(
        f"{file} was changed or removed after {ref} was put on the mesh: start it again, and give it a new version if its "
        "ports or params are others now"
    )
