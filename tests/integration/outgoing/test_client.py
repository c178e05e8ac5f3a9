"""The client against real servers on this machine, under names that a resolver of the test makes up."""

import asyncio

import pytest

from plugmesh.errors import NotReachable
from plugmesh.outgoing.client import Client
from plugmesh.outgoing.errors import AddressRefused, AnswerUnreadable
from tests.integration.outgoing.receiver import answer, receiving

HERE = ("127.0.0.0/8",)


class Names:
    """A resolver that knows these names; each look-up takes the next of a name's lists."""

    def __init__(self, **addresses: list) -> None:
        self.addresses = addresses
        self.looked_up: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.looked_up.append(host)
        told = self.addresses[host.replace(".", "_")]
        return told.pop(0) if isinstance(told[0], list) else told


async def ok(_):
    return answer(200, b"hello")


@pytest.fixture
async def client():
    client = Client(lambda: HERE)
    yield client
    await client.aclose()


async def test_a_request_arrives_as_it_was_asked_for(client):
    async with receiving(ok) as receiver:
        got = await client.request("POST", receiver.url("/in?a=1"), headers={"x-a": "b"}, body=b"{}", timeout_s=10)
    assert (got.status, got.body, got.whole) == (200, b"hello", True)
    (request,) = receiver.requests
    assert (request.method, request.target, request.body) == ("POST", "/in?a=1", b"{}")
    assert request.headers["x-a"] == "b"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_a_private_address_is_refused_unless_it_is_allowed():
    async with receiving(ok) as receiver:
        client = Client()
        with pytest.raises(AddressRefused, match=r"loopback.*http_allow_private"):
            await client.request("GET", receiver.url(), timeout_s=10)
        assert receiver.requests == []
        await client.aclose()


OTHER_WAYS = (
    "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "0.0.0.0", "localhost", "localhost.", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "169.254.169.254", "2852039166", "[fe80::1]",
)  # fmt: skip


@pytest.mark.parametrize("host", OTHER_WAYS)
async def test_other_ways_to_write_this_machine_or_the_clouds_are_refused_as_well(host):
    client = Client()
    with pytest.raises(AddressRefused, match="is not called"):
        await client.request("GET", f"http://{host}:9/", timeout_s=10)
    await client.aclose()


async def test_a_name_is_looked_up_once_and_the_checked_address_is_called():
    resolve = Names(hooks_example=[["127.0.0.1"], ["10.0.0.1"]])
    async with receiving(ok) as receiver:
        client = Client(lambda: HERE, resolve=resolve)
        got = await client.request("GET", receiver.url(host="hooks.example"), timeout_s=10)
        await client.aclose()
    assert got.status == 200
    assert resolve.looked_up == ["hooks.example"]
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_a_name_that_turns_private_is_refused_at_the_next_connection():
    resolve = Names(hooks_example=[["127.0.0.1"], ["10.0.0.1"]])
    async with receiving(ok) as receiver:
        client = Client(lambda: HERE, resolve=resolve)
        await client.request("GET", receiver.url(host="hooks.example"), timeout_s=10)
        with pytest.raises(AddressRefused, match=r"10\.0\.0\.1") as refused:
            await client.request("GET", receiver.url(host="hooks.example"), timeout_s=10)
        assert refused.value.code == "address-refused"
        await client.aclose()


async def test_one_private_address_among_several_is_enough_to_refuse():
    client = Client(lambda: HERE, resolve=Names(mixed_example=["127.0.0.1", "169.254.169.254"]))
    with pytest.raises(AddressRefused, match="metadata"):
        await client.request("GET", "http://mixed.example/", timeout_s=10)
    await client.aclose()


async def test_every_hop_of_a_redirect_is_checked():
    async def redirect(request):
        return answer(302, location="http://inside.example:1/")

    resolve = Names(hooks_example=["127.0.0.1"], inside_example=["192.168.0.1"])
    async with receiving(redirect) as receiver:
        client = Client(lambda: HERE, resolve=resolve)
        with pytest.raises(AddressRefused, match=r"inside\.example"):
            await client.request("GET", receiver.url(host="hooks.example"), timeout_s=10, redirects=5)
        await client.aclose()


async def test_redirects_are_only_followed_when_asked_for(client):
    async def redirect(request):
        return answer(302, location="/there") if request.target == "/" else answer(200, b"there")

    async with receiving(redirect) as receiver:
        first = await client.request("POST", receiver.url(), body=b"x", timeout_s=10)
        then = await client.request("POST", receiver.url(), body=b"x", timeout_s=10, redirects=1)
    assert (first.status, then.body) == (302, b"there")
    assert [request.method for request in receiver.requests] == ["POST", "POST", "GET"]


async def test_a_circle_of_redirects_ends(client):
    async def redirect(request):
        return answer(307, location="/again")

    async with receiving(redirect) as receiver:
        with pytest.raises(AnswerUnreadable, match="more than 5 times"):
            await client.request("GET", receiver.url(), timeout_s=10, redirects=50)
    assert len(receiver.requests) == 6


async def test_a_secret_header_stays_with_its_origin():
    async def redirect(request):
        if request.headers["host"].startswith("a."):
            return answer(307, location=f"http://b.example:{receiver.port}/")
        return answer(200)

    async with receiving(redirect) as receiver:
        client = Client(lambda: HERE, resolve=Names(a_example=["127.0.0.1"], b_example=["127.0.0.1"]))
        sent = {"Authorization": "Bearer x", "x-kept": "1"}
        await client.request("GET", receiver.url(host="a.example"), headers=sent, timeout_s=10, redirects=1)
        await client.aclose()
    first, second = receiver.requests
    assert first.headers["authorization"] == "Bearer x"
    assert "authorization" not in second.headers
    assert second.headers["x-kept"] == "1"


async def test_a_long_answer_is_cut(client):
    async def long(_):
        return answer(200, b"x" * 100_000)

    async with receiving(long) as receiver:
        got = await client.request("GET", receiver.url(), timeout_s=10, answer_limit_bytes=1000)
    assert (len(got.body), got.whole) == (1000, False)


async def test_a_server_that_does_not_answer_is_given_up(client):
    async def silent(_):
        await asyncio.Event().wait()

    async with receiving(silent) as receiver:
        with pytest.raises(NotReachable, match=r"within 0\.2 s"):
            await client.request("GET", receiver.url(), timeout_s=0.2)


async def test_what_is_no_http_is_unreadable(client):
    async def noise(_):
        return b"220 mail.example ESMTP\r\n"

    async with receiving(noise) as receiver:
        with pytest.raises(AnswerUnreadable, match="HTTP") as failed:
            await client.request("GET", receiver.url(), timeout_s=10)
    assert failed.value.code == "answer-unreadable"


async def test_nobody_there_is_not_reachable(client):
    async with receiving(ok) as receiver:
        url = receiver.url()
    with pytest.raises(NotReachable) as failed:
        await client.request("GET", url, timeout_s=10)
    assert failed.value.code == "not-reachable"


async def test_proxies_of_the_environment_are_ignored(client, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with receiving(ok) as receiver:
        assert (await client.request("GET", receiver.url(), timeout_s=10)).status == 200


async def test_tls_is_checked_against_the_name_and_not_the_address(server_tls, trusting):
    async with receiving(ok, server_tls) as receiver:
        resolve = Names(hooks_example=["127.0.0.1"], other_example=["127.0.0.1"])
        client = Client(lambda: HERE, resolve=resolve, tls=trusting)
        assert (await client.request("GET", receiver.url("/", "hooks.example", "https"), timeout_s=10)).status == 200
        with pytest.raises(NotReachable, match="other"):
            await client.request("GET", receiver.url("/", "other.example", "https"), timeout_s=10)
        await client.aclose()


async def test_a_certificate_that_nobody_vouches_for_is_refused(server_tls):
    async with receiving(ok, server_tls) as receiver:
        client = Client(lambda: HERE, resolve=Names(hooks_example=["127.0.0.1"]))
        with pytest.raises(NotReachable, match="certificate"):
            await client.request("GET", receiver.url("/", "hooks.example", "https"), timeout_s=10)
        await client.aclose()
    assert receiver.requests == []
