"""Which addresses are called unasked."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.outgoing.addresses import Allowed, kind_of, parse_address

REFUSED = (
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.1.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "4000::1",
)
CALLED = ("8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_public_is_refused(text):
    assert Allowed().refusal("some.host", parse_address(text)) is not None


@pytest.mark.parametrize("text", CALLED)
def test_what_is_public_is_called(text):
    assert Allowed().refusal("some.host", parse_address(text)) is None


NETWORKS = ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")


@given(st.sampled_from(NETWORKS).flatmap(lambda network: st.ip_addresses(v=4, network=network)))
def test_no_embedding_makes_a_private_address_public(inner):
    for prefix in (0xFFFF << 32, 0x0064FF9B << 96, 0):
        assert kind_of(IPv6Address(prefix | int(inner))) is not None
    assert kind_of(IPv6Address((0x2002 << 112) | int(inner) << 80)) is not None


@given(st.ip_addresses())
def test_a_mapped_address_is_judged_as_the_one_inside(address):
    if isinstance(address, IPv4Address):
        assert kind_of(IPv6Address((0xFFFF << 32) | int(address))) == kind_of(address)


def test_an_allowed_network_is_called_and_no_other():
    allowed = Allowed.of(["10.1.0.0/16", "fd00:1::/32"])
    assert allowed.refusal("h", parse_address("10.1.2.3")) is None
    assert allowed.refusal("h", parse_address("::ffff:10.1.2.3")) is None
    assert allowed.refusal("h", parse_address("fd00:1::5")) is None
    assert "private" in str(allowed.refusal("h", parse_address("10.2.2.3")))


def test_an_allowed_host_is_called_where_it_is_private_but_never_at_a_metadata_address():
    allowed = Allowed.of(["Hooks.Internal"])
    assert allowed.refusal("hooks.internal", parse_address("10.9.9.9")) is None
    assert allowed.refusal("other.internal", parse_address("10.9.9.9")) is not None
    assert "metadata" in str(allowed.refusal("hooks.internal", parse_address("169.254.169.254")))


def test_metadata_is_called_only_where_its_network_is_allowed():
    assert Allowed.of(["169.254.169.254"]).refusal("h", parse_address("169.254.169.254")) is None
