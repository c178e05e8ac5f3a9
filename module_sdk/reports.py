"""What an attempt tells people while it works: how far it is, files it leaves for them, rows it could not use."""

from __future__ import annotations

import logging
import mimetypes
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from module_sdk.rejected import Rejected
from module_sdk.rejected_rows import as_number
from module_sdk.stored_file import CHUNK_BYTES
from module_sdk.workspace import OCTETS, Workspace
from plugmesh.contracts.data import FileRef
from plugmesh.errors import ContractError, LimitExceeded

ARTIFACTS = 50
"""Most artifacts of one attempt."""
ARTIFACT_BYTES = 1024**3
"""Most bytes of one artifact; what is larger is data, and belongs on an output port of kind `file`."""
REJECTIONS_LOGGED = 50
_SHOWN_CHARS = 500
_NAME = re.compile(r"[^\W_][\w.()+ -]{0,99}")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}(; ?[\w-]+=[\w.-]+)?")

Tell = Callable[[float, float | None, str], None]


class Reports:
    """The reports of one attempt. `tell` is given its progress, `on_artifact` each file that it leaves. `rejected` makes the
    place for rows that cannot be used, when there are any. `same_rows`: its module promises to return every row."""

    def __init__(
        self,
        workspace: Workspace,
        log: logging.Logger,
        tell: Tell | None = None,
        on_artifact: Callable[[FileRef], None] | None = None,
        rejected: Callable[[], Rejected] | None = None,
        *,
        same_rows: bool = False,
    ) -> None:
        self._workspace, self._log = workspace, log
        self._make_rejected = rejected or workspace.rejected
        self._rejected: Rejected | None = None
        self._same_rows = same_rows
        self.tell: Tell = tell or _to_nobody
        self._on_artifact = on_artifact
        self.artifacts: dict[str, FileRef] = {}
        self._replaceable: set[str] = set()
        self._rejections = 0

    def artifact(self, name: Any, content: Any, media_type: str | None) -> FileRef:
        """Store a file for people. Raises `ContractError` (a name or content that cannot be), `LimitExceeded`,
        `StoreFull`."""
        self._check(name, media_type)
        kind = media_type or _kind_of(name, content)
        with self._workspace.create(name, kind) as target:
            if isinstance(content, Path):
                with content.open("rb") as source:
                    _copy(name, source, target)
            else:
                data = content.encode() if isinstance(content, str) else _bytes_of(name, content)
                _check_size(name, len(data))
                target.write(data)
        self.artifacts[name] = target.ref
        self._replaceable.discard(name)
        if self._on_artifact is not None:
            self._on_artifact(target.ref)
        return target.ref

    @property
    def rejected(self) -> Rejected:
        """Rows that could not be used."""
        if self._rejected is None:
            self._rejected = self._make_rejected()
        return self._rejected

    @property
    def rows_failed(self) -> int:
        """How many rows could not be used."""
        return 0 if self._rejected is None else self._rejected.rows

    def reject(self, rows: Any, reason: Any, sample: Any = None) -> None:
        """Count rows that could not be used, or keep them, and log why.

        Raises `TypeError` or `ValueError` for what is neither rows nor a number of them, `TooManyRejected`,
        `LimitExceeded`, `StoreFull`.
        """
        rows = as_number(rows)
        if rows is None or isinstance(rows, bool) or (isinstance(rows, int) and rows < 0):
            raise ValueError(
                f"ctx.reject was told of {rows!r} rows: it takes a whole number from 0, or the rows themselves"
            )
        if isinstance(rows, int):
            count = rows
            self.rejected.count(count, reason)
        elif self._same_rows:
            raise ContractError(
                'ctx.reject was given rows, but the module promises rows="same", so that none can be left out: declare '
                'rows="any", or raise DataError("…", rows=…), which takes them out before the module is called again'
            )
        else:
            count = self.rejected.keep(rows, reason)
        if count:
            self._say(count, reason, sample)
            self.rejected.check()

    def begin_again(self) -> None:
        """The function is called once more: it may leave the same artifacts again."""
        self._replaceable |= self.artifacts.keys()

    def _say(self, rows: int, reason: Any, sample: Any) -> None:
        self._rejections += 1
        if self._rejections <= REJECTIONS_LOGGED:
            shown = "" if sample is None else f": {_short(sample if isinstance(sample, str) else repr(sample))}"
            self._log.warning("%s rejected: %s%s", _rows(rows), _short(str(reason)), shown)

    def close(self) -> None:
        """Say what was not logged."""
        if self._rejections > REJECTIONS_LOGGED:
            self._log.warning(
                "%s rejected in all; the first %d reasons are above", _rows(self.rows_failed), REJECTIONS_LOGGED
            )

    def _check(self, name: Any, media_type: str | None) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name.endswith((".", " ")):
            raise ContractError(
                f"an artifact cannot be called {_short(repr(name))}: a name has 1 to 100 letters, digits, spaces and _.-+(), "
                "begins with a letter or digit, and is no path"
            )
        if name in self.artifacts and name not in self._replaceable:
            raise ContractError(f"there is an artifact called {name!r} already: give each its own name")
        if media_type is not None and not _MEDIA_TYPE.fullmatch(media_type):
            raise ContractError(
                f"the artifact {name!r} cannot be of media type {media_type!r}: write for example text/html"
            )
        if len(self.artifacts) >= ARTIFACTS and name not in self.artifacts:
            raise LimitExceeded(
                f"the attempt has {ARTIFACTS} artifacts already, which is the most: put many files into one archive, "
                "or return them through an output port"
            )


def _kind_of(name: str, content: Any) -> str:
    found = mimetypes.guess_type(name)[0] or ("text/plain" if isinstance(content, str) else OCTETS)
    return f"{found}; charset=utf-8" if isinstance(content, str) and found.startswith("text/") else found


def _bytes_of(name: str, content: Any) -> memoryview:
    try:
        return memoryview(content).cast("B")
    except TypeError:
        raise ContractError(
            f"the artifact {name!r} cannot be made of a {type(content).__name__}: give bytes, a str (its text), or the "
            "pathlib.Path of a file"
        ) from None


def _copy(name: str, source: Any, target: Any) -> None:
    shutil.copyfileobj(source, _Checked(name, target), CHUNK_BYTES)


class _Checked:
    """Writes on, up to the limit of one artifact."""

    def __init__(self, name: str, target: Any) -> None:
        self._name, self._target, self._size = name, target, 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        _check_size(self._name, self._size)
        self._target.write(data)


def _check_size(name: str, size: int) -> None:
    if size > ARTIFACT_BYTES:
        raise LimitExceeded(
            f"the artifact {name!r} is larger than {ARTIFACT_BYTES // 1024**3} GiB, the most that one may have: "
            "return it through an output port of kind file"
        )


def _to_nobody(done: float, total: float | None, message: str) -> None:
    return None


def _rows(rows: int) -> str:
    return "1 row was" if rows == 1 else f"{rows:,} rows were"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
