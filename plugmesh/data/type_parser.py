"""The grammar of type names: recursive descent, one method a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from plugmesh.data.type_tokens import TypeTokens
from plugmesh.data.type_words import ALIASES, DECIMALS, EXAMPLES, LISTS, SIMPLE, meant_by

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DEPTH = 32
"""Deepest nesting; contracts come from outside, and a parser must not run out of stack."""


class TypeParser(TypeTokens):
    """One reading of one type name."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def parse(self) -> pa.DataType:
        """The type. Raises `ContractError`."""
        import pyarrow as pa

        try:
            kind = self._type()
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            self.fail(str(error))
        if self.rest:
            self.fail(f"{self.rest!r} was not expected after the type")
        return kind

    def _type(self) -> pa.DataType:
        import pyarrow as pa

        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep")
        name = self.word()
        name = ALIASES.get(name, name)
        if name in SIMPLE:
            kind = SIMPLE[name]()
            self._skip_unit(name)
        elif name in LISTS:
            self.example = EXAMPLES[name]
            kind = getattr(pa, LISTS[name])(self._in_angles(self._item))
        elif name in EXAMPLES:
            self.example = EXAMPLES[name]
            kind = getattr(self, f"_{'decimal' if name in DECIMALS else name}")(name)
        else:
            self._unknown(name)
        self._depth -= 1
        return kind

    def _timestamp(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self.expect("[")
        unit, zone = self.word(), None
        if self.accept(","):
            self.expect("tz")
            self.expect("=")
            zone = self.zone()
        self.expect("]")
        return pa.timestamp(unit, zone)

    def _time32(self, name: str) -> pa.DataType:
        import pyarrow as pa

        self.expect("[")
        unit = self.word()
        self.expect("]")
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

        self.expect("(")
        precision = self.number()
        self.expect(",")
        scale = self.number()
        self.expect(")")
        return getattr(pa, name)(precision, scale)

    def _struct(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self.expect("<")
        fields: list[pa.Field] = []
        while not self.accept(">"):
            if fields:
                self.expect(",")
            label = self.label()
            self.expect(":")
            fields.append(self._field(label))
        return pa.struct(fields)

    def _map(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self.expect("<")
        key = self._type()
        self.expect(",")
        item = self._field("value")
        ordered = self.accept(",") and self.expect("sorted")
        self.expect(">")
        return pa.map_(key, item, keys_sorted=ordered)

    def _dictionary(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self.expect("<")
        values = self._named_type("values")
        self.expect(",")
        indices = self._named_type("indices")
        ordered = False
        if self.accept(","):
            self.expect("ordered")
            ordered = not self.accept("=") or self.number() != 0
        self.expect(">")
        return pa.dictionary(indices, values, ordered)

    def _run_end_encoded(self, _: str) -> pa.DataType:
        import pyarrow as pa

        self.expect("<")
        ends = self._named_type("run_ends")
        self.expect(",")
        values = self._named_type("values")
        self.expect(">")
        return pa.run_end_encoded(ends, values)

    def _item(self) -> pa.Field:
        """A list's item; Arrow prints the field's name before it, which means nothing."""
        before = self.mark()
        self.token()
        if not self.accept(":"):
            self.go_back(before)
        return self._field("item")

    def _field(self, name: str) -> pa.Field:
        import pyarrow as pa

        kind = self._type()
        required = self.accept("not") and self.expect("null")
        return pa.field(name, kind, nullable=not required)

    def _named_type(self, name: str) -> pa.DataType:
        self.expect(name)
        if not self.accept("="):
            self.expect(":")
        return self._type()

    def _in_angles(self, read: Callable[[], pa.Field]) -> pa.Field:
        self.expect("<")
        found = read()
        self.expect(">")
        return found

    def _size(self) -> int:
        self.expect("[")
        size = self.number()
        self.expect("]")
        return size

    def _skip_unit(self, name: str) -> None:
        """`date32[day]` and `date64[ms]` are what Arrow prints."""
        unit = {"date32": "day", "date64": "ms"}.get(name)
        if unit and self.accept("["):
            self.expect(unit)
            self.expect("]")

    def _unknown(self, name: str) -> NoReturn:
        meant = meant_by(name)
        self.example = ""
        known = f"the simple ones are any, {', '.join(SIMPLE)}"
        self.fail(f"there is no type {name!r}; " + (f"did you mean {meant}?" if meant else known))
