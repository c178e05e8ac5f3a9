"""Something to run a module on: files that were given, or tables made from what its contract says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from module_sdk.files import File
from plugmesh.contracts.module import InputPort, ModuleContract, PortKind
from plugmesh.data.types import parse_type
from plugmesh.errors import ConfigurationError, NotFound, PlugmeshError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 5
_ENDINGS = ".csv, .tsv, .parquet, .arrow, .jsonl, .json"


def inputs_for(contract: ModuleContract, given: Mapping[str, str], params: Mapping[str, Any]) -> dict[str, Any]:
    """What each input port gets: the file that was given for it, or else a table made for it.

    Raises `NotFound`, `ConfigurationError`.
    """
    names = [port.name for port in contract.inputs]
    unknown = [name for name in given if name.removesuffix(":") not in names]
    if unknown:
        raise ConfigurationError(f"{contract.ref} has no input {unknown[0]!r}; it has: {', '.join(names) or 'none'}")
    found = {}
    for port in contract.inputs:
        value = _for_port(contract, port, given, params)
        if value is not None:
            found[port.name] = [value] if port.variadic else value
    return found


def params_for(contract: ModuleContract, given: Mapping[str, str]) -> dict[str, Any]:
    """The params that were given, as their types say. Raises `ConfigurationError` where a required one is missing."""
    known = contract.params.get("properties", {})
    missing = [name for name in contract.params.get("required", ()) if name not in given]
    if missing:
        raise ConfigurationError(f"{contract.ref} needs the param {missing[0]!r}: give --param {missing[0]}=VALUE")
    return {name: _param(value, known.get(name, {})) for name, value in given.items()}


def _param(word: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") == "string":
        return word
    try:
        return json.loads(word)
    except ValueError:
        return word


def _for_port(contract: ModuleContract, port: InputPort, given: Mapping[str, str], params: Mapping[str, Any]) -> Any:
    if f"{port.name}:" in given:
        return _json(given[f"{port.name}:"], f"--input {port.name}:=…")
    if port.name in given:
        return _file(port, Path(given[port.name]))
    if port.kind is PortKind.TABLE:
        return None if port.optional else made_table(contract, port, params)
    if port.optional:
        return None
    how = f"{port.name}=PATH" if port.kind is PortKind.FILE else f"{port.name}:=JSON"
    raise ConfigurationError(f"{contract.ref}: the input {port.name!r} is a {port.kind.value}: give --input {how}")


def _file(port: InputPort, path: Path) -> Any:
    if not path.is_file():
        raise NotFound(f"--input {port.name}={path}: there is no such file")
    if port.kind is PortKind.FILE:
        return File.local(path)
    if port.kind is PortKind.VALUE:
        return _json(path.read_text("utf-8"), str(path))
    return read_file(path)


def read_file(path: Path) -> pa.Table:
    """A table from a local file, by its ending. Raises `ConfigurationError`."""
    import pyarrow as pa

    try:
        return _read(path)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read as a table: {error}") from None


def _read(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv, parquet
    from pyarrow import json as jsonl

    match path.suffix.lower():
        case ".csv" | ".tsv":
            tabs = csv.ParseOptions(delimiter="\t") if path.suffix.lower() == ".tsv" else None
            return csv.read_csv(path, parse_options=tabs)
        case ".parquet":
            return parquet.read_table(path)
        case ".arrow" | ".feather":
            return _read_arrow(path)
        case ".jsonl" | ".ndjson":
            return jsonl.read_json(path)
        case ".json":
            return pa.Table.from_pylist(json.loads(path.read_text("utf-8")))
        case ending:
            raise ValueError(f"the ending {ending or '(none)'} is not known; known are {_ENDINGS}")


def _read_arrow(path: Path) -> pa.Table:
    """An Arrow file, or a stream, which is what a download is."""
    import pyarrow as pa
    from pyarrow import feather, ipc

    try:
        return feather.read_table(path)
    except pa.ArrowInvalid:
        with ipc.open_stream(path) as reader:
            return reader.read_all()


def made_table(contract: ModuleContract, port: InputPort, params: Mapping[str, Any]) -> pa.Table:
    """Some rows with the columns that a port declares or that params name; with ordinary ones where there are none."""
    import pyarrow as pa

    columns = {_named(name, contract, params): kind for name, kind in port.columns.items()}
    for name in _columns_named(contract, port, params):
        columns.setdefault(name, "float64")
    if not columns:
        columns = {"id": "int64", "name": "string", "value": "float64"}
    return pa.table({name: _values(name, kind, contract) for name, kind in columns.items()})


def _named(column: str, contract: ModuleContract, params: Mapping[str, Any]) -> str:
    if not column.startswith("${params."):
        return column
    name = column[len("${params.") : -1]
    default = contract.params.get("properties", {}).get(name, {}).get("default")
    return str(params.get(name, default or name))


def _columns_named(contract: ModuleContract, port: InputPort, params: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name, schema in contract.params.get("properties", {}).items():
        value = params.get(name, schema.get("default"))
        if schema.get("x-port", port.name) != port.name or not value:
            continue
        if schema.get("x-mesh") == "column":
            found.append(str(value))
        elif schema.get("x-mesh") == "columns":
            found.extend(map(str, value))
    return found


def _values(name: str, kind: str, contract: ModuleContract) -> pa.Array:
    import pyarrow as pa

    wanted = parse_type(kind) or pa.float64()
    try:
        return made_values(wanted)
    except (pa.ArrowException, PlugmeshError) as error:
        raise ConfigurationError(
            f"{contract.ref}: no sample can be made for the column {name!r} of type {kind} ({error}): "
            "give a file with --input PORT=FILE"
        ) from None


def made_values(kind: pa.DataType) -> pa.Array:
    """`ROWS` values of a type, the last one null."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_nested(kind):
        return _nested(kind)
    if types.is_dictionary(kind):
        return made_values(kind.value_type).dictionary_encode().cast(kind)
    if types.is_temporal(kind):
        return _moments(kind)
    if types.is_boolean(kind):
        values: list[Any] = [True, False, True, False]
    elif types.is_decimal(kind):
        return pa.array([*map(Decimal, range(1, ROWS)), None], kind)
    elif types.is_floating(kind):
        values = [1.5 * row for row in range(1, ROWS)]
    else:
        values = [f"text {row}" if _is_text(kind) else row for row in range(1, ROWS)]
    return pa.array([*values, None]).cast(kind)


def _nested(kind: pa.DataType) -> pa.Array:
    """Lists of growing length, or structs."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        columns = [made_values(field.type).to_pylist() for field in fields]
        names = [field.name for field in fields]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        return pa.array([*rows[: ROWS - 1], None], kind)
    inner = made_values(kind.value_type).to_pylist()
    return pa.array([*(inner[:row] for row in range(ROWS - 1)), None], kind)


def _moments(kind: pa.DataType) -> pa.Array:
    """Days of 2026, and times and spans of whole hours."""
    import pyarrow as pa
    from pyarrow import types

    days = pa.array([*(20_454 + row for row in range(1, ROWS)), None], pa.int32()).cast(pa.date32())
    if types.is_date(kind):
        return days.cast(kind)
    if types.is_timestamp(kind):
        return days.cast(pa.timestamp("us")).cast(kind)
    hours = pa.array([*(3600 * row for row in range(1, ROWS)), None], pa.int64())
    if types.is_time(kind):
        return hours.cast(pa.int32()).cast(pa.time32("s")).cast(kind)
    return hours.cast(pa.duration("s")).cast(kind)


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in (*tests, types.is_binary_view))


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{place} is not JSON: {error}") from None
