"""Upload, list, download."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NoReturn
from urllib.parse import quote

import pytest
import xxhash

from plugmesh.errors import StoreFull
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House

FILES = "/api/v1/files"


@pytest.fixture
def settings() -> Settings:
    return Settings(file_limit_bytes=5_000_000)


async def test_an_upload_is_stored_under_a_key_of_its_own_with_its_hash(house: House) -> None:
    data = bytes(range(256)) * 10_000
    answer = await house.client.put(f"{FILES}/flights.csv", content=data)
    assert answer.status_code == 201
    file = answer.json()
    assert (file["name"], file["bytes"], file["media_type"]) == ("flights.csv", len(data), "text/csv")
    assert file["hash"] == f"xxh3:{xxhash.xxh3_128_hexdigest(data)}"
    assert "flights" not in file["key"]
    assert bytes(house.objects.read(file["key"])) == data
    assert (await house.client.get(f"{FILES}/flights.csv")).content == data


async def test_the_answer_to_an_upload_can_be_handed_to_a_run(house: House) -> None:
    file = (await house.client.put(f"{FILES}/a.csv", content=b"x")).json()
    flow = {"flow": "f", "inputs": {"a": "file"}, "nodes": {"n": {"module": "m", "params": {"file": "${inputs.a}"}}}}
    answer = await house.client.post("/api/v1/runs", json={"flow": flow, "inputs": {"a": file}})
    assert answer.status_code == 202, answer.text


async def test_an_empty_file_is_a_file(house: House) -> None:
    assert (await house.client.put(f"{FILES}/empty", content=b"")).json()["bytes"] == 0
    answer = await house.client.get(f"{FILES}/empty")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_name_points_at_the_newest_version(house: House) -> None:
    keys = [(await house.client.put(f"{FILES}/a", content=text)).json()["key"] for text in (b"1", b"22")]
    assert (await house.client.get(f"{FILES}/a")).content == b"22"
    assert bytes(house.objects.read(keys[0])) == b"1"
    listed = (await house.client.get(FILES)).json()["files"]
    assert [(file["name"], file["bytes"]) for file in listed] == [("a", 2)]


async def test_namespaces_keep_names_apart(house: House) -> None:
    await house.client.put(f"{FILES}/a?namespace=one", content=b"1")
    await house.client.put(f"{FILES}/a?namespace=two", content=b"2")
    assert (await house.client.get(f"{FILES}/a?namespace=one")).content == b"1"
    assert (await house.client.get(f"{FILES}/a")).status_code == 404
    assert (await house.client.put(f"{FILES}/a?namespace=../x", content=b"1")).status_code == 400


@pytest.mark.parametrize("name", ["..", "a..b", "a\\b", "a\nb", "\x00", "é" * 256])
async def test_a_name_that_could_be_a_path_is_refused(house: House, name: str) -> None:
    answer = await house.client.put(f"{FILES}/{quote(name, safe='')}", content=b"x")
    assert answer.status_code in {400, 404, 405}
    assert list(house.objects.list("files/")) == []


@pytest.mark.parametrize("name", ["a b.csv", "Umlaut ä.csv", "日本.csv", "50%.csv", "a+b&c=d;.csv", "'q\"q'.csv"])
async def test_any_other_name_is_kept_as_it_is(house: House, name: str) -> None:
    path = f"{FILES}/{quote(name, safe='')}"
    assert (await house.client.put(path, content=b"x")).json()["name"] == name
    answer = await house.client.get(path)
    assert answer.content == b"x"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_over_the_limit_leaves_nothing(house: House) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield b"x" * 100_000

    for content in (b"x" * 5_000_001, pieces()):
        answer = await house.client.put(f"{FILES}/big", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "limit-exceeded")
    assert_nothing(house)
    assert (await house.client.get(f"{FILES}/big")).status_code == 404


async def test_an_upload_that_breaks_off_leaves_nothing(house: House) -> None:
    scope = {
        "type": "http",
        "method": "PUT",
        "path": f"{FILES}/half",
        "raw_path": f"{FILES}/half".encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8720"), (b"content-length", b"4000000")],
    }
    messages: list[dict[str, object]] = [
        {"type": "http.request", "body": b"x" * 2_000_000, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    await house.app(scope, receive, send)
    assert_nothing(house)
    assert (await house.client.get(f"{FILES}/half")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "content", "shown"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-500", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=0-9", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=-500", 206, b"0123456789", "bytes 0-9/10"),
        ("Bytes = 9-9", 206, b"9", "bytes 9-9/10"),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=x-3", 200, b"0123456789", None),
        ("bytes=--3", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=5-2", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        pytest.param("bytes=" + "9" * 500 + "-", 416, None, "bytes */10", id="very far"),
    ],
)
async def test_a_range_is_a_part(house: House, asked: str, status: int, content: bytes | None, shown: str) -> None:
    await house.client.put(f"{FILES}/a", content=b"0123456789")
    answer = await house.client.get(f"{FILES}/a", headers={"range": asked})
    assert (answer.status_code, answer.headers.get("content-range")) == (status, shown)
    if status == 416:
        assert answer.json()["code"] == "bad-range"
    if content is not None:
        assert answer.content == content
        assert answer.headers["content-length"] == str(len(content))


async def test_an_empty_file_has_no_first_byte_and_its_last_bytes_are_all_of_it(house: House) -> None:
    await house.client.put(f"{FILES}/none", content=b"")
    asked = [await house.client.get(f"{FILES}/none", headers={"range": f"bytes={part}"}) for part in ("0-", "-5")]
    assert [(answer.status_code, answer.content) for answer in asked[1:]] == [(200, b"")]
    assert (asked[0].status_code, asked[0].headers["content-range"]) == (416, "bytes */0")


async def test_who_asks_for_the_head_gets_that_of_the_whole(house: House) -> None:
    await house.client.put(f"{FILES}/a", content=b"0123456789")
    answer = await house.client.head(f"{FILES}/a", headers={"range": "bytes=2-3"})
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "10", b"")


@pytest.mark.parametrize("condition", ['W/"xxh3:0"', "Wed, 21 Oct 2015 07:28:00 GMT", '"another"'])
async def test_a_part_is_only_given_of_the_very_version_that_the_client_has(house: House, condition: str) -> None:
    await house.client.put(f"{FILES}/a", content=b"0123456789")
    answer = await house.client.get(f"{FILES}/a", headers={"range": "bytes=5-", "if-range": condition})
    assert (answer.status_code, answer.content) == (200, b"0123456789")


async def test_a_range_of_an_older_version_gives_the_whole_of_the_new_one(house: House) -> None:
    await house.client.put(f"{FILES}/a", content=b"0123456789")
    etag = (await house.client.get(f"{FILES}/a")).headers["etag"]
    assert (await house.client.get(f"{FILES}/a", headers={"if-none-match": etag})).status_code == 304
    await house.client.put(f"{FILES}/a", content=b"abcdefghij")
    answer = await house.client.get(f"{FILES}/a", headers={"range": "bytes=5-", "if-range": etag})
    assert (answer.status_code, answer.content) == (200, b"abcdefghij")


async def test_a_file_whose_object_is_gone_says_so(house: House) -> None:
    file = (await house.client.put(f"{FILES}/a", content=b"x")).json()
    house.objects.delete(file["key"])
    answer = await house.client.get(f"{FILES}/a")
    assert (answer.status_code, answer.json()["code"]) == (410, "object-missing")


async def test_many_uploads_of_one_name_are_all_whole(house: House) -> None:
    contents = [bytes([65 + number]) * (100_000 + number) for number in range(12)]
    answers = await asyncio.gather(*(house.client.put(f"{FILES}/same", content=content) for content in contents))
    for answer, content in zip(answers, contents, strict=True):
        assert bytes(house.objects.read(answer.json()["key"])) == content
    assert (await house.client.get(f"{FILES}/same")).content in contents


def assert_nothing(house: House) -> None:
    assert list(house.objects.list("files/")) == []
    assert list((house.folder / "objects" / "tmp").iterdir()) == []


async def test_no_room_is_said_in_one_line_to_the_client_and_to_the_log(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(key: str) -> NoReturn:
        raise StoreFull(f"no room for {key}")

    monkeypatch.setattr(house.objects, "create", full)
    answer = await house.client.put(f"{FILES}/a", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (507, "store-full")
    (record,) = [record for record in caplog.records if record.name == "plugmesh.gateway"]
    assert record.exc_info is None


async def test_a_file_needs_a_name(house: House) -> None:
    answer = await house.client.put(f"{FILES}/", content=b"x")
    assert (answer.status_code, answer.json()["detail"]) == (400, "a file's name has 1 to 255 characters, not 0")


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("..%2Fx", "holds no /, \\ or ..: '../x'"),
        ("a%2Fb", "holds no /, \\ or ..: 'a/b'"),
        ("%2e%2e", "holds no /, \\ or ..: '..'"),
        ("a%5Cb", "holds no /, \\ or .."),
        ("a%00b", "holds no control characters"),
        ("a%07b", "holds no control characters"),
        ("%E2%80%8B%E2%80%AE%EF%B8%8F", "one character that can be seen; this one is U+200B U+202E U+FE0F"),
        ("%E3%85%A4%E2%A0%80", "one character that can be seen; this one is U+3164 U+2800"),
        ("x" * 300, "has 1 to 255 characters, not 300"),
        ("%20a", "begins and ends with something that can be seen"),
        ("%ff", "is UTF-8 text, percent-encoded"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_a_name_that_cannot_be_says_what_is_wrong_with_it(
    house: House, method: str, path: str, text: str
) -> None:
    answer = await house.client.request(method, f"{FILES}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request"), answer.text
    assert text in answer.json()["detail"]
    assert list(house.objects.list("files/")) == []


async def test_an_emoji_is_a_name_like_any_other(house: House) -> None:
    name = "\N{PARTY POPPER} report.csv"
    path = f"{FILES}/{quote(name)}"
    assert (await house.client.put(path, content=b"x")).json()["name"] == name
    assert (await house.client.get(path)).content == b"x"


# -- versions, lists, deleting ---------------------------------------------------------------------------------------


async def put(house: House, name: str, content: bytes, **query: str) -> dict[str, str]:
    answer = await house.client.put(f"{FILES}/{name}", content=content, params=query)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_every_version_can_be_read_by_its_name(house: House) -> None:
    versions = [(await put(house, "a", content))["version"] for content in (b"1", b"22")]
    assert (await house.client.get(f"{FILES}/a?version={versions[0]}")).content == b"1"
    listed = (await house.client.get(f"{FILES}/a/versions")).json()
    assert [(one["version"], one["bytes"]) for one in listed["versions"]] == [(versions[1], 2), (versions[0], 1)]
    missing = await house.client.get(f"{FILES}/a?version=file-1")
    assert (missing.status_code, "has no version 'file-1'" in missing.json()["detail"]) == (404, True)
    assert (await house.client.get(f"{FILES}/b/versions")).status_code == 404


async def test_files_are_listed_by_prefix_page_by_page(house: House) -> None:
    for name in ("b1", "a", "b2", "b3"):
        await put(house, name, b"x")
    first = (await house.client.get(f"{FILES}?prefix=b&limit=2")).json()
    second = (await house.client.get(f"{FILES}?prefix=b&limit=2&cursor={first['next_cursor']}")).json()
    assert [file["name"] for file in first["files"] + second["files"]] == ["b1", "b2", "b3"]
    assert second["next_cursor"] is None


async def test_a_deleted_name_is_gone_and_its_bytes_stay_for_those_who_have_it(house: House) -> None:
    file = await put(house, "a", b"1")
    assert (await house.client.delete(f"{FILES}/a")).status_code == 204
    for answer in (
        await house.client.get(f"{FILES}/a"),
        await house.client.get(f"{FILES}/a?version={file['version']}"),
        await house.client.delete(f"{FILES}/a"),
    ):
        assert answer.status_code == 404
    assert (await house.client.get(FILES)).json()["files"] == []
    assert bytes(house.objects.read(file["key"])) == b"1"


async def test_a_name_that_comes_while_it_is_deleted_is_told_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(house, "a", b"1")
    monkeypatch.setattr("gateway.files.delete_file", lambda *_: False)  # as if the upload had come a moment later
    answer = await house.client.delete(f"{FILES}/a")
    assert answer.status_code == 404
    assert "it was uploaded at the same time: delete it once more" in answer.json()["detail"]


async def test_without_its_newest_version_a_name_points_at_the_one_before(house: House) -> None:
    versions = [(await put(house, "a", content))["version"] for content in (b"1", b"22")]
    assert (await house.client.delete(f"{FILES}/a?version={versions[1]}")).status_code == 204
    assert (await house.client.get(f"{FILES}/a")).content == b"1"
    assert (await house.client.delete(f"{FILES}/a?version={versions[1]}")).status_code == 404


async def test_the_head_of_a_file_says_how_large_it_is(house: House) -> None:
    file = await put(house, "a.csv", b"12345")
    answer = await house.client.head(f"{FILES}/a.csv")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (answer.headers["content-length"], answer.headers["etag"]) == ("5", f'"{file["hash"]}"')
    assert (await house.client.head(f"{FILES}/b.csv")).status_code == 404


@pytest.mark.parametrize("condition", ["*", '"{hash}"', 'W/"{hash}"', '"x", "{hash}"'])
async def test_what_the_client_has_is_not_sent_again(house: House, condition: str) -> None:
    file = await put(house, "a", b"1")
    headers = {"if-none-match": condition.replace("{hash}", file["hash"])}
    assert (await house.client.get(f"{FILES}/a", headers=headers)).status_code == 304


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"])
async def test_what_any_web_page_could_send_is_no_upload(house: House, kind: str) -> None:
    answer = await house.client.put(f"{FILES}/a", content=b"x", headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
