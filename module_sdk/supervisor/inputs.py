"""After a crash: were the attempt's inputs still what was written? Reads bytes and compares hashes; decodes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pydantic import ValidationError

from module_sdk.supervisor.executor import Exit
from plugmesh.contracts.data import AnyReference, DataRef, FileRef, JoinedRef, SpilledRef
from plugmesh.contracts.messages import Assign
from plugmesh.data.digest import verify_hash
from plugmesh.data.reference import resolve
from plugmesh.errors import ObjectCorrupt, PlugmeshError
from plugmesh.objects.port import ObjectStore

_log = logging.getLogger(__name__)
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGABRT")


def is_crash(exit: Exit) -> bool:
    """Whether native code ended the executor: data whose offsets point nowhere looks so, too."""
    return any(name in exit.reason for name in _CRASHES)


def damaged_input(objects: ObjectStore, payload: bytes) -> str | None:
    """What is wrong with the bytes that an assignment's inputs name; `None` if nothing is, or nobody can tell. Reads all of
    them: for a thread of its own."""
    try:
        assign = Assign.model_validate_json(payload)
        for port, references in assign.inputs.items():
            for reference in references:
                for key, offset, length, expected, column in _pieces(objects, reference):
                    what = f"input {port!r}{column} in object {key}"
                    verify_hash(objects.read(key, offset, length), expected, what)
    except ObjectCorrupt as error:
        return str(error)
    except (PlugmeshError, ValidationError, OSError) as error:
        _log.warning("whether the inputs of a crashed attempt are whole cannot be told: %s", error)
    return None


def _pieces(objects: ObjectStore, reference: AnyReference) -> Iterator[tuple[str, int, int, str, str]]:
    if isinstance(reference, DataRef):
        for fragment in reference.fragments:
            for group in (group for group in fragment.groups if group.data is None):
                for span in group.columns:
                    yield group.key, span.offset, span.length, span.hash, f", column {span.name!r}"
    elif isinstance(reference, FileRef):
        yield reference.key, 0, reference.bytes, reference.hash, ""
    elif isinstance(reference, JoinedRef):
        for part in reference.parts:
            yield from _pieces(objects, part)
    elif isinstance(reference, SpilledRef):
        yield from _pieces(objects, resolve(objects, reference))
