"""What an answer of the server, or none, means to whoever uses the store."""

from __future__ import annotations

from http.client import HTTPException
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import HTTPError, LocationParseError, NameResolutionError, SSLError

from plugmesh.errors import ConfigurationError, Conflict, ObjectMissing, PlugmeshError, StoreFull
from plugmesh.objects.s3.address import S3Address

FAILURES = (HTTPError, HTTPException, OSError, ParseError, S3Error, InvalidResponseError, ServerError, ValueError)
"""What requests raise."""

_AGAIN_STATUS = {408, 425, 429, 500, 502, 503, 504}
_AGAIN_CODES = {
    "ConditionalRequestConflict", "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown",
    "SlowDownRead", "SlowDownWrite", "ThrottlingException", "XMinioServerNotInitialized",
}  # fmt: skip
_FULL_CODES = {
    "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"
}  # fmt: skip
_BLOCKED_CODES = {"ExistingObjectIsDirectory", "ObjectExistsAsDirectory", "ObjectParentIsFile", "XMinioParentIsObject"}
_MISSING_CODES = {"NoSuchKey"}
_CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "Hostname mismatch", "doesn't match")


class Unavailable(Exception):
    """The server did not do it this time; another time it may."""


class CutOff(Unavailable):
    """Fewer bytes came than the server had promised."""


class Exists(Exception):
    """The server says that the key exists already."""


class NotKnown(Exception):
    """The server does not know what the request asks for."""


class NoUpload(Exception):
    """The server knows no such multipart upload: it was completed, or given up."""


class OutOfRange(Exception):
    """The server says that the object has no such bytes."""


_INTERNAL: dict[type[Exception], set[str | int]] = {
    Exists: {"PreconditionFailed", 412},
    NoUpload: {"NoSuchUpload"},
    NotKnown: {"NotImplemented", 501},
    OutOfRange: {"InvalidRange", 416},
}


def meaning(error: Exception, address: S3Address, what: str) -> Exception:
    """What to raise for `error`, met while doing `what` (`GET data/…`)."""
    if isinstance(error, S3Error):
        return _refusal(error, address, what)
    if isinstance(error, InvalidResponseError | ServerError):
        status = getattr(error, "status_code", None) or getattr(error, "_code", 0)
        if status in _AGAIN_STATUS:
            return Unavailable(f"HTTP {status}")
        return _setting(address, what, f"HTTP {status}, and not as an S3 server answers: is the endpoint right?")
    wrong = _wrong(error)
    if wrong:
        return _setting(address, what, wrong)
    if isinstance(error, NameResolutionError):
        return Unavailable("the endpoint's name is not known")
    return Unavailable(f"{type(error).__name__}: the connection failed")


def _wrong(error: Exception) -> str:
    """What is wrong with the setting, by an error that is no answer; empty if nothing is."""
    if isinstance(error, ParseError):
        return "the answer is none of an S3 server: is the endpoint right?"
    if isinstance(error, SSLError) and any(word in str(error) for word in _CERTIFICATE):
        return "the server's certificate is not accepted, or it speaks no TLS: see endpoint and ca_file"
    if isinstance(error, LocationParseError):
        return "there is no such endpoint"
    if isinstance(error, ValueError) and not isinstance(error, HTTPError):
        return f"{error}: give access:secret in it, or what the environment should hold"
    return ""


def given_up(reason: Unavailable, address: S3Address, what: str, waited_s: float) -> str:
    """What to say when nothing has helped."""
    return (
        f"object store {address.name}: {what}: {reason}, for {waited_s:.0f} s: see that the server of the setting objects "
        "runs and can be reached from here"
    )


def _refusal(error: S3Error, address: S3Address, what: str) -> Exception:
    code, status = error.code or "", getattr(error.response, "status", 0)
    known = _known(code, status, address, what)
    if known is not None:
        return known
    if code in _AGAIN_CODES or status in _AGAIN_STATUS:
        return Unavailable(f"{code or 'HTTP'} ({status})")
    return _setting(address, what, f"the server refuses it ({code or status}): see bucket, keys, region and rights")


def _known(code: str, status: int, address: S3Address, what: str) -> Exception | None:
    """What the errors say that do not concern the setting."""
    about = f"object store {address.name}: {what}"
    if code in _MISSING_CODES:
        return ObjectMissing(f"{about}: it was removed or never there")
    if code in _FULL_CODES or status == 507:
        return StoreFull(f"{about}: the server has no room ({code}): make room there")
    if code in _BLOCKED_CODES:
        return Conflict(f"{about}: another key is the beginning of this one; choose another")
    found = next((kind for kind, codes in _INTERNAL.items() if code in codes or status in codes), None)
    return None if found is None else found()


def _setting(address: S3Address, what: str, problem: str) -> PlugmeshError:
    return ConfigurationError(f"the setting objects, {address.name}: {what}: {problem}")
