"""The contracts of every module that was ever here, versions side by side.

Under one `name@version` the promise never changes: an offer that contradicts it is refused. Texts and code may change;
then the newest contract is the one that is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from plugmesh.contracts.module import ModuleContract
from plugmesh.state.modules import ModuleSwitch
from registry.versions import precedence

_TEXTS = frozenset({"title", "description", "examples", "$comment"})
_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties"})
"""Keywords of JSON Schema whose value maps names to schemas: a param called `title` is no text."""
_LITERAL = frozenset({"default", "const", "enum"})
_ORDER = "order of "
SHOWN_DIFFERENCES = 5


class ContractBook(Protocol):
    """Where the catalogue outlives the process."""

    @property
    def exclusive(self) -> bool:
        """No other process writes into it."""
        ...

    async def load(self) -> Sequence[ModuleContract]:
        """Everything recorded, one contract for each name and version."""
        ...

    async def record(self, contract: ModuleContract) -> None:
        """Enter a contract, or replace the one of the same name and version. Raises when it cannot."""
        ...

    async def switches(self) -> Sequence[ModuleSwitch]:
        """Every module that is disabled or quarantined."""
        ...

    async def disable(self, switch: ModuleSwitch) -> None:
        """Keep that a module is disabled or quarantined. Raises when it cannot."""
        ...

    async def enable(self, module: str, version: str) -> None:
        """Keep that a version, or with `*` all of the module, is off no more, and forget its convictions. Raises when
        it cannot."""
        ...


class Catalogue:
    """The contracts in memory."""

    def __init__(self) -> None:
        self._modules: dict[str, dict[str, ModuleContract]] = {}
        self._digests: set[str] = set()

    def modules(self) -> tuple[ModuleContract, ...]:
        """Every contract, by name and version."""
        return tuple(self._modules[name][version] for name in sorted(self._modules) for version in self.versions(name))

    def contract(self, name: str, version: str) -> ModuleContract | None:
        """The newest contract of exactly this version."""
        return self._modules.get(name, {}).get(version)

    def versions(self, name: str) -> tuple[str, ...]:
        """All versions of a module, lowest first."""
        return tuple(sorted(self._modules.get(name, ()), key=precedence))

    def enter(self, contract: ModuleContract) -> bool:
        """Add a contract that contradicts nothing; whether it is new, and so must be recorded.

        A digest that was here before is not newer than what replaced it: instances with older code may come back.
        """
        known = self.contract(contract.name, contract.version)
        if contract.digest in self._digests:
            return False
        self._digests.add(contract.digest)
        self._modules.setdefault(contract.name, {})[contract.version] = contract
        return known is None or known.digest != contract.digest


def contradiction(known: ModuleContract, offered: ModuleContract) -> str | None:
    """How the promise of `offered` differs from that of `known`, in words; `None` if it keeps it."""
    found = list(_differences("", promise(known), promise(offered)))
    if not found:
        return None
    # A port that came or went also changes the order, which is then no news.
    found = [difference for difference in found if not difference.startswith(_ORDER)] or found
    more = f"; and {len(found) - SHOWN_DIFFERENCES} more" if len(found) > SHOWN_DIFFERENCES else ""
    return "; ".join(found[:SHOWN_DIFFERENCES]) + more


def promise(contract: ModuleContract) -> dict[str, Any]:
    """The promise without any texts; ports by their names, and the order of each side's ports beside them."""
    document = dict(contract.promise)
    for side in ("inputs", "outputs"):
        ports = [{key: value for key, value in port.items() if key != "doc"} for port in document[side]]
        document[side] = {port["name"]: port for port in ports}
        document[_ORDER + side] = [port["name"] for port in ports]
    document["params"] = _without_texts(document["params"])
    return document


def _without_texts(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_texts(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in _TEXTS}
    return {key: _keyword(key, value) for key, value in kept.items()}


def _keyword(key: str, value: Any) -> Any:
    if key in _LITERAL:
        return value
    if key in _NAMED and isinstance(value, dict):
        return {name: _without_texts(schema) for name, schema in value.items()}
    return _without_texts(value)


def _differences(path: str, known: Any, offered: Any) -> Iterator[str]:
    if isinstance(known, dict) and isinstance(offered, dict):
        for key in [*known, *(key for key in offered if key not in known)]:
            place = f"{path}.{key}" if path else key
            if key not in offered:
                yield f"{place}: known, but not offered"
            elif key not in known:
                yield f"{place}: offered, but not known"
            else:
                yield from _differences(place, known[key], offered[key])
    elif type(known) is not type(offered) or known != offered:
        yield f"{path}: known {known!r}, offered {offered!r}"
