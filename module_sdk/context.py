"""What an attempt may know about itself: handed to the parameter that is annotated `Context`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from module_sdk.files import File
from module_sdk.workspace import OCTETS, FileWriter, Workspace
from plugmesh.contracts.data import FileRef

__all__ = ["Context", "FileWriter"]


class Context:
    """One attempt.

    `run` and `step` are its names, `attempt` is its number (it rises with each retry), `params` are the settings
    as the flow gave them, `log` goes to the step's log, `tmp` is a private folder that is removed afterwards.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        run: str = "test",
        step: str = "test",
        attempt: int = 1,
        namespace: str = "default",
        params: Mapping[str, Any] | None = None,
        fingerprint: Callable[[], str] = str,
        is_cancelled: Callable[[], bool] = bool,
    ) -> None:
        self.run = run
        self.step = step
        self.attempt = attempt
        self.namespace = namespace
        self.params: Mapping[str, Any] = dict(params or {})
        self.log = logging.getLogger("step")
        self._workspace = workspace
        self._fingerprint = fingerprint
        self._is_cancelled = is_cancelled

    @property
    def tmp(self) -> Path:
        return self._workspace.folder()

    @property
    def cancelled(self) -> bool:
        """True once the attempt was asked to stop; a long loop may look at it and end in order."""
        return self._is_cancelled()

    def sink_key(self, *parts: str | int) -> str:
        """A key for an effect on the outside: the same for every attempt of this step on the same inputs.

        Give the number of the row or batch as `parts` when a step has several effects.
        """
        words = [self.run, self.step, self._fingerprint(), *map(str, parts)]
        return hashlib.sha256("\x00".join(words).encode()).hexdigest()[:40]

    def open_file(self, file: File | FileRef | Mapping[str, Any]) -> BinaryIO:
        """A binary stream of a file's bytes."""
        if isinstance(file, File):
            return file.open()
        ref = file if isinstance(file, FileRef) else FileRef.model_validate(dict(file))
        return self._workspace.file(ref).open()

    def create_file(self, name: str, media_type: str = OCTETS) -> FileWriter:
        """A binary stream into a new file; return it for a port of kind `file`."""
        return self._workspace.create(name, media_type)
