import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.data.types import accepts, parse_type, type_name
from plugmesh.errors import ContractError
from tests.unit.data.arrow_strategies import FIELD_TYPES, LEAF_TYPES


@given(FIELD_TYPES)
def test_every_type_has_a_name_that_reads_back(kind: pa.DataType) -> None:
    assert parse_type(type_name(kind)) == kind


@given(FIELD_TYPES)
def test_every_type_is_accepted_under_its_own_name(kind: pa.DataType) -> None:
    assert accepts(type_name(kind), kind)
    assert accepts("any", kind)


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_fail_otherwise(name: str) -> None:
    try:
        parse_type(name)
    except ContractError as error:
        assert repr(name) in str(error)  # noqa: PT017


@given(st.sampled_from(LEAF_TYPES), st.sampled_from(LEAF_TYPES))
def test_types_of_another_meaning_are_not_accepted(one: pa.DataType, two: pa.DataType) -> None:
    families = ({"string", "large_string", "string_view"}, {"binary", "large_binary", "binary_view"})
    family = any({type_name(one), type_name(two)} <= names for names in families)
    assert accepts(type_name(one), two) == (one == two or family)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.float64(), "float64"),
        (pa.bool_(), "bool"),
        (pa.timestamp("us"), "timestamp[us]"),
        (pa.timestamp("us", "UTC"), "timestamp[us, tz=UTC]"),
        (pa.decimal128(10, 2), "decimal128(10, 2)"),
        (pa.binary(16), "fixed_size_binary[16]"),
        (pa.list_(pa.field("element", pa.int64(), nullable=False)), "list<int64 not null>"),
        (pa.struct([("a", pa.int64()), ("b c", pa.string())]), 'struct<a: int64, "b c": string>'),
        (pa.map_(pa.string(), pa.int64()), "map<string, int64>"),
        (pa.dictionary(pa.int32(), pa.string()), "dictionary<values=string, indices=int32>"),
        (pa.dictionary(pa.int8(), pa.string(), ordered=True), "dictionary<values=string, indices=int8, ordered>"),
        (pa.uuid(), "extension<arrow.uuid>"),
    ],
)
def test_name_is_what_a_person_would_write(kind: pa.DataType, name: str) -> None:
    assert type_name(kind) == name


@pytest.mark.parametrize(
    "kind",
    [
        *(kind for kind in LEAF_TYPES if kind != pa.float32()),  # printed "float", which others take for 64 bits
        pa.list_(pa.int64()),
        pa.struct([("a", pa.list_(pa.string()))]),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int32(), pa.string(), ordered=True),
        pa.map_(pa.string(), pa.int64()),
        pa.list_(pa.float64(), 3),
        pa.run_end_encoded(pa.int32(), pa.string()),
    ],
)
def test_what_arrow_prints_is_understood(kind: pa.DataType) -> None:
    assert parse_type(str(kind)) == kind


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("float", "did you mean float64"),
        ("str", "did you mean string"),
        ("int46", "did you mean int64"),
        ("datetime", r"did you mean timestamp\[us\]"),
        ("zzz", "the simple ones are any, null, bool"),
        ("", "found 'the end'"),
        ("timestamp", r"write it like timestamp\[us\] or"),
        ("timestamp[us", r"'\]' was expected, found 'the end'"),
        ("timestamp[ux]", "unit"),
        ("decimal128(100, 2)", "precision"),
        ("list", r"write it like list<float64>"),
        ("list<int>", "did you mean int64"),
        ("int64 int64", "'int64' was not expected"),
        ("struct<a b: int64>", "':' was expected, found 'b'"),
        ("list<" * 100 + "int64" + ">" * 100, "nested more than"),
        ("list<any>", "there is no type 'any'"),
        ("extension<arrow.uuid>", "there is no type 'extension'"),
    ],
)
def test_wrong_name_says_what_to_write(name: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        parse_type(name)


ACCEPTED = [
    ("string", pa.large_string()),
    ("string", pa.string_view()),
    ("string", pa.dictionary(pa.int32(), pa.large_string())),
    ("large_string", pa.string()),
    ("binary", pa.large_binary()),
    ("dictionary<values=string, indices=int32>", pa.dictionary(pa.int8(), pa.large_string())),
    ("list<string>", pa.large_list(pa.large_string())),
    ("list<int64>", pa.list_view(pa.int64())),
    ("list<int64>", pa.list_(pa.field("element", pa.int64(), nullable=False))),
    ("struct<a: string>", pa.struct([("a", pa.large_string())])),
    ("map<string, string>", pa.map_(pa.large_string(), pa.string())),
    ("fixed_size_binary[16]", pa.uuid()),
]
REFUSED = [
    ("int64", pa.float64()),
    ("int64", pa.int32()),
    ("float64", pa.int64()),
    ("string", pa.binary()),
    ("string", pa.dictionary(pa.int32(), pa.int64())),
    ("string", pa.null()),
    ("timestamp[us]", pa.timestamp("us", "UTC")),
    ("timestamp[us]", pa.timestamp("ns")),
    ("decimal128(10, 2)", pa.decimal128(12, 2)),
    ("dictionary<values=string, indices=int32>", pa.string()),
    ("dictionary<values=string, indices=int32, ordered>", pa.dictionary(pa.int32(), pa.string())),
    ("list<int64>", pa.list_(pa.float64())),
    ("struct<a: int64, b: int64>", pa.struct([("b", pa.int64()), ("a", pa.int64())])),
    ("fixed_size_list<int64>[3]", pa.list_(pa.int64(), 2)),
]


@pytest.mark.parametrize(("expected", "found"), ACCEPTED)
def test_another_layout_of_the_same_meaning_is_accepted(expected: str, found: pa.DataType) -> None:
    assert accepts(expected, found)


@pytest.mark.parametrize(("expected", "found"), REFUSED)
def test_another_meaning_is_refused(expected: str, found: pa.DataType) -> None:
    assert not accepts(expected, found)
