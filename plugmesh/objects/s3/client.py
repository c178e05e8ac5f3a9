"""The `minio` client as this driver uses it: its keys, its connections, and how it says that a body came whole."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import (
    AWSConfigProvider,
    ChainedProvider,
    EnvAWSProvider,
    IamAwsProvider,
    Provider,
    StaticProvider,
)

from plugmesh.objects.s3.address import S3Address

CHECKSUM_HEADER = "x-amz-checksum-crc32"
SIGNED_BYTES = 64 * 1024
"""Bodies below this are part of the request's signature; of larger ones, which come in pieces, it has the checksum only:
that takes half as long on both sides."""

_CONNECT_S, _READ_S = 5.0, 30.0
_CONNECTIONS = 32


def make_client(address: S3Address) -> Minio:
    """A client with connections of its own, which tries nothing twice."""
    parts = urlsplit(address.endpoint)
    return _Client(
        parts.netloc,
        secure=parts.scheme == "https",
        region=address.region,
        credentials=_credentials(address),
        http_client=urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            maxsize=_CONNECTIONS,
            cert_reqs="CERT_REQUIRED",
            ca_certs=address.ca_file or os.environ.get("SSL_CERT_FILE") or certifi.where(),
            retries=False,
        ),
    )


class _Client(Minio):
    """Does not hash a body that comes in pieces."""

    def _build_headers(
        self,
        host: str,
        headers: dict[str, Any] | None = None,
        body: bytes | None = None,
        creds: Credentials | None = None,
    ) -> tuple[dict[str, Any], datetime]:
        if body is None or isinstance(body, bytes):
            return super()._build_headers(host, headers, body, creds)
        made, at = super()._build_headers(host, headers, None, creds)
        made["Content-Length"] = str(len(body))
        if creds is not None:
            made["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        return made, at


def _credentials(address: S3Address) -> Provider:
    if address.access:
        return StaticProvider(address.access, address.secret)
    role = [IamAwsProvider()] if address.is_aws else []
    return ChainedProvider([EnvAWSProvider(), AWSConfigProvider(), *role])
