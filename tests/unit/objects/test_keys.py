import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.errors import ConfigurationError
from plugmesh.objects.keys import check_key, check_prefix


@given(st.text(max_size=600))
def test_accepted_key_never_leaves_its_folder(key: str) -> None:
    try:
        check_key(key)
    except ConfigurationError:
        return
    path = os.path.normpath(f"/root/{key}")
    assert path == f"/root/{key}"
    assert path.startswith("/root/")


@given(st.lists(st.from_regex(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,20}", fullmatch=True), min_size=1, max_size=10))
def test_words_make_a_key_and_a_prefix(words: list[str]) -> None:
    key = "/".join(words)
    assert check_key(key) == key
    assert check_prefix(f"{key}/") == f"{key}/"


def test_word_longer_than_a_file_name_is_refused() -> None:
    check_key("x" * 255)
    with pytest.raises(ConfigurationError, match="1 to 255"):
        check_key("x" * 256)
