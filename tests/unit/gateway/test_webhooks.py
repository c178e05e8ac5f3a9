"""Which webhooks a run has."""

from __future__ import annotations

import pytest

from gateway.errors import RequestInvalid
from gateway.webhooks import merge_notify
from plugmesh.contracts.notify import Notify
from plugmesh.flows.notify import wrong_address


def hook(url: str = "https://example.org/hook", **fields: object) -> Notify:
    return Notify.model_validate({"url": url, **fields})


def test_those_of_the_flow_come_first_and_each_is_there_once() -> None:
    one, two = hook("https://a/1"), hook("https://b/2", on=["failed"])
    assert merge_notify([one, two], [two, hook("https://c/3"), one]) == (one, two, hook("https://c/3"))
    assert merge_notify([], []) == ()


def test_the_same_address_for_another_end_is_another_webhook() -> None:
    assert len(merge_notify([hook(on=["failed"])], [hook(on=["succeeded"])])) == 2


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("ftp://example.org/", "by http or https, not by 'ftp'"),
        ("example.org", "not by 'nothing'"),
        ("javascript:alert(1)", "not by 'javascript'"),
        ("http://", "no address"),
        ("http://a:port/", "no address"),
        ("http://a:0/", "no address"),
        ("http://[::1/", "no address"),
        ("http://a b/", "no address"),
        ("http://a/\n", "no address"),
        ("http://exämple.org/", "no address"),
        ("https://user:secret@example.org/", "no user name or password"),
    ],
)
def test_an_address_that_cannot_be_called_is_refused(url: str, text: str) -> None:
    assert text in wrong_address(url)


@pytest.mark.parametrize("url", ["http://a", "https://a.example:8443/x?y=z", "http://[::1]:80/", "HTTP://A/"])
def test_other_addresses_are_taken(url: str) -> None:
    assert wrong_address(url) == ""


def test_all_that_is_wrong_is_said_with_its_place_and_without_the_address() -> None:
    with pytest.raises(RequestInvalid) as caught:
        merge_notify([hook("ftp://secret")], [hook(), hook("https://a", on=[])])
    assert [problem["where"] for problem in caught.value.problems] == ["flow.notify.0", "notify.1"]  # type: ignore[index]
    assert "secret" not in str(caught.value)


def test_a_run_has_ten_webhooks_at_most() -> None:
    hooks = [hook(f"https://a/{number}") for number in range(11)]
    assert len(merge_notify(hooks[:5], hooks[:10])) == 10
    with pytest.raises(RequestInvalid, match="name 11 webhooks, 10 are possible"):
        merge_notify(hooks[:5], hooks[1:])
