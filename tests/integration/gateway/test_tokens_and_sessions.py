"""Tokens in files, and the sessions of browsers that showed one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from gateway.app import create_app
from gateway.sessions import COOKIE
from gateway.tokens import LOOK_S, Tokens
from plugmesh.errors import ConfigurationError
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from plugmesh.token_file import JOIN_TOKEN, TOKEN, ensure_token, read_token, replace_token
from tests.integration.gateway.house import FLOW, URL, House
from tests.waiting import wait_until

SESSION = "/api/v1/session"


class SetClock(SystemRuntime):
    """Time goes on when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0

    def now(self) -> float:
        return self.time


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def tokens(tmp_path: Path, settings: Settings, clock: SetClock) -> Tokens:
    return Tokens(tmp_path, settings, clock)


@pytest.fixture
async def browser(house: House, tokens: Tokens) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(house.gateway, tokens=tokens)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL) as client:
        yield client


@pytest.fixture
def settings() -> Settings:
    return Settings(sessions=2, session_s=100, recheck_s=0.2, trusted_proxies=("127.0.0.1",))


def test_a_token_is_made_once_long_and_for_its_owner_only(tmp_path: Path) -> None:
    token = ensure_token(tmp_path / TOKEN)
    assert len(token) == 43
    assert (tmp_path / TOKEN).stat().st_mode & 0o777 == 0o600
    assert ensure_token(tmp_path / TOKEN) == token
    assert ensure_token(tmp_path / JOIN_TOKEN) != token
    assert replace_token(tmp_path / TOKEN) not in (token, "")
    assert (tmp_path / TOKEN).stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == [JOIN_TOKEN, TOKEN]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o666])
def test_a_token_that_others_can_read_is_an_error_that_says_chmod(tmp_path: Path, mode: int) -> None:
    token = ensure_token(tmp_path / TOKEN)
    (tmp_path / TOKEN).chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        Tokens(tmp_path, Settings(), SystemRuntime())
    assert token not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "short", "x" * 31, "two words " * 10, "\x00" * 64])
def test_a_file_without_a_token_is_no_open_door(tmp_path: Path, text: str) -> None:
    (tmp_path / TOKEN).write_text(text)
    (tmp_path / TOKEN).chmod(0o600)
    with pytest.raises(ConfigurationError, match="holds no token"):
        read_token(tmp_path / TOKEN)


async def test_a_replaced_token_is_in_force_soon_and_ends_all_sessions(
    tmp_path: Path, tokens: Tokens, browser: httpx2.AsyncClient, clock: SetClock
) -> None:
    old = read_token(tmp_path / TOKEN)
    assert (await browser.post(SESSION, json={"token": old})).status_code == 204
    assert (await browser.get("/api/v1/runs")).status_code == 200
    new = replace_token(tmp_path / TOKEN)
    clock.time += LOOK_S
    assert (await browser.get("/api/v1/runs")).status_code == 401
    for token, status in ((old, 401), (new, 200)):
        answer = await browser.get("/api/v1/runs", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status


@pytest.mark.parametrize("shown", ["header", "cookie"])
async def test_a_stream_ends_when_the_token_that_opened_it_is_replaced(
    tmp_path: Path, browser: httpx2.AsyncClient, clock: SetClock, house: House, shown: str
) -> None:
    token = read_token(tmp_path / TOKEN)
    headers = {"authorization": f"Bearer {token}"} if shown == "header" else {}
    if shown == "cookie":
        assert (await browser.post(SESSION, json={"token": token})).status_code == 204
    stream = asyncio.create_task(browser.get("/api/v1/events", headers=headers))  # answered as a whole, at its end
    await wait_until(lambda: len(house.gateway.feed) == 1)
    replace_token(tmp_path / TOKEN)
    clock.time += LOOK_S
    async with asyncio.timeout(10):
        assert (await stream).status_code == 200
    await wait_until(lambda: len(house.gateway.feed) == 0)


async def test_a_replaced_token_that_others_can_read_is_not_used(
    tmp_path: Path, tokens: Tokens, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    old = read_token(tmp_path / TOKEN)
    new = replace_token(tmp_path / TOKEN)
    (tmp_path / TOKEN).chmod(0o644)
    clock.time += LOOK_S
    assert tokens.shown(old.encode()).name == "token"
    assert tokens.shown(new.encode()).name == "nobody"
    assert "chmod 600" in caplog.text


async def test_a_session_is_a_cookie_that_no_page_can_read(tmp_path: Path, browser: httpx2.AsyncClient) -> None:
    answer = await browser.post(SESSION, json={"token": read_token(tmp_path / TOKEN)})
    assert (answer.status_code, answer.content) == (204, b"")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == COOKIE
    assert rest.partition(";")[2] == " Path=/; Max-Age=100; HttpOnly; SameSite=Strict"
    assert (await browser.get("/api/v1/runs")).status_code == 200
    ended = await browser.delete(SESSION, headers={"origin": URL})
    assert (ended.status_code, "Max-Age=0" in ended.headers["set-cookie"]) == (204, True)
    assert (await browser.get("/api/v1/runs")).status_code == 401


async def test_behind_a_proxy_that_speaks_https_the_cookie_is_for_https_only(
    tmp_path: Path, browser: httpx2.AsyncClient
) -> None:
    answer = await browser.post(
        SESSION, json={"token": read_token(tmp_path / TOKEN)}, headers={"x-forwarded-proto": "https"}
    )
    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_only_the_token_opens_a_session(tmp_path: Path, browser: httpx2.AsyncClient) -> None:
    for token in ("", "x" * 43, read_token(tmp_path / JOIN_TOKEN)):
        answer = await browser.post(SESSION, json={"token": token})
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


async def test_a_cookie_changes_something_only_for_our_own_pages(tmp_path: Path, browser: httpx2.AsyncClient) -> None:
    await browser.post(SESSION, json={"token": read_token(tmp_path / TOKEN)})
    pages: tuple[dict[str, str], ...] = ({}, {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": URL})
    answers = [await browser.post("/api/v1/runs", json={"flow": FLOW}, headers=page) for page in pages]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 202]


async def test_sessions_end_with_age_and_the_oldest_goes_when_there_are_too_many(
    tokens: Tokens, clock: SetClock
) -> None:
    cookies = []
    for _ in range(3):
        cookies.append(tokens.sessions.open(secure=False).encode())
        clock.time += 1
    assert [tokens.sessions.has(cookie) for cookie in cookies] == [False, True, True]
    assert len(tokens.sessions) == 2
    clock.time += 98.5
    assert [tokens.sessions.has(cookie) for cookie in cookies] == [False, False, True]
    tokens.sessions.open(secure=False)
    assert len(tokens.sessions) == 2


@pytest.mark.parametrize("cookie", [b"", b"=", COOKIE.encode(), b"a=b; c", f"{COOKIE}=\xff".encode("latin-1"), b"\x00"])
def test_any_cookie_that_is_no_session_is_nobody(tokens: Tokens, cookie: bytes) -> None:
    assert tokens.in_session(cookie).name == "nobody"


async def test_without_tokens_there_is_nothing_to_sign_in_to(house: House) -> None:
    answer = await house.client.post(SESSION, json={"token": "x"})
    assert (answer.status_code, "asks for no token" in answer.json()["detail"]) == (409, True)
