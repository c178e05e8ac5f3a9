"""The kinds of values that settings have, and how each is read from text: environment and command line have only text."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from plugmesh.errors import ConfigurationError
from plugmesh.telemetry.config import check_endpoint

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_MOST_S = 100 * 365 * 86400.0
_MOST = 2**63 - 1
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Mark:
    """What a setting is besides its type. `RUN_TIME`: the API can change it. `OPTION`: `plugmesh up` has an option
    of that name. `SECRET`: it is never shown, and cannot be given on a command line, which everybody can read."""

    word: str


RUN_TIME = Mark("run time")
OPTION = Mark("option")
SECRET = Mark("secret")


def read_bytes(value: Any) -> Any:
    """`50 GiB`, `64MB`, `1024`, or a whole number."""
    _no_truth_value(value)
    if not isinstance(value, str):
        return value
    amount, unit = _amount(value, _UNIT_BYTES, "a number of bytes, or text such as 512 KiB, 16 MiB, 2 GB")
    size = amount * _UNIT_BYTES.get(unit, 1)
    if size != int(size):
        raise ValueError(f"{_shown(value)} is no whole number of bytes")
    return int(size)


def read_seconds(value: Any) -> Any:
    """`30 d`, `1.5h`, `500ms`, `10`, or a number."""
    _no_truth_value(value)
    if not isinstance(value, str):
        return value
    amount, unit = _amount(value, _UNIT_S, "a number of seconds, or text such as 500ms, 90s, 5m, 2h, 30d")
    return amount * _UNIT_S.get(unit, 1.0)


def read_list(value: Any) -> Any:
    """Text with commas, or a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def read_none(value: Any) -> Any:
    """`none`, where no value is one."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


def read_count(value: Any) -> Any:
    """A whole number; `true` is none, though Python thinks so."""
    _no_truth_value(value)
    return value


def read_share(value: Any) -> Any:
    """`5 %`, `0.05`, or a number."""
    _no_truth_value(value)
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip().removesuffix("%")) / 100
        except ValueError:
            raise ValueError(f"it is a number from 0 to 1, or text such as 5%, not {_shown(value)}") from None
    return value


def check_collector(url: str) -> str:
    """The address of a collector of traces, or nothing."""
    if not url.strip():
        return ""
    try:
        return check_endpoint(url, "it")
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def check_host(name: str) -> str:
    """A name or address as a `Host` header has it, without a port."""
    name = name.lower()
    if not re.fullmatch(r"[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\]", name):
        raise ValueError(f"{_shown(name)} is no host name: write mesh.example, 10.0.0.5 or [::1], without a port")
    return name


def check_listened(address: str) -> str:
    """An address to listen on. Nothing at all would mean every one of this machine's."""
    if not address.strip():
        raise ValueError("an address to listen on is needed: write 127.0.0.1, or 0.0.0.0 to listen on all of them")
    return address.strip()


def check_origin(origin: str) -> str:
    """A web origin as a browser sends it."""
    origin = origin.lower().rstrip("/")
    if not re.fullmatch(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", origin):
        raise ValueError(f"{_shown(origin)} is no web origin: write https://host or http://host:port")
    return origin


def check_network(text: str) -> str:
    """An address or a network."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{_shown(text)} is no address or network: write 10.0.0.5 or 10.0.0.0/8") from None


def check_host_or_network(text: str) -> str:
    """A host name, an address or a network."""
    try:
        return check_network(text)
    except ValueError:
        return check_host(text)


def _no_truth_value(value: Any) -> None:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")


def _amount(text: str, units: dict[str, Any], forms: str) -> tuple[float, str]:
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or (match.group(2) and match.group(2) not in units):
        raise ValueError(f"it is {forms}, not {_shown(text)}")
    amount, unit = match.groups()
    return (int(amount) if amount.isdecimal() else float(amount)), unit


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


Bytes = Annotated[int, BeforeValidator(read_bytes), Field(ge=1, le=_MOST)]
BytesOrZero = Annotated[int, BeforeValidator(read_bytes), Field(ge=0, le=_MOST)]
Seconds = Annotated[float, BeforeValidator(read_seconds), Field(gt=0, le=_MOST_S, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, BeforeValidator(read_seconds), Field(ge=0, le=_MOST_S, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(read_count), Field(ge=1, le=2**31 - 1)]
Port = Annotated[int, BeforeValidator(read_count), Field(ge=0, le=65535)]
Address = Annotated[str, AfterValidator(check_listened)]
Collector = Annotated[str, AfterValidator(check_collector)]
Texts = Annotated[tuple[str, ...], BeforeValidator(read_list)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(check_host)], ...], BeforeValidator(read_list)]
Origin = Annotated[str, AfterValidator(check_origin)]
Origins = Annotated[tuple[Origin, ...], BeforeValidator(read_list)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(check_network)], ...], BeforeValidator(read_list)]
HostsOrNetworks = Annotated[
    tuple[Annotated[str, AfterValidator(check_host_or_network)], ...], BeforeValidator(read_list)
]
OrNone = BeforeValidator(read_none)
"""For a kind that may also be nothing: `Annotated[Bytes | None, OrNone]`; the word `none` says so."""
