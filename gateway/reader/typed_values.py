"""JSON values, and cells of CSV, as Arrow values: the way back from `json_values`. Runs only in a reader process."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

import pyarrow as pa

_ODD_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NUMBER = re.compile(r"-?[0-9]{1,20}")
_DIGITS = re.compile(r"[0-9]+")
_SHOWN = 60


class WrongValue(ValueError):
    """A value that a column cannot hold; the text is for whoever wrote it."""


def array_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values that `value_of` gave, as a column."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, array_of(values, kind.storage_type))
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def value_of(kind: pa.DataType, value: Any) -> Any:
    """What `array_of` takes for a JSON value. Raises `WrongValue`."""
    if value is None:
        return None
    for fits, convert in _CONVERTERS:
        if fits(kind):
            return convert(kind, value)
    raise WrongValue(f"a column of type {kind} cannot be corrected by hand")


def cell_value(kind: pa.DataType, cell: str) -> Any:
    """The same for a cell of CSV: an empty one is null. Raises `WrongValue`."""
    if not cell:
        return None
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_boolean(plain):
        return value_of(kind, {"true": True, "false": False}.get(cell.strip().lower(), cell))
    if pa.types.is_integer(plain) or pa.types.is_floating(plain) or pa.types.is_duration(plain):
        if "_" in cell:  # Python would take it
            raise _wrong(plain, cell, "a number")
        try:
            return value_of(kind, int(cell) if not pa.types.is_floating(plain) else float(cell))
        except ValueError:
            raise _wrong(plain, cell, "a number") from None
    if pa.types.is_nested(plain):
        try:
            return value_of(kind, json.loads(cell))
        except (ValueError, RecursionError) as error:
            raise error if isinstance(error, WrongValue) else _wrong(plain, cell, "JSON") from None
    return value_of(kind, cell)


def _wrong(kind: pa.DataType, value: Any, wanted: str) -> WrongValue:
    text = json.dumps(value, ensure_ascii=False, default=str)
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return WrongValue(f"{shown} is not {wanted}: the column is {kind}")


def _boolean(kind: pa.DataType, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(kind, value, "true or false")
    return value


def _integer(kind: pa.DataType, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(kind, value, "a whole number")
    return int(_held(kind, value, value))


def _float(kind: pa.DataType, value: Any) -> float:
    if isinstance(value, str) and value in _ODD_FLOATS:
        return _ODD_FLOATS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(kind, value, "a number")
    try:
        found = float(value)
    except OverflowError:
        raise _wrong(kind, value, "a number that fits") from None
    if isfinite(found) and kind.bit_width < 64 and not isfinite(pa.scalar(found, kind).as_py()):
        raise _wrong(kind, value, "a number that fits")
    return found


def _text(kind: pa.DataType, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(kind, value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(kind, value, "a text of whole characters") from None
    return value


def _decimal(kind: pa.DataType, value: Any) -> Decimal:
    try:
        found = Decimal(value if isinstance(value, str) else str(value))
    except InvalidOperation:
        raise _wrong(kind, value, "a decimal number") from None
    if isinstance(value, bool):
        raise _wrong(kind, value, "a decimal number")
    _held(kind, found, value)
    return found


def _time(kind: pa.DataType, value: Any) -> int:
    """Arrow's own number of a time: ISO 8601, or that number itself where ISO has no form for it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(_held(kind, value, value))
    text = _text(kind, value)
    if _NUMBER.fullmatch(text) and (text.startswith("-") or len(text) > 4):
        return int(_held(kind, int(text), value))
    try:
        if pa.types.is_time(kind):
            return _clock(kind, text)
        in_utc = pa.types.is_timestamp(kind) and kind.tz is not None
        return int(pa.array([text]).cast(pa.timestamp(kind.unit, "UTC") if in_utc else kind)[0].value)
    except (pa.ArrowException, TypeError, ValueError):
        raise _wrong(kind, value, "a moment as ISO 8601 has it") from None


def _clock(kind: pa.DataType, text: str) -> int:
    """A time of day, which Arrow itself does not read. Raises `ValueError`."""
    told, _, fraction = text.partition(".")
    clock = dt.time.fromisoformat(told)
    ticks = _TICKS[kind.unit]
    if clock.tzinfo is not None or (fraction and not _DIGITS.fullmatch(fraction)):
        raise ValueError(text)
    rest = int(fraction.ljust(9, "0")[:9]) * ticks if fraction else 0
    if rest % 10**9:
        raise ValueError(text)
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * ticks + rest // 10**9


def _duration(kind: pa.DataType, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(kind, value, f"a whole number of {kind.unit}")
    return int(_held(kind, value, value))


def _interval(kind: pa.DataType, value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 3 or not all(type(one) is int for one in value):
        raise _wrong(kind, value, "a list of months, days and nanoseconds")
    return _held(kind, pa.MonthDayNano(value), value)


def _bytes(kind: pa.DataType, value: Any) -> bytes:
    try:
        found = base64.b64decode(_text(kind, value), validate=True)
    except ValueError as error:
        raise error if isinstance(error, WrongValue) else _wrong(kind, value, "base64") from None
    _held(kind, found, value)
    return found


def _uuid(kind: pa.DataType, value: Any) -> bytes:
    try:
        return uuid.UUID(_text(kind, value)).bytes
    except ValueError as error:
        raise error if isinstance(error, WrongValue) else _wrong(kind, value, "a UUID") from None


def _list(kind: pa.DataType, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(kind, value, "a list")
    if pa.types.is_fixed_size_list(kind) and len(value) != kind.list_size:
        raise _wrong(kind, value, f"a list of {kind.list_size}")
    return [value_of(kind.value_type, one) for one in value]


def _struct(kind: pa.DataType, value: Any) -> dict[str, Any]:
    names = {kind.field(index).name: kind.field(index).type for index in range(kind.num_fields)}
    if not isinstance(value, dict) or not names.keys() >= value.keys():
        raise _wrong(kind, value, f"an object with {', '.join(names)}")
    return {name: value_of(names[name], one) for name, one in value.items()}


def _map(kind: pa.DataType, value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) and {*one} == {"key", "value"} for one in value):
        raise _wrong(kind, value, "a list of objects with key and value")
    if any(one["key"] is None for one in value):
        raise _wrong(kind, value, "a map without null among its keys")
    return [(value_of(kind.key_type, one["key"]), value_of(kind.item_type, one["value"])) for one in value]


def _held(kind: pa.DataType, found: Any, value: Any) -> Any:
    """Raises `WrongValue` for what is too large for the type."""
    try:
        pa.scalar(found, kind)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        raise _wrong(kind, value, "a value that fits") from None
    return found


_Convert = Callable[[pa.DataType, Any], Any]
_LISTS = (
    pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view,
    pa.types.is_large_list_view,
)  # fmt: skip
_BYTES = (
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view,
)  # fmt: skip
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_CONVERTERS: tuple[tuple[Callable[[pa.DataType], bool], _Convert], ...] = (
    (lambda kind: kind == pa.uuid(), _uuid),
    (lambda kind: isinstance(kind, pa.BaseExtensionType), lambda kind, value: value_of(kind.storage_type, value)),
    (pa.types.is_dictionary, lambda kind, value: value_of(kind.value_type, value)),
    (pa.types.is_boolean, _boolean),
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_duration, _duration),
    (pa.types.is_interval, _interval),
    (pa.types.is_temporal, _time),
    (lambda kind: any(fits(kind) for fits in _TEXTS), _text),
    (lambda kind: any(fits(kind) for fits in _BYTES), _bytes),
    (pa.types.is_struct, _struct),
    (pa.types.is_map, _map),
    (lambda kind: any(fits(kind) for fits in _LISTS), _list),
)
