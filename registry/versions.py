"""Which version of a module a flow gets: `name`, `name@1.2.0`, `name@^1`, `name@^1.2` or `name@~1.2`.

Order and caret ranges are those of Semantic Versioning 2.0.0 (semver.org) and of npm: `^` keeps the first number that
is not zero, `~` keeps major and minor. A pre-release is chosen only when it is asked for exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from plugmesh.contracts.base import MODULE_PATTERN
from plugmesh.contracts.module import VERSION_PATTERN
from plugmesh.errors import FlowInvalid

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_RANGE = re.compile(rf"([\^~]){_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER})?)?")
_VERSION = re.compile(VERSION_PATTERN)
_MODULE = re.compile(MODULE_PATTERN)

Numbers = tuple[int, int, int]
_PreRelease = tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a flow asks of a version: exactly `exact`, or a release from `least` up to before `below`."""

    exact: str | None = None
    least: Numbers = (0, 0, 0)
    below: Numbers | None = None


ANY = Requirement()
"""Any release."""


def parse_reference(text: str) -> tuple[str, Requirement]:
    """The module name and the requirement in a node's `module`. Raises `FlowInvalid`."""
    name, at, wanted = text.partition("@")
    if not _MODULE.fullmatch(name):
        raise FlowInvalid(f"{text!r} names no module: a name is dotted lower-case words, like orders.price_total")
    return name, parse_requirement(wanted) if at else ANY


def parse_requirement(text: str) -> Requirement:
    """The requirement behind the `@`. Raises `FlowInvalid`."""
    if _VERSION.fullmatch(text):
        return Requirement(exact=text)
    found = _RANGE.fullmatch(text)
    if found is None:
        raise FlowInvalid(f"{text!r} is no version to ask for: write 1.2.0, ^1, ^1.2 or ~1.2")
    given = [int(part) for part in found.groups()[1:] if part is not None]
    least = (*given, 0, 0, 0)[:3]
    kept = _caret(given) if found[1] == "^" else min(len(given), 2) - 1
    below = [*least[:kept], least[kept] + 1, 0, 0][:3]
    return Requirement(least=(least[0], least[1], least[2]), below=(below[0], below[1], below[2]))


def fits(requirement: Requirement, version: str) -> bool:
    """Whether `version` is what was asked for."""
    if requirement.exact is not None:
        return version == requirement.exact
    numbers, pre_release = _split(version)
    if pre_release or numbers < requirement.least:
        return False
    return requirement.below is None or numbers < requirement.below


def choose(requirement: Requirement, versions: Iterable[str]) -> str | None:
    """The highest of `versions` that fits, or `None`."""
    return max((version for version in versions if fits(requirement, version)), key=precedence, default=None)


def previous(requirement: Requirement, version: str, versions: Iterable[str]) -> str | None:
    """The highest of `versions` that fits, comes before `version`, and promises what it promises (`^`); or `None`."""
    before = (one for one in versions if precedence(one) < precedence(version))
    return choose(requirement, (one for one in before if fits(parse_requirement(f"^{one}"), version)))


def successor(requirement: Requirement, version: str, versions: Iterable[str]) -> str | None:
    """The highest of `versions` that fits, and promises what `version` promises (`^`); or `None`, also of a pre-release."""
    if _split(version)[1]:
        return None
    promise = parse_requirement(f"^{version}")
    return choose(requirement, (one for one in versions if fits(promise, one)))


def fitting_versions(reference: str, pinned: str | None, versions: Iterable[str]) -> tuple[str, ...]:
    """Those of `versions` that a module reference allows (only the pinned one, if there is one), lowest first; none
    if the reference cannot be read."""
    try:
        _, requirement = parse_reference(reference)
    except FlowInvalid:
        return ()
    wanted = requirement if pinned is None else Requirement(exact=pinned)
    return tuple(sorted((version for version in versions if fits(wanted, version)), key=precedence))


def precedence(version: str) -> tuple[Numbers, bool, _PreRelease]:
    """A sort key in the order of Semantic Versioning: a pre-release comes before its release."""
    numbers, pre_release = _split(version)
    return numbers, not pre_release, pre_release


def _caret(given: list[int]) -> int:
    """Which of the numbers may not grow: the first that is not zero, or the last one given."""
    return next((place for place, number in enumerate(given) if number), len(given) - 1)


@lru_cache(maxsize=4096)
def _split(version: str) -> tuple[Numbers, _PreRelease]:
    if not _VERSION.fullmatch(version):
        raise FlowInvalid(f"{version!r} is not a version of the form 1.2.0")
    release, _, pre_release = version.partition("-")
    major, minor, patch = (int(part) for part in release.split("."))
    words = pre_release.split(".") if pre_release else []
    return (major, minor, patch), tuple((0, int(word), "") if _digits(word) else (1, 0, word) for word in words)


def _digits(word: str) -> bool:
    return word.isascii() and word.isdigit()
