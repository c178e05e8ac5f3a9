"""Errors of outgoing requests."""

from __future__ import annotations

from plugmesh.errors import PlugmeshError


class AddressRefused(PlugmeshError):
    """The address must not be called: it is private, or no address of the web. Trying again is useless."""

    code = "address-refused"


class AnswerUnreadable(PlugmeshError):
    """What the other side sent is no HTTP, or redirects that cannot be followed."""

    code = "answer-unreadable"
