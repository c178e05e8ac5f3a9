"""Tickets: what an executor shows at the object endpoint, so that user code never sees the join token.

A ticket is `ticket.INSTANCE.UNTIL.MAC`; the MAC is made with the join token. Every gateway of a mesh knows that one, so
nothing is stored, a restart ends no ticket, and a replaced join token ends all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from gateway.access import NOBODY, Actor, Scope

VALID_S = 900.0
"""How long a ticket is good for. Supervisors ask for the next one long before."""
_TICKET = re.compile(rb"(ticket\.([A-Za-z0-9_-]{1,100})\.(\d{1,12}))\.([0-9a-f]{64})")
_PURPOSE = b"plugmesh object ticket\n"


def make_ticket(join_token: bytes, instance: str, now: float) -> str:
    """A ticket for the executors of `instance`, good until `now` (Unix time in seconds) + `VALID_S`."""
    head = f"ticket.{instance}.{int(now + VALID_S)}".encode()
    return f"{head.decode()}.{_mac(join_token, head)}"


def ticket_holder(join_token: bytes, shown: bytes, now: float) -> Actor:
    """Who shows this; `NOBODY` if it is no ticket, of another mesh, or over."""
    found = _TICKET.fullmatch(shown)
    if found is None or not hmac.compare_digest(found[4], _mac(join_token, found[1]).encode()):
        return NOBODY
    return Actor(found[2].decode(), Scope.TICKET) if now < int(found[3]) else NOBODY


def _mac(join_token: bytes, head: bytes) -> str:
    return hmac.new(join_token, _PURPOSE + head, hashlib.sha256).hexdigest()
