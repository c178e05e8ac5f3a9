"""Reading what clients send: names, hosts, bodies; and what errors become."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway.errors
import plugmesh.errors
from gateway.answers import attachment
from gateway.bodies import read_json, read_model
from gateway.errors import BadRequest, RequestInvalid
from gateway.origins import host_name
from gateway.problems import STATUS, ProblemResponse, of_error
from gateway.reader.pool import ReaderFailure
from gateway.requests import RerunRequest, RunRequest
from gateway.uploads import check_name, check_namespace, media_type_of
from plugmesh.errors import NotFound, PlugmeshError
from plugmesh.objects.keys import check_key

RAISED_ELSEWHERE = {"internal", "contract", "plan-outdated", "file-unreadable", "decoder-ended"}
"""Never reach a client as themselves; the last three are how steps fail."""


@pytest.mark.parametrize("seconds", [0, -1, 1e18, "60", True])
def test_a_timeout_is_no_longer_than_a_flow_file_can_say(seconds: object) -> None:
    with pytest.raises(RequestInvalid, match="timeout_s"):
        read_model(RerunRequest, {"timeout_s": seconds})
    assert read_model(RerunRequest, {"timeout_s": 10 * 365 * 86_400}).timeout_s == 10 * 365 * 86_400


@given(st.text(max_size=300))
def test_a_name_that_is_accepted_is_no_path_and_has_no_control_characters(name: str) -> None:
    try:
        kept = check_name(name)
    except BadRequest:
        return
    assert 1 <= len(kept) <= 255
    assert "/" not in kept
    assert ".." not in kept
    assert all(character >= " " and character != "\x7f" for character in kept)
    assert check_name(kept) == kept
    headers = attachment(kept)
    for value in headers.values():
        value.encode("ascii")
        assert "\r" not in value
        assert "\n" not in value


@pytest.mark.parametrize("name", [" ", " a", "a\u00a0", "\ufffd.csv"])
def test_a_name_that_people_could_not_type_again_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="a file's name"):
        check_name(name)


@pytest.mark.parametrize("labels", [{"a": "x\x00"}, {"a": "x\ny"}, {"a:b": "x"}, {"a": "x" * 201}, {"a": 5}])
def test_a_label_is_a_name_and_one_line_of_text(labels: dict[str, object]) -> None:
    with pytest.raises(RequestInvalid, match=r"labels\.a"):
        read_model(RunRequest, {"flow": {}, "labels": labels})
    assert read_model(RunRequest, {"flow": {}, "labels": {"a": "grün 🚚"}}).labels == {"a": "grün 🚚"}


@given(st.text(max_size=120))
def test_a_namespace_that_is_accepted_can_be_a_word_of_a_key(namespace: str) -> None:
    try:
        check_namespace(namespace)
    except BadRequest:
        return
    check_key(f"files/{namespace}/x")


@pytest.mark.parametrize(
    ("name", "declared", "kept"),
    [
        ("a.csv", "application/octet-stream", "text/csv"),
        ("a.csv", "application/pdf; x=1", "application/pdf"),
        ("a", "", "application/octet-stream"),
        ("a", "text/html\r\nx: y", "application/octet-stream"),
        ("a", "nonsense", "application/octet-stream"),
    ],
)
def test_the_media_type_is_what_the_client_or_the_name_says(name: str, declared: str, kept: str) -> None:
    assert media_type_of(name, declared) == kept


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"), ("127.0.0.1:80", "127.0.0.1"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", ""),
        ("localhost:", "localhost"), ("localhost:x", "localhost:x"), ("[::1]x", "[::1]x"), ("[::1", "[::1"),
        ("a:1:2", "a:1:2"),
    ],
)  # fmt: skip
def test_a_hosts_name_is_what_stands_before_the_port(host: str, name: str) -> None:
    assert host_name(host) == name


@given(st.binary(max_size=200))
def test_any_body_is_json_or_a_bad_request(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        read_json(body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_document_is_a_request_or_a_problem(document: object) -> None:
    for given_document in (document, {"flow": document}, {"flow": {}, "inputs": document}):
        with contextlib.suppress(BadRequest, RequestInvalid):
            read_model(RunRequest, given_document)


def all_errors() -> list[type[PlugmeshError]]:
    found = []
    for module in (plugmesh.errors, gateway.errors):
        found += [value for value in vars(module).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, PlugmeshError)]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[PlugmeshError]) -> None:
    assert kind.code in STATUS or kind.code in RAISED_ELSEWHERE


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    answer = of_error(NotFound("there is no run"))
    assert isinstance(answer, ProblemResponse)
    assert answer.status_code == 404
    assert read_json(bytes(answer.body)) == {
        "type": "urn:plugmesh:problem:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "there is no run",
        "code": "not-found",
    }


def test_what_a_reader_process_reports_keeps_its_code() -> None:
    assert of_error(ReaderFailure("data-mismatch", "no column")).status_code == 422
    assert of_error(ReaderFailure("never-heard-of", "x")).status_code == 500
