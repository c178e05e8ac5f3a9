"""Errors that only a gateway raises. What the HTTP answer looks like is in `problems`."""

from __future__ import annotations

from plugmesh.errors import FlowInvalid, PlugmeshError


class BadRequest(PlugmeshError):
    """The request itself cannot be read: send it again, corrected."""

    code = "bad-request"


class RequestInvalid(FlowInvalid):
    """The request can be read but asks for something impossible; `problems` lists all of it."""

    code = "request-invalid"


class UnsupportedMediaType(PlugmeshError):
    """The body is not of a kind that this route takes: say what it is with Content-Type."""

    code = "unsupported-media-type"


class Unauthenticated(PlugmeshError):
    """No token, or one that is not of this mesh."""

    code = "unauthenticated"


class RequestTimeout(PlugmeshError):
    """The request came too slowly, and its connection was closed: send it again."""

    code = "request-timeout"


class HostRefused(PlugmeshError):
    """The request comes under a name, or from a web page, that this gateway does not serve."""

    code = "host-refused"


class Unreadable(PlugmeshError):
    """The data cannot be decoded (damaged, too large for the reader process, or of an unknown kind)."""

    code = "unreadable-data"


class Busy(PlugmeshError):
    """No reader process could answer now: all are busy, or somebody ended the one that was at work. Try again."""

    code = "busy"
