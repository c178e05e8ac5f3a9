"""What the URL of an S3 store says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from plugmesh.errors import ConfigurationError
from plugmesh.objects.keys import check_key
from plugmesh.objects.port import Compression
from plugmesh.urls import completed, reading

MIB = 1024 * 1024
DEFAULT_ENDPOINT = "https://s3.amazonaws.com"
DEFAULT_CACHE_BYTES = 8 * 1024 * MIB
DEFAULT_PART_BYTES = 16 * MIB
LEAST_PART_BYTES = 5 * MIB
"""S3 refuses smaller parts, but for the last one."""
DEFAULT_PATIENCE_S = 60.0

_MOST_PART_BYTES = 1024 * MIB
_PREFIX_LIMIT = 256
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OPTIONS = (
    "endpoint", "region", "cache", "cache_bytes", "compression", "ca_file", "part_bytes", "patience_s"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where a store is and how it is used. `prefix` is empty or ends in `/`. Without `access` the usual places are searched
    for keys (environment, `~/.aws`, the machine's role)."""

    bucket: str
    prefix: str = ""
    endpoint: str = DEFAULT_ENDPOINT
    region: str | None = None
    access: str = ""
    secret: str = field(default="", repr=False)
    ca_file: str | None = None
    cache: Path | None = None
    cache_bytes: int = DEFAULT_CACHE_BYTES
    compression: Compression | None = None
    part_bytes: int = DEFAULT_PART_BYTES
    patience_s: float = DEFAULT_PATIENCE_S
    """How long a request is tried again while the server does not do it."""

    @property
    def name(self) -> str:
        """What to call it: no secrets in it."""
        return f"s3://{self.bucket}/{self.prefix.rstrip('/')}".rstrip("/") + f" at {self.endpoint}"

    @property
    def is_aws(self) -> bool:
        """Whether it is Amazon's own."""
        return (urlsplit(self.endpoint).hostname or "").endswith(".amazonaws.com")


def parse_address(url: str) -> S3Address:
    """`s3://[access:secret@]bucket[/prefix]?endpoint=…&region=…&cache=/folder&cache_bytes=…&part_bytes=…&ca_file=…`, with
    the secret key in a `password_file` where that is wanted. Raises `ConfigurationError`, which holds no secrets."""
    with reading(url, "objects"):
        return _parsed(url)


def _parsed(url: str) -> S3Address:
    try:
        parts = urlsplit(completed(url))
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _wrong("write s3://access:secret@bucket/prefix?endpoint=https://host:port") from None
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise _wrong(f"unknown option {unknown[0]!r}; known are {', '.join(_OPTIONS)}")
    endpoint = _endpoint(options.get("endpoint", DEFAULT_ENDPOINT))
    access, secret = _keys(parts.netloc)
    is_own = not (urlsplit(endpoint).hostname or "").endswith(".amazonaws.com")
    return S3Address(
        bucket=_bucket(parts.netloc.rpartition("@")[2]),
        prefix=_prefix(unquote(parts.path)),
        endpoint=endpoint,
        region=options.get("region") or ("us-east-1" if is_own else None),
        access=access,
        secret=secret,
        ca_file=_readable(options, "ca_file"),
        cache=_folder(options.get("cache")),
        cache_bytes=_number(options, "cache_bytes", DEFAULT_CACHE_BYTES, 0, None),
        compression=_compression(options.get("compression", "none")),
        part_bytes=_number(options, "part_bytes", DEFAULT_PART_BYTES, LEAST_PART_BYTES, _MOST_PART_BYTES),
        patience_s=float(_number(options, "patience_s", int(DEFAULT_PATIENCE_S), 1, 3600)),
    )


def _wrong(problem: str) -> ConfigurationError:
    return ConfigurationError(f"the setting objects, an s3:// URL: {problem}")


def _bucket(name: str) -> str:
    if not _BUCKET.fullmatch(name) or ".." in name:
        raise _wrong(
            f"{name!r} is no name of a bucket: 3 to 63 of a-z 0-9 . - come after s3://, or after the @ (write / @ : of a "
            "key as %2F %40 %3A)"
        )
    return name


def _prefix(path: str) -> str:
    words = path.strip("/")
    if not words:
        return ""
    if len(words) > _PREFIX_LIMIT:
        raise _wrong(f"the prefix has {len(words)} characters, at most are {_PREFIX_LIMIT}")
    return check_key(words) + "/"


def _endpoint(text: str) -> str:
    try:
        parts = urlsplit(text)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        right = False
    if not right or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise _wrong("endpoint must be https://host:port or http://host:port and no more")
    return f"{parts.scheme}://{parts.netloc}"


def _keys(netloc: str) -> tuple[str, str]:
    """Access key and secret key; both empty if the URL has none."""
    access, _, secret = (unquote(word) for word in netloc.rpartition("@")[0].partition(":"))
    if bool(access) != bool(secret):
        raise _wrong("give both access:secret before the @, or access and password_file, or neither")
    return access, secret


def _readable(options: dict[str, str], name: str) -> str | None:
    path = options.get(name)
    if path is not None and not Path(path).is_file():
        raise _wrong(f"{name}={path!r}: there is no such file")
    return path


def _folder(text: str | None) -> Path | None:
    if text is not None and not text.startswith("/"):
        raise _wrong(f"cache={text!r} must be an absolute folder")
    return None if text is None else Path(text)


def _compression(text: str) -> Compression | None:
    if text not in {"none", "lz4", "zstd"}:
        raise _wrong(f"compression={text!r} must be none, lz4 or zstd")
    return None if text == "none" else cast("Compression", text)


def _number(options: dict[str, str], name: str, default: int, least: int, most: int | None) -> int:
    text = options.get(name, str(default))
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        limits = f"from {least} on" if most is None else f"from {least} to {most}"
        raise _wrong(f"{name}={text!r} must be a whole number {limits}")
    return int(text)
