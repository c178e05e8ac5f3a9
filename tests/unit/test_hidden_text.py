"""Secrets that stand in a text nobody foresaw: they do not leave for logs and traces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.hidden_text import hidden_in

letters = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!$%*+,-.:;=_~&", min_size=6, max_size=30
)


@given(st.sampled_from(["postgresql", "mysql+pymysql", "kafka", "http", "s3"]), letters, st.text(max_size=20), letters)
def test_the_user_info_of_an_address_goes(scheme: str, password: str, before: str, after: str) -> None:
    secret = f"Q{password}Q"
    text = hidden_in(f"{before} {scheme}://someone:{secret}@host:1/{after}")
    assert secret not in text
    assert "@host" in text


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket?secret_key=hunter2-x&region=eu",
        "connect(password='hunter2-x')",
        '{"access_key": "hunter2-x"}',
        "PLUGMESH_JOIN_TOKEN=hunter2-x",
        "Authorization: Bearer hunter2-x",
        "api-key: hunter2-x",
        "kafka://u:hunter2-x/y@h:9092/p",
        "no answer from kafka://u:a?hunter2-x@h:9092/p",
        "kafka://u:hunter2-x#a@h:9092/p",
        "postgresql://u:a@b?hunter2-x@h/db",
        "consul://:a/b#c?hunter2-x@h:8500/m",
    ],
)
def test_what_is_called_a_secret_goes(text: str) -> None:
    assert "hunter2" not in hidden_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the token was refused",
        "http://host:8720/api/v1/runs/run-1?wait_s=5",
        "?password_file=/run/secrets/db",
        "write to me@example.org, or see http://example.org/a",
        "ratio 3:4, keys = 5, author: me",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert hidden_in(text) == text
