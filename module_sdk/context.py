"""What an attempt may know about itself: handed to the parameter that is annotated `Context`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from module_sdk.files import File
from module_sdk.reports import Reports
from module_sdk.wanted import wanted_of
from module_sdk.workspace import OCTETS, FileWriter, Workspace
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.plan import Predicate

__all__ = ["Context", "FileWriter"]

_INFINITE = float("inf")
_T = TypeVar("_T")


class Context:
    """One attempt.

    `run` and `step` are its names, `attempt` is its number (it rises with each retry), `params` are the settings
    as the flow gave them, `log` goes to the step's log, `tmp` is a private folder that is removed afterwards. `planned`: the
    mesh has planned which columns are used, so that others may be missing from the inputs, though params name them.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        run: str = "test",
        root: str | None = None,
        step: str = "test",
        attempt: int = 1,
        namespace: str = "default",
        params: Mapping[str, Any] | None = None,
        fingerprint: Callable[[], str] = str,
        is_cancelled: Callable[[], bool] = bool,
        reports: Reports | None = None,
        wanted: Mapping[str, Sequence[str]] | None = None,
        filters: Mapping[str, Sequence[Predicate]] | None = None,
        planned: bool = False,
    ) -> None:
        self.run = run
        self._root = root or run
        self.step = step
        self.attempt = attempt
        self.namespace = namespace
        self.params: Mapping[str, Any] = dict(params or {})
        self.log = logging.getLogger("step")
        self._workspace = workspace
        self._fingerprint = fingerprint
        self._is_cancelled = is_cancelled
        self._reports = reports or Reports(workspace, self.log)
        self._wanted, self._filters = wanted, filters
        self.planned = planned

    @property
    def tmp(self) -> Path:
        return self._workspace.folder()

    @property
    def cancelled(self) -> bool:
        """True once the attempt was asked to stop; a long loop may look at it and end in order."""
        return self._is_cancelled()

    def wanted(self, port: str = "out") -> list[str] | None:
        """The columns of an output that anybody uses, as far as the mesh has planned that; `None`: all of them.

        A source need not read the others; what it returns of them is not written. The list may have names that the
        source does not know, and names differ in case from those meant: `ctx.wants` compares them as it should be.
        """
        names = None if self._wanted is None else self._wanted.get(port)
        return None if names is None else list(names)

    def wants(self, name: str, port: str = "out") -> bool:
        """Whether anybody may use a column of an output."""
        found = wanted_of(self._wanted).get(port)
        return found is None or name in found

    def filters(self, port: str = "out") -> list[Predicate]:
        """Conditions (`column`, `op`, `value`) that a row of an output must meet to be used by anybody: a source may leave
        out rows for which one of them is false or null, and need not."""
        return [] if self._filters is None else list(self._filters.get(port, ()))

    def sink_key(self, *parts: str | int) -> str:
        """A key for an effect on the outside: the same for every attempt of this step on the same inputs, also in reruns of
        the run.

        Give the number of the row or batch as `parts` when a step has several effects.
        """
        words = [self._root, self.step, self._fingerprint(), *map(str, parts)]
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

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far the attempt is: `done` of `total` (unknown: `None`), in whatever is counted. Call it as often as
        you like: people are shown the newest about once a second."""
        try:
            amount, whole = float(done), None if total is None else float(total)
        except (TypeError, ValueError):
            raise TypeError(f"ctx.progress takes numbers, not {done!r} of {total!r}") from None
        if not 0.0 <= amount < _INFINITE:
            raise ValueError(f"ctx.progress was told that {done!r} is done: it takes a number from 0")
        if whole is not None and not 0.0 <= whole < _INFINITE:
            raise ValueError(f"ctx.progress was told of a total of {total!r}: it takes a number from 0, or None")
        self._reports.tell(amount, whole, message)

    def track(self, items: Iterable[_T], total: float | None = None, message: str = "") -> Iterator[_T]:
        """The items one by one, while their number is shown as progress. `total`: how many there are, if `len` cannot
        tell."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        self.progress(0, total, message)
        for done, item in enumerate(items, 1):
            yield item
            self.progress(done, total, message)

    def artifact(self, name: str, content: Path | bytes | str, media_type: str | None = None) -> None:
        """Leave a file for people, beside the outputs: a report, a picture. `content`: bytes, text, or the `Path` of a
        file. It is kept also if the attempt fails later. At most 50 of at most 1 GiB.

        Raises `ContractError` (a name or content that cannot be), `LimitExceeded`.
        """
        self._reports.artifact(name, content, media_type)

    def reject(self, rows: Any, reason: str, sample: Any = None) -> None:
        """Say that rows were left out because they could not be used: they are counted in the step's `rows_failed`, and
        the reason is logged, with a `sample` where that helps.

        `rows` are the rows themselves (a table or frame of any library, a list of dicts, one dict or pandas Series): they
        are kept, with their reason in a column `_reason`, as the step's output `rejected`, its dead letters. Or a number:
        then they are only counted. Raises `TooManyRejected` when the flow allows no more: let it pass.
        """
        self._reports.reject(rows, reason, sample)
