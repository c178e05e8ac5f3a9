"""The grammar of type names: recursive descent, one method a form."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn

from plugmesh.errors import ContractError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DEPTH = 32
"""Deepest nesting; contracts come from outside, and a parser must not run out of stack."""


def _arrow(function: str) -> Callable[[], pa.DataType]:
    def make() -> pa.DataType:
        import pyarrow as pa

        return getattr(pa, function)()

    return make


SIMPLE: Mapping[str, Callable[[], pa.DataType]] = {
    name: _arrow({"bool": "bool_"}.get(name, name))
    for name in (
        *("null", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "string", "large_string", "string_view", "binary", "large_binary"),
        *("binary_view", "date32", "date64", "month_day_nano_interval"),
    )
}
"""Types that are only a name."""

_ALIASES = {"double": "float64", "halffloat": "float16", "utf8": "string", "large_utf8": "large_string"}
_LISTS = {"list": "list_", "large_list": "large_list", "list_view": "list_view", "large_list_view": "large_list_view"}
_DECIMALS = ("decimal32", "decimal64", "decimal128", "decimal256")
_MEANT = {
    "int": "int64",
    "integer": "int64",
    "float": "float64 (or float32)",
    "number": "float64",
    "str": "string",
    "text": "string",
    "boolean": "bool",
    "bytes": "binary",
    "datetime": "timestamp[us]",
    "date": "date32",
    "time": "time64[us]",
    "timedelta": "duration[us]",
    "decimal": "decimal128(10, 2)",
    "category": "dictionary<values=string, indices=int32>",
    "categorical": "dictionary<values=string, indices=int32>",
    "array": "list<float64>",
    "dict": "struct<a: int64>",
    "object": "any",
}
_EXAMPLES = {
    "timestamp": "timestamp[us] or timestamp[us, tz=UTC]",
    "time32": "time32[s]",
    "time64": "time64[us]",
    "duration": "duration[us]",
    "fixed_size_binary": "fixed_size_binary[16]",
    "fixed_size_list": "fixed_size_list<float32>[3]",
    "struct": "struct<a: int64, b: string>",
    "map": "map<string, int64>",
    "dictionary": "dictionary<values=string, indices=int32>",
    "run_end_encoded": "run_end_encoded<run_ends=int32, values=string>",
    **{name: f"{name}(9, 2)" for name in _DECIMALS},
    **{name: f"{name}<float64>" for name in _LISTS},
}
_TOKEN = re.compile(r'\s*(?:([A-Za-z_]\w*)|(-?\d+)|("(?:[^"\\]|\\.)*")|(.))', re.DOTALL)
_ZONE = re.compile(r"\s*([A-Za-z0-9_+\-/:]+)")


class TypeParser:
    """One reading of one type name."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._example = ""

    def parse(self) -> pa.DataType:
        """The type. Raises `ContractError`."""
        import pyarrow as pa

        try:
            kind = self._type()
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            self._fail(str(error))
        if self._text[self._at :].strip():
            self._fail(f"{self._text[self._at :].strip()!r} was not expected after the type")
        return kind

    def _type(self) -> pa.DataType:
        import pyarrow as pa

        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} deep")
        name = self._word()
        name = _ALIASES.get(name, name)
        if name in SIMPLE:
            kind = SIMPLE[name]()
            self._skip_unit(name)
        elif name in _LISTS:
            self._example = _EXAMPLES[name]
            kind = getattr(pa, _LISTS[name])(self._in_angles(self._item))
        elif name in _EXAMPLES:
            self._example = _EXAMPLES[name]
            kind = getattr(self, f"_{'decimal' if name in _DECIMALS else name}")(name)
        else:
            self._unknown(name)
        self._depth -= 1
        return kind

    def _timestamp(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self._expect("[")
        unit, zone = self._word(), None
        if self._accept(","):
            self._expect("tz")
            self._expect("=")
            zone = self._zone()
        self._expect("]")
        return pa.timestamp(unit, zone)

    def _time32(self, name: str) -> pa.DataType:
        import pyarrow as pa

        self._expect("[")
        unit = self._word()
        self._expect("]")
        return getattr(pa, name)(unit)

    _time64 = _duration = _time32

    def _fixed_size_binary(self, _: str) -> pa.DataType:
        import pyarrow as pa

        return pa.binary(self._size())

    def _fixed_size_list(self, _: str) -> pa.DataType:
        import pyarrow as pa

        return pa.list_(self._in_angles(self._item), self._size())

    def _decimal(self, name: str) -> pa.DataType:
        import pyarrow as pa

        self._expect("(")
        precision = self._number()
        self._expect(",")
        scale = self._number()
        self._expect(")")
        return getattr(pa, name)(precision, scale)

    def _struct(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self._expect("<")
        fields: list[pa.Field] = []
        while not self._accept(">"):
            if fields:
                self._expect(",")
            label = self._label()
            self._expect(":")
            fields.append(self._field(label))
        return pa.struct(fields)

    def _map(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self._expect("<")
        key = self._type()
        self._expect(",")
        item = self._field("value")
        ordered = self._accept(",") and self._expect("sorted")
        self._expect(">")
        return pa.map_(key, item, keys_sorted=ordered)

    def _dictionary(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self._expect("<")
        values = self._named_type("values")
        self._expect(",")
        indices = self._named_type("indices")
        ordered = False
        if self._accept(","):
            self._expect("ordered")
            ordered = not self._accept("=") or self._number() != 0
        self._expect(">")
        return pa.dictionary(indices, values, ordered)

    def _run_end_encoded(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self._expect("<")
        ends = self._named_type("run_ends")
        self._expect(",")
        values = self._named_type("values")
        self._expect(">")
        return pa.run_end_encoded(ends, values)

    def _item(self) -> pa.Field:
        """A list's item; Arrow prints the field's name before it, which means nothing."""
        before = self._at
        self._token()
        if not self._accept(":"):
            self._at = before
        return self._field("item")

    def _field(self, name: str) -> pa.Field:
        import pyarrow as pa

        kind = self._type()
        required = self._accept("not") and self._expect("null")
        return pa.field(name, kind, nullable=not required)

    def _named_type(self, name: str) -> pa.DataType:
        self._expect(name)
        if not self._accept("="):
            self._expect(":")
        return self._type()

    def _in_angles(self, read: Callable[[], pa.Field]) -> pa.Field:
        self._expect("<")
        found = read()
        self._expect(">")
        return found

    def _size(self) -> int:
        self._expect("[")
        size = self._number()
        self._expect("]")
        return size

    def _skip_unit(self, name: str) -> None:
        """`date32[day]` and `date64[ms]` are what Arrow prints."""
        unit = {"date32": "day", "date64": "ms"}.get(name)
        if unit and self._accept("["):
            self._expect(unit)
            self._expect("]")

    def _zone(self) -> str:
        found = _ZONE.match(self._text, self._at)
        if found is None:
            return self._label()
        self._at = found.end()
        return found[1]

    def _label(self) -> str:
        token = self._token()
        if token.startswith('"'):
            label: str = json.loads(token)
            return label
        if not token.isidentifier():
            self._fail(f'a name was expected, found {token!r}: put odd names in "double quotes"')
        return token

    def _word(self) -> str:
        token = self._token()
        if not token.isidentifier():
            self._fail(f"a type was expected, found {token or 'the end'!r}")
        return token

    def _number(self) -> int:
        token = self._token()
        if not token.lstrip("-").isdecimal():
            self._fail(f"a number was expected, found {token or 'the end'!r}")
        return int(token)

    def _accept(self, expected: str) -> bool:
        before = self._at
        if self._token() == expected:
            return True
        self._at = before
        return False

    def _expect(self, expected: str) -> bool:
        before, token = self._at, self._token()
        if token != expected:
            self._at = before
            self._fail(f"{expected!r} was expected, found {token or 'the end'!r}")
        return True

    def _token(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[found.lastindex or 0]

    def _unknown(self, name: str) -> NoReturn:
        meant = _MEANT.get(name.lower())
        if meant is None:
            near = difflib.get_close_matches(name, [*SIMPLE, *_EXAMPLES, "any"], 1)
            meant = near[0] if near else None
        self._example = ""
        known = f"the simple ones are any, {', '.join(SIMPLE)}"
        self._fail(f"there is no type {name!r}; " + (f"did you mean {meant}?" if meant else known))

    def _fail(self, problem: str) -> NoReturn:
        hint = f"; write it like {self._example}" if self._example else ""
        raise ContractError(f"type {self._text!r}: {problem}{hint}")
