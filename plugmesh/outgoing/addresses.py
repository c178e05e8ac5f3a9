"""Which addresses a server may call by itself. Pure.

Whoever can hand a URL to a server can make it call the server's own neighbours: databases without a password, the
cloud's metadata service, the server itself. So only what is public is reached, unless a setting allows more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER_BY_NAME = "metadata"

# After the registries of special addresses (RFC 6890 and its successors). They are listed here because what
# `ipaddress` calls private or global differs between versions of Python.
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        _NEVER_BY_NAME,
        # link-local, where clouds answer; Azure's, Alibaba's, Oracle's and Amazon's further ones
        ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fe80::/10"),
    ),
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("shared (carrier-grade NAT)", ("100.64.0.0/10",)),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("unspecified", ("0.0.0.0/8", "::/128")),
    (
        "reserved",
        (
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
            "2001::/23",  # Teredo, among others
            "2001:db8::/32",
            "2002::/16",  # 6to4 holds an IPv4 address that a relay would call
            "3fff::/20",
            "64:ff9b:1::/48",
        ),
    ),
)
_REFUSED: tuple[tuple[str, tuple[Network, ...]], ...] = tuple(
    (kind, tuple(ip_network(text) for text in texts)) for kind, texts in _KINDS
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def embedded(address: Address) -> Address:
    """The address that is really called: the IPv4 one inside an IPv4-mapped or a NAT64 address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def kind_of(address: Address) -> str | None:
    """What makes `address` one that is not called unasked, in a word; `None` if it is an ordinary public one."""
    real = embedded(address)
    for kind, networks in _REFUSED:
        if any(real in network for network in networks if network.version == real.version):
            return kind
    if isinstance(real, IPv6Address) and real not in _GLOBAL_V6:
        return "reserved"
    return None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be called although it is not public: hosts by name, networks by address."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """From texts: each is a network (`10.0.0.0/8`), an address, or a host name."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                hosts.add(entry.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def refusal(self, host: str, address: Address) -> str | None:
        """Why `host` must not be called at `address`, or `None`.

        A host's name opens no metadata address: whoever controls the name could point it there. Its network can.
        """
        kind = kind_of(address)
        if kind is None:
            return None
        real = embedded(address)
        if any(real in network for network in self.networks if network.version == real.version):
            return None
        if host.lower() in self.hosts and kind != _NEVER_BY_NAME:
            return None
        return (
            f"{address} is a {kind} address"
            if kind != _NEVER_BY_NAME
            else f"{address} is a link-local or metadata address"
        )


def parse_address(text: str) -> Address:
    """An address as a resolver gives it; a scope (`fe80::1%eth0`) is dropped."""
    return ip_address(text.partition("%")[0])
