"""Sessions of browsers: whoever showed the token gets a cookie instead, so that no page keeps the token itself."""

from __future__ import annotations

import hashlib
import secrets
from http.cookies import CookieError, SimpleCookie

from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings

COOKIE = "plugmesh_session"
_BYTES = 32


class Sessions:
    """Open sessions, in memory: a restart ends them. Only hashes are kept."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._begun: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._begun)

    def open(self, *, secure: bool) -> str:
        """A new session; returns the `Set-Cookie` header. `secure`: the browser came by https."""
        self._forget_old()
        while len(self._begun) >= self._settings.sessions:
            del self._begun[next(iter(self._begun))]  # the oldest
        session = secrets.token_urlsafe(_BYTES)
        self._begun[_hash(session)] = self._runtime.now()
        return _set_cookie(session, int(self._settings.session_s), secure=secure)

    def has(self, cookie: bytes) -> bool:
        """Whether this `Cookie` header belongs to an open session."""
        begun = self._begun.get(_hash(_session(cookie)))
        return begun is not None and self._runtime.now() - begun < self._settings.session_s

    def close(self, cookie: bytes, *, secure: bool) -> str:
        """End the session of this `Cookie` header; returns the `Set-Cookie` header that removes it."""
        self._begun.pop(_hash(_session(cookie)), None)
        return _set_cookie("", 0, secure=secure)

    def end_all(self) -> None:
        """The token is another one: who has a session shows the new one."""
        self._begun.clear()

    def _forget_old(self) -> None:
        oldest = self._runtime.now() - self._settings.session_s
        self._begun = {session: begun for session, begun in self._begun.items() if begun > oldest}


def _session(cookie: bytes) -> str:
    try:
        found = SimpleCookie(cookie.decode("latin-1")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _hash(session: str) -> bytes:
    return hashlib.sha256(session.encode()).digest()


def _set_cookie(value: str, age_s: int, *, secure: bool) -> str:
    text = f"{COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict"
    return f"{text}; Secure" if secure else text
