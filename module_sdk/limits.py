"""Limits of one attempt: how a decorator declares them, and what is said when one is exceeded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from plugmesh.contracts.module import Limits
from plugmesh.errors import LimitExceeded
from plugmesh.limit_words import LIMIT_FIELDS, read_limit

if TYPE_CHECKING:
    from module_sdk.signature import Place

_WORD_OF = {field: word for word, field in LIMIT_FIELDS.items()}
_SETTING_OF = {field: f"attempt_{field}" for field in _WORD_OF}
_NOT_SHARED = ("memory", "cpu_s", "open_files", "silent_s")
_STEP = 1000


class OutputLimit(LimitExceeded):
    """A module wrote more than its output limit; nothing of it is kept."""

    code = "output-limit"


def declared(place: Place, given: Limits | Mapping[str, Any] | None, *, concurrent: bool) -> Limits:
    """The `limits=` of a decorator: `{"memory": "2GB", "cpu_s": 60, …}`. Raises `ContractError` naming the word."""
    if given is None:
        return Limits()
    limits = given if isinstance(given, Limits) else _read(place, given)
    shared = [word for word in _NOT_SHARED if getattr(limits, LIMIT_FIELDS[word]) is not None] if concurrent else []
    if shared:
        raise place.error(
            f"limits: {shared[0]} cannot be held for an `async def` function, whose attempts share one process: "
            "only `output` can, and the node's timeout_s; or make it a plain function"
        )
    return limits


def _read(place: Place, given: Mapping[str, Any]) -> Limits:
    fields: dict[str, Any] = {}
    for word, value in given.items():
        if word not in LIMIT_FIELDS:
            raise place.error(f"limits has {word!r}, which is no limit: they are {', '.join(LIMIT_FIELDS)}")
        try:
            fields[LIMIT_FIELDS[word]] = read_limit(word, value)
        except ValueError as error:
            raise place.error(f"limits: {word} is {value!r}: {error}") from None
    return Limits(**fields)


def set_by(field: str, limits: Limits, module: Limits) -> str:
    """Who to ask for another limit, in words."""
    if getattr(limits, field) == getattr(module, field):
        return f"set by limits= of the module ({_WORD_OF[field]})"
    return f"set by limits: of the flow's node ({_WORD_OF[field]}) or by the mesh's setting {_SETTING_OF[field]}"


def memory_text(module: str, limits: Limits, own: Limits) -> str:
    """What to say of an attempt that needed too much memory; the same words however it was found out."""
    size = size_text(limits.memory_bytes or 0)
    return (
        f"{module}: the attempt needed more than its memory limit of {size} "
        f"({set_by('memory_bytes', limits, own)}): give it more, or let it work on less at a time, for example batch by batch"
    )


def files_text(module: str, limits: Limits, own: Limits) -> str:
    """What to say of an attempt that opened too many files."""
    return (
        f"{module}: the attempt had more than {limits.open_files} files and sockets open, which is its limit "
        f"({set_by('open_files', limits, own)}): close what is not used any more, or raise the limit"
    )


def output_text(module: str, limits: Limits, own: Limits) -> str:
    """What to say of an attempt that wrote too much."""
    return (
        f"{module}: the attempt wrote more than its output limit of {size_text(limits.output_bytes or 0)} "
        f"({set_by('output_bytes', limits, own)}): write less, or raise the limit; nothing of it was kept"
    )


def cpu_text(module: str, limits: Limits, own: Limits) -> str:
    """What to say of an attempt that computed too long."""
    return (
        f"{module}: the attempt used more than its limit of {limits.cpu_s:g} s of CPU time "
        f"({set_by('cpu_s', limits, own)}): give it more, or less to do"
    )


def stuck_text(module: str, limits: Limits, own: Limits) -> str:
    """What to say of an attempt that shows no sign of life."""
    return (
        f"{module}: the attempt was stuck: for {limits.silent_s:g} s it used no CPU, logged nothing and reported no "
        f"progress ({set_by('silent_s', limits, own)}); the traceback shows where it waits"
    )


def size_text(size: int) -> str:
    """`512 MB`, `2 GB`, `64 MiB`, whichever is shorter."""
    for base, units in ((_STEP, ("B", "kB", "MB", "GB", "TB")), (1024, ("B", "KiB", "MiB", "GiB", "TiB"))):
        amount, unit = size, 0
        while amount and amount % base == 0 and unit < len(units) - 1:
            amount, unit = amount // base, unit + 1
        if unit and amount < base:
            return f"{amount} {units[unit]}"
    return f"{size / _STEP**2:,.1f} MB" if size >= _STEP**2 else f"{size:,} B"
