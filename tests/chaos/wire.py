"""One HTTP request at a time to a server that may be gone, stopped or out of room."""

from __future__ import annotations

import http.client
import json
from typing import Any

TIMEOUT_S = 8.0
"""A server that is stopped keeps connections and says nothing; then the same request is sent again."""
PASSING = frozenset({0, 408, 429, 502, 503, 504, 507})
"""Answers after which the same request may be sent again. 0: there was no answer, so the outcome is unknown."""


def ask(port: int, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
    """Status and document of an answer of the server on this machine's `port`; status 0 without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    except (OSError, http.client.HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()
