"""Frames: what one side encodes the other one reads, however the bytes are cut; the library agrees."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.frames import Opcode as TheirOpcode

from plugmesh.errors import InvalidMessage, LimitExceeded
from plugmesh.hub.frames import Frames, Opcode, encode

MASK = b"\x01\x02\x03\x04"
MESSAGES = st.lists(st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.binary(max_size=300)), max_size=8)


def read(
    data: bytes, *, masked: bool = False, limit_bytes: int = 1 << 20, piece: int = 1 << 20
) -> list[tuple[Opcode, bytes]]:
    frames = Frames(masked=masked, limit_bytes=limit_bytes)
    found: list[tuple[Opcode, bytes]] = []
    for start in range(0, len(data), piece):
        found.extend(frames.feed(data[start : start + piece]))
    return found


@given(MESSAGES, st.booleans(), st.integers(1, 50))
def test_what_was_encoded_is_read_however_the_bytes_are_cut(
    messages: list[tuple[Opcode, bytes]], masked: bool, piece: int
) -> None:
    data = b"".join(encode(opcode, payload, MASK if masked else None) for opcode, payload in messages)
    assert read(data, masked=masked, piece=piece) == messages


@pytest.mark.parametrize("size", [0, 125, 126, 127, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("masked", [False, True])
def test_every_length_is_encoded_as_the_library_does(size: int, masked: bool) -> None:
    payload = bytes(size)
    ours = encode(Opcode.BINARY, payload, MASK if masked else None)
    theirs = Frame(TheirOpcode.BINARY, payload).serialize(mask=masked)
    head = len(theirs) - size - (4 if masked else 0)
    assert (ours[:head], len(ours)) == (theirs[:head], len(theirs))
    assert read(theirs, masked=masked) == [(Opcode.BINARY, payload)]


@given(st.lists(st.binary(max_size=40), min_size=2, max_size=5))
def test_fragments_become_one_message_and_a_ping_between_them_is_told_at_once(parts: list[bytes]) -> None:
    ping = encode(Opcode.PING, b"?")
    kinds = [TheirOpcode.BINARY, *[TheirOpcode.CONT] * (len(parts) - 1)]
    frames = [
        Frame(kind, part, fin=number == len(parts) - 1).serialize(mask=False)
        for number, (kind, part) in enumerate(zip(kinds, parts, strict=True))
    ]
    assert read(ping.join(frames)) == [(Opcode.PING, b"?")] * (len(parts) - 1) + [(Opcode.BINARY, b"".join(parts))]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xc2\x00", "means nothing"),
        (b"\x83\x00", "means nothing"),
        (b"\x82\x80\x00\x00\x00\x00", "other way round"),
        (b"\x89\x7e\x00\x7e", "at most 125"),
        (b"\x09\x00", "whole"),
        (b"\x80\x00", "without a beginning"),
        (b"\x02\x00\x82\x00", "inside of another"),
    ],
)
def test_what_the_protocol_forbids_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InvalidMessage, match=words):
        read(data)


def test_a_message_over_the_limit_is_refused_before_it_is_there() -> None:
    head = encode(Opcode.BINARY, bytes(101))[:2]
    with pytest.raises(LimitExceeded, match="over 100"):
        read(head, limit_bytes=100)


def test_fragments_count_together() -> None:
    first = Frame(TheirOpcode.BINARY, bytes(60), fin=False).serialize(mask=False)
    second = Frame(TheirOpcode.CONT, bytes(60), fin=False).serialize(mask=False)
    with pytest.raises(LimitExceeded, match="over 100"):
        read(first + second, limit_bytes=100)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, masked: bool) -> None:
    with suppress(InvalidMessage, LimitExceeded):
        assert all(len(payload) <= 1000 for _, payload in read(data, masked=masked, limit_bytes=1000, piece=7))
