"""Text that leaves for logs and traces: passwords that stand in it are not in it any more.

Drivers and settings hide what they know to be secret (`plugmesh.urls.hidden`). This is for what nobody foresaw: the text of
an exception of a library, or of an author's module, that shows the address it could not reach.
"""

from __future__ import annotations

import re

MASK = "***"
_USER_INFO = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{1,30}://)"
    r"(?:[^\s/?#\"'<>:]*:[^\s\"'<>]{0,500}|[^\s/?#\"'<>]*(?:/[^\s/?#\"'<>@]*){0,3})@"
)
"""What stands before the last `@` of an address with a password, which may have unquoted `/`, `?`, `#` and `@`; else before the
`@` of one with a user."""
_NAMES = (
    r"passw(?:or)?d|passphrase|secret(?:[_-]?(?:access)?[_-]?key)?|(?:access|api)[_-]?key|credentials?|[a-z_-]*token"
)
_NAMED = re.compile(rf"(?i)((?:\b|[?&;_-])(?:{_NAMES})[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s&;,\"')}}\]]+)")
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}")
_HINTS = ("://", "=", ":", "earer", "asic", "BEARER", "BASIC")


def hidden_in(text: str) -> str:
    """The text without user info of addresses, without values that are named as secrets, and without tokens of headers."""
    if not any(hint in text for hint in _HINTS):
        return text
    if "://" in text and "@" in text:
        text = _USER_INFO.sub(rf"\1{MASK}@", text)
    text = _NAMED.sub(rf"\1{MASK}", text)
    return _BEARER.sub(rf"\1{MASK}", text)
