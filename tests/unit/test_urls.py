"""What is shown of a URL, and where its password may come from."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.discovery.consul.address import consul_place
from plugmesh.errors import ConfigurationError
from plugmesh.logs.config import secrets_in
from plugmesh.objects.s3.address import parse_address
from plugmesh.state.database import Database
from plugmesh.urls import completed, hidden, without_option

_UNQUOTED = st.lists(
    st.one_of(
        st.sampled_from(list("/?#@:[]%&=;,+.!'\"\\é")), st.text("bcdfgh", min_size=2, max_size=8).map("Q{}Z".format)
    ),
    min_size=2,
    max_size=8,
).filter(lambda words: len("".join(words)) >= 4)
"""Passwords in pieces: words that stand nowhere else, and what has a meaning in URLs."""
_WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=16).map(lambda word: f"Q{word}Q")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "kafka://ann:pw@a:9092,b:9092/mesh?security=tls&ca_file=/ca",
            "kafka://a:9092,b:9092/mesh?security=tls&ca_file=/ca",
        ),
        ("s3://key:secret@bucket/p?endpoint=https://h:9000", "s3://bucket/p?endpoint=https://h:9000"),
        ("consul://:token@h:8500/mesh?tls=true", "consul://h:8500/mesh?tls=true"),
        ("postgresql://u@h/db?password=pw", "postgresql://h/db?password=***"),
        ("kafka://h/m?password_file=/run/secrets/k", "kafka://h/m?password_file=/run/secrets/k"),
        ("embedded://", "embedded://"),
        ("file:///data/objects?durable=true", "file:///data/objects?durable=true"),
        ("postgresql://u:p/w@h/db", "postgresql://***"),
        ("postgresql://u:p?w@h/db", "postgresql://***"),
        ("kafka://u:p#w@h:9092/p", "kafka://***"),
        ("kafka://u:p@w@h:9092/p", "kafka://h:9092/p"),
        ("u:pw@host", "***"),
        ("kafka://[u:pw@h", "kafka:***"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hidden(url) == shown


@given(_WORDS, _WORDS, st.sampled_from(["password", "secret_key", "token", "sasl.password", "aws_access_key"]))
def test_no_secret_is_left_in_what_is_shown(password: str, other: str, name: str) -> None:
    shown = hidden(f"kafka://user:{password}@host:1/x?{name}={other}&a=b")
    assert password not in shown
    assert other not in shown
    assert "a=b" in shown


@given(
    _UNQUOTED,
    st.sampled_from(["postgresql://u:{}@host/db", "kafka://u:{}@h:9092/p?security=tls", "consul://:{}@h:8500/m"]),
)
def test_no_part_of_a_password_is_shown_whatever_stands_in_it(words: list[str], url: str) -> None:
    shown = hidden(url.format("".join(words)))
    assert not [word for word in words if len(word) > 1 and word in shown]


@given(_UNQUOTED)
def test_a_password_that_is_not_quoted_is_known_as_a_secret_as_it_stands_there(words: list[str]) -> None:
    password = "".join(words)
    assert password in secrets_in([f"postgresql://u:{password}@host/db?sslmode=require"])


@given(_UNQUOTED, st.sampled_from(["kafka", "consul", "s3", "postgresql", "mysql"]))
def test_no_driver_says_a_part_of_a_password_when_it_cannot_read_a_url(words: list[str], scheme: str) -> None:
    parse = {"kafka": KafkaUrl.parse, "consul": consul_place, "s3": parse_address}.get(scheme, Database)
    try:
        parse(f"{scheme}://u:{''.join(words)}@h:port/d?option=1")
    except ConfigurationError as error:
        told = "".join(traceback.format_exception(error))
        assert not [word for word in words if len(word) > 1 and word in told]


@pytest.mark.parametrize("password", ["p@ss", "p@s/s", "p@s?s"])
def test_a_database_whose_host_would_be_a_part_of_the_password_is_refused(password: str) -> None:
    with pytest.raises(ConfigurationError, match=r"setting `state`.*%40"):
        Database(f"postgresql://u:{password}@host/db")


@pytest.mark.parametrize("login", ["u:p?s#s", "u@server:pw", "u@server", "u:p%40ss"])
def test_a_database_takes_every_login_that_its_library_reads_as_one(login: str) -> None:
    database = Database(f"postgresql://{login}@host/d%40b?sslrootcert=/a@b")
    assert (database.url.host, database.url.database) == ("host", "d@b")


def test_variables_and_a_password_file_complete_a_url(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text("p@ss/word\n")
    url = f"postgresql://${{WHO}}@h/db?password_file={file}&sslmode=require"
    assert completed(url, {"WHO": "ann"}) == "postgresql://ann:p%40ss%2Fword@h/db?sslmode=require"
    assert completed(f"consul://h:8500/m?password_file={file}", {}) == "consul://:p%40ss%2Fword@h:8500/m"
    assert completed("embedded://", {}) == "embedded://"


@pytest.mark.parametrize("said", ["NOPE", "/not/there"])
def test_what_is_missing_is_named_without_the_password(said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as failed:
        completed(
            "kafka://u:geheim@h/${NOPE}" if said == "NOPE" else "kafka://u:geheim@h/m?password_file=/not/there", {}
        )
    assert "geheim" not in str(failed.value)


def test_an_option_is_left_out_and_the_others_stay() -> None:
    url = "s3://me:a%2Fb@bucket/p?endpoint=http://h:9000&cache=/tmp/c%20d&region=eu"
    assert without_option(url, "cache") == "s3://me:a%2Fb@bucket/p?endpoint=http://h:9000&region=eu"
    assert without_option("file:///a/b", "cache") == "file:///a/b"
