"""Formats of files: which one a name means, and which compression is around it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from module_sdk import DataError

Format = Literal["csv", "parquet", "jsonl", "arrow"]
FormatChoice = Literal["auto", "csv", "parquet", "jsonl", "arrow"]
Compression = Literal["gzip", "bz2", "zstd", "zip"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.file",
}
_ENDINGS: dict[str, Format] = {
    "csv": "csv",
    "tsv": "csv",
    "txt": "csv",
    "parquet": "parquet",
    "pq": "parquet",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "arrow": "arrow",
    "arrows": "arrow",
    "feather": "arrow",
    "ipc": "arrow",
}
_COMPRESSED: dict[str, Compression] = {"gz": "gzip", "bz2": "bz2", "zst": "zstd", "zip": "zip"}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is. `ending` is that of its name, without a compression's and in lower case."""

    format: Format
    compression: Compression | None
    ending: str


def kind_of(name: str, choice: FormatChoice) -> Kind:
    """What the file called `name` is, if `choice` does not say it. Raises `DataError` for an unknown ending."""
    base, _, last = name.lower().rpartition(".")
    compression = _COMPRESSED.get(last) if base else None
    ending = base.rpartition(".")[2] if compression else last
    if choice != "auto":
        return Kind(choice, compression, ending)
    if ending not in _ENDINGS:
        known = ", ".join("." + known for known in _ENDINGS)
        raise DataError(
            f"format: the name {name!r} does not say what is in the file (known endings: {known}): "
            "set format to csv, parquet, jsonl or arrow"
        )
    return Kind(_ENDINGS[ending], compression, ending)


def unpacked(stream: BinaryIO, compression: Compression | None, name: str) -> Any:
    """A stream of the bytes inside. Raises `DataError` for an archive that does not hold exactly one file."""
    if compression is None:
        return stream
    if compression == "zip":
        return _only_member(stream, name)
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), compression)


def _only_member(stream: BinaryIO, name: str) -> Any:
    try:
        archive = zipfile.ZipFile(stream)
        members = [
            info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            held = ", ".join(info.filename for info in members[:10]) or "nothing"
            raise DataError(f"file: the archive {name!r} must hold exactly one file, but holds {held}")
        return archive.open(members[0])
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:  # broken, encrypted, unknown method
        raise DataError(f"file: the archive {name!r} cannot be opened: {error}") from None
