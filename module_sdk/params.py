"""A module's settings: from keyword-only parameters to a JSON Schema, and from JSON to arguments."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import PydanticJsonSchemaWarning

from module_sdk.dataframes.adapters import FRAMES
from module_sdk.files import OpenFile
from module_sdk.signature import ParamParameter, Place
from plugmesh.errors import DataMismatch, PlugmeshError

_FIELD = "param_"  # a field called `json` or `schema` would shadow what a pydantic model has


class InvalidParams(PlugmeshError):
    """The params of a node do not fit its module; correct them in the flow."""

    code = "invalid-params"


class Params:
    """The settings of one module."""

    def __init__(self, place: Place, parameters: tuple[ParamParameter, ...]) -> None:
        self.names = tuple(parameter.name for parameter in parameters)
        self._model = _model(place, parameters)
        self.schema = _schema(place, self._model)

    def arguments(
        self, values: Mapping[str, Any], open_file: OpenFile | None = None, *, local_files: bool = False
    ) -> dict[str, Any]:
        """The keyword arguments for `values`. Raises `InvalidParams` with everything that is wrong."""
        if not self.names and not values:
            return {}
        context = {"local_files": local_files, **({} if open_file is None else {"open_file": open_file})}
        try:
            model = self._model.model_validate(dict(values), context=context)
        except ValidationError as error:
            raise InvalidParams(_problems(error, self.names)) from error
        return {name: getattr(model, _FIELD + name) for name in self.names}


class ValuePort:
    """Checks a JSON value against the annotation of a port."""

    def __init__(self, place: Place, name: str, annotation: Any) -> None:
        self._name = name
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(Any if annotation is None else annotation)
        except PydanticUserError as error:
            raise place.error(
                f"{annotation!r} is neither a table ({', '.join(FRAMES)}), a File, nor a JSON value", name
            ) from error

    def read(self, value: Any) -> Any:
        """The Python value for `value`. Raises `DataMismatch`."""
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise DataMismatch(f"the value at port {self._name!r} does not fit: {_problems(error)}") from error


def _model(place: Place, parameters: tuple[ParamParameter, ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in parameters:
        required = parameter.default is inspect.Parameter.empty
        annotation = _annotation(parameter)
        default = ... if required else parameter.default
        fields[_FIELD + parameter.name] = (annotation, Field(default, alias=parameter.name, title=_title(parameter)))
    config = ConfigDict(extra="forbid", validate_default=True, arbitrary_types_allowed=False)
    try:
        return create_model("Params", __config__=config, **fields)
    except PydanticUserError as error:
        text = str(error).splitlines()[0]
        raise place.error(
            f"a param has a type that JSON cannot express ({text}): use str, int, float, bool, list, dict, "
            "Literal, a dataclass, a pydantic model or one of module_sdk's types"
        ) from error


def _annotation(parameter: ParamParameter) -> Any:
    """The given annotation; without one, the default's type, or anything."""
    if parameter.annotation is not None:
        return parameter.annotation
    if parameter.default is inspect.Parameter.empty or parameter.default is None:
        return Any
    return type(parameter.default)


def _title(parameter: ParamParameter) -> str:
    return parameter.name.replace("_", " ").capitalize()


def _schema(place: Place, model: type[BaseModel]) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PydanticJsonSchemaWarning)
            schema = model.model_json_schema(by_alias=True)
    except (PydanticUserError, PydanticJsonSchemaWarning) as error:
        text = str(error).splitlines()[0]
        raise place.error(f"the params have no JSON Schema: {text}") from error
    schema.pop("title", None)
    return {"type": "object", "properties": {}, "additionalProperties": False, **schema}


def _problems(error: ValidationError, names: tuple[str, ...] = ()) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=True):
        place = ".".join(str(part) for part in problem["loc"]) or "the value"
        if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
            there = f"there are {', '.join(names)}" if names else "the module has none"
            lines.append(f"{place}: there is no such param; {there}")
        else:
            lines.append(f"{place}: {problem['msg']} (got {_short(problem['input'])})")
    return "; ".join(lines)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
