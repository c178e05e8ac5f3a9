"""What a key may look like: checked here for every driver, so that no input ever becomes a path."""

from __future__ import annotations

import re

from plugmesh.errors import ConfigurationError

KEY_LIMIT = 512
"""Longest key, in characters."""

WORD_LIMIT = 255
"""Longest word of a key, in characters: what a file system takes as one name."""

_WORD = re.compile(r"[A-Za-z0-9._=-]+")


def attempt_prefix(namespace: str, run: str, step: str, epoch: int) -> str:
    """Where the objects of an attempt lie."""
    return f"data/{namespace}/{run}/{step}/{epoch}"


def lender_of(key: str) -> str:
    """Whom an object belongs to, by its key: the id of the run that made it, or the key itself (a version of a file)."""
    words = key.split("/", 4)
    return words[2] if words[0] == "data" and len(words) >= 4 else key


def check_key(key: str) -> str:
    """Return `key`; raises `ConfigurationError` if it is not `/`-separated words of `[A-Za-z0-9._=-]`."""
    if len(key) > KEY_LIMIT:
        raise ConfigurationError(f"object key of {len(key)} characters, starting {key[:40]!r}: at most {KEY_LIMIT}")
    for word in key.split("/"):
        if not _WORD.fullmatch(word) or word in {".", ".."} or len(word) > WORD_LIMIT:
            raise ConfigurationError(
                f"object key {key!r} holds the word {word!r}: use words of 1 to {WORD_LIMIT} of A-Z a-z 0-9 . _ = - "
                "(but not . or ..), separated by one /"
            )
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix`; raises `ConfigurationError` if it is neither empty nor a key followed by `/`."""
    if not prefix:
        return prefix
    if not prefix.endswith("/"):
        raise ConfigurationError(f"prefix {prefix!r} must be empty or whole words ending in /")
    check_key(prefix[:-1])
    return prefix
