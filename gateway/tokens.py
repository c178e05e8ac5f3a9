"""Who shows which token. The tokens lie in files, which are looked at again after a while: `plugmesh token rotate`."""

from __future__ import annotations

import hmac
import logging
import os
from pathlib import Path

from gateway.access import NOBODY, Actor, Scope
from gateway.object_tickets import VALID_S, make_ticket, ticket_holder
from gateway.sessions import Sessions
from plugmesh.errors import ConfigurationError
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.token_file import JOIN_TOKEN, TOKEN, ensure_token, read_token

LOOK_S = 1.0
"""A replaced token is noticed within this time."""
_BEARER = b"bearer "
_TOKEN = Actor("token", Scope.TOKEN)
_JOIN = Actor("join", Scope.JOIN)
_SESSION = Actor("session", Scope.SESSION)
_log = logging.getLogger("plugmesh.gateway")


class Tokens:
    """The tokens of one data folder, made where they are missing, and the sessions that were opened with them.

    Raises `ConfigurationError` when others can read a file, or it holds no token.
    """

    def __init__(self, folder: Path, settings: Settings, runtime: Runtime) -> None:
        self._runtime = runtime
        self._files = (_File(folder / TOKEN), _File(folder / JOIN_TOKEN))
        self._looked_at = runtime.now()
        self.sessions = Sessions(settings, runtime)

    @property
    def join_file(self) -> Path:
        """Where processes of this machine find the join token."""
        return self._files[1].path

    def holder(self, authorization: bytes) -> Actor:
        """Who sends this `Authorization` header."""
        if authorization[: len(_BEARER)].lower() != _BEARER:
            return NOBODY
        return self.shown(authorization[len(_BEARER) :].strip())

    def shown(self, token: bytes) -> Actor:
        """Who shows this token."""
        self._look()
        full, join = self._files
        is_full, is_join = hmac.compare_digest(token, full.token), hmac.compare_digest(token, join.token)
        if is_full or is_join:
            return _TOKEN if is_full else _JOIN
        return ticket_holder(join.token, token, self._runtime.wall())

    def ticket(self, instance: str) -> tuple[str, float]:
        """A ticket for the executors of an instance, and for how many seconds it is good."""
        self._look()
        return make_ticket(self._files[1].token, instance, self._runtime.wall()), VALID_S

    def in_session(self, cookie: bytes) -> Actor:
        """Who sends this `Cookie` header."""
        self._look()
        return _SESSION if self.sessions.has(cookie) else NOBODY

    def _look(self) -> None:
        now = self._runtime.now()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        if self._files[0].look():
            self.sessions.end_all()
        self._files[1].look()


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = ensure_token(path).encode()
        self._seen = self._stat()

    def look(self) -> bool:
        """Read it again if it was replaced; whether the token is another one."""
        found = self._stat()
        if found == self._seen:
            return False
        self._seen = found
        try:
            token = read_token(self.path).encode()
        except ConfigurationError as error:
            _log.error("%s; the token that was there before stays in force", error)
            return False
        changed, self.token = token != self.token, token
        return changed

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_mode
