"""The settings of one server: typed attributes with the values of now, some of which can change while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import PrivateAttr, ValidationError

from plugmesh.errors import ConfigurationError, Conflict, NotFound
from plugmesh.flows.problem import did_you_mean
from plugmesh.settings.kinds import RUN_TIME, SECRET, Mark
from plugmesh.settings.table import Table

BUILT_IN = "default"
API = "api"
MASK = "***"
_TOLD_BY_PYDANTIC = "Value error, "

Listener = Callable[[Any], None]


class SettingsInvalid(ConfigurationError):
    """Settings that cannot be used; `problems` has all of them, each with its place."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Settings(Table):
    """Read attributes each time (`settings.rows_limit`), or listen with `on_change`.

    Only `change` and `reset` set anything. `Settings(rows_limit=5)` is a server's settings without files and variables.
    """

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _configured: dict[str, tuple[Any, str]] = PrivateAttr(default_factory=dict)
    _listeners: dict[str, list[Listener]] = PrivateAttr(default_factory=dict)

    @classmethod
    def configured(cls, values: Mapping[str, Any], origins: Mapping[str, str]) -> Self:
        """Settings with these values from these places (`origins`, by name). Raises `SettingsInvalid`."""
        try:
            return cls.model_validate(dict(values), context=origins)
        except ValidationError as error:
            raise SettingsInvalid(tuple(_place(found, origins) for found in problems_of(error))) from None

    def model_post_init(self, context: Any, /) -> None:
        self._origins.update(context or {})

    def origin(self, name: str) -> str:
        """Where the value of now comes from: `default`, a variable, `FILE:LINE`, an option, or `api`."""
        return self._origins.get(name, BUILT_IN)

    def on_change(self, name: str, listener: Listener) -> Callable[[], None]:
        """Call `listener(value)` after each change of `name`; returns how to stop that."""
        require_known(name)
        self._listeners.setdefault(name, []).append(listener)
        return lambda: self._listeners[name].remove(listener)

    def check(self, name: str, value: Any) -> Any:
        """The value as it would be set. Raises `NotFound`, `Conflict` if it needs a restart, `SettingsInvalid`."""
        require_known(name)
        if RUN_TIME not in marks(name):
            raise Conflict(
                f"{name} cannot change while the server runs: set it in plugmesh.toml, as {variable(name)}, or on the "
                "command line, and start the server again"
            )
        now = {key: held for key, held in self.__dict__.items() if key != name}
        try:
            checked = type(self).model_validate({**now, name: value})
        except ValidationError as error:
            raise SettingsInvalid(tuple(f"{where or name}: {what}" for where, what in problems_of(error))) from None
        return getattr(checked, name)

    def change(self, name: str, value: Any) -> None:
        """Set a value and tell who listens. Raises as `check`."""
        checked = self.check(name, value)
        self._configured.setdefault(name, (getattr(self, name), self.origin(name)))
        self._set(name, checked, API)

    def reset(self, name: str) -> None:
        """Back to what is configured. Raises as `check`."""
        value, origin = self._configured.get(name, (getattr(self, name, None), self.origin(name)))
        self._set(name, self.check(name, value), origin)

    def configured_value(self, name: str) -> Any:
        """The value without what `change` did."""
        return self._configured[name][0] if name in self._configured else getattr(self, name)

    def shown(self, name: str, value: Any) -> Any:
        """A value for people: secrets are not shown."""
        return MASK if SECRET in marks(name) and value not in (None, "") else value

    def _set(self, name: str, value: Any, origin: str) -> None:
        self._origins[name] = origin
        self.__dict__[name] = value  # the model is frozen for everybody else
        for listener in tuple(self._listeners.get(name, ())):
            listener(value)


def marks(name: str) -> frozenset[Mark]:
    """What a setting is besides its type."""
    return frozenset(mark for mark in Table.model_fields[name].metadata if isinstance(mark, Mark))


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"PLUGMESH_{name.upper()}"


def require_known(name: str) -> None:
    """Raises `NotFound` with the nearest right name."""
    if name not in Table.model_fields:
        hint = did_you_mean(name, Table.model_fields) or "GET /api/v1/settings lists them"
        raise NotFound(f"there is no setting {name[:100]!r} ({hint})")


def problems_of(error: ValidationError) -> list[tuple[str, str]]:
    """Each wrong setting's name (empty: several together) and what is wrong with it. Secret values are not in it."""
    found = []
    for problem in error.errors(include_url=False, include_context=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        said = problem["msg"].removeprefix(_TOLD_BY_PYDANTIC)
        given = problem["input"]
        secret = not name or SECRET in marks(name) or "://" in str(given)  # an address may hold a password
        plain = not secret and isinstance(given, str | int | float) and repr(given) not in said
        found.append((name, said + (f", not {str(given)[:60]!r}" if plain else "")))
    return found


def _place(problem: tuple[str, str], origins: Mapping[str, str]) -> str:
    name, said = problem
    if not name:
        return f"settings: {said}"
    where = origins.get(name, name)
    return f"{where}: {said}" if name.upper() in where.upper() else f"{where}: {name}: {said}"
