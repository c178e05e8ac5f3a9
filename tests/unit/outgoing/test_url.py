"""Which URLs the client takes, and what of them may be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.errors import ConfigurationError
from plugmesh.outgoing.url import join_url, masked, parse_url


def test_a_url_is_taken_apart():
    url = parse_url("HTTPS://Example.COM:8443/a/b?c=d#not-sent")
    assert (url.scheme, url.host, url.port, url.target) == ("https", "example.com", 8443, "/a/b?c=d")
    assert url.origin == "https://example.com:8443"


def test_the_port_is_left_out_where_it_is_the_usual_one():
    assert parse_url("http://example.com").origin == "http://example.com"
    assert parse_url("http://[2606:4700::1]:8080/").authority == "[2606:4700::1]:8080"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ftp://example.com/", "ftp"),
        ("file:///etc/passwd", "file"),
        ("example.com/hook", "http"),
        ("https://user:hunter2@example.com/", "password"),
        ("https://example.com\\@evil.com/", "backslashes"),
        ("https://exa mple.com/", "spaces"),
        ("https://example.com/\r\nhost: evil", "control"),
        ("https:///path", "host"),
        ("https://example.com:99999/", "cannot be read"),
        ("https://example.com:0/", "port 0"),
        ("https://[::1/", "cannot be read"),
        ("https://" + "a" * 5000, "characters"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_without_its_secrets(text, word):
    with pytest.raises(ConfigurationError, match=word) as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)


def test_names_and_paths_of_other_scripts_are_encoded():
    url = parse_url("https://bücher.example/straße?größe=ä")
    assert url.host == "xn--bcher-kva.example"
    assert url.target == "/stra%C3%9Fe?gr%C3%B6%C3%9Fe=%C3%A4"


def test_a_redirect_may_be_relative():
    base = parse_url("https://example.com/a/b")
    assert str(join_url(base, "../c?d")) == "https://example.com/c?d"
    assert join_url(base, "//other.example/x").host == "other.example"


def test_what_is_shown_has_no_credentials_and_no_query():
    assert masked("https://user:pw@example.com/a?token=x") == "https://example.com/a?***"


@given(st.text(max_size=200))
def test_any_text_is_a_url_or_an_error_that_says_why(text):
    try:
        url = parse_url(text)
    except ConfigurationError:
        return
    assert parse_url(str(url)) == url
