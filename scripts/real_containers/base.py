"""The image that ours are built on: pulled where a registry can be reached, made from Debian's packages where none can."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from scripts.real_containers.engine import base_file
from scripts.real_containers.install import archive
from scripts.real_containers.places import Places
from scripts.real_servers.folders import locked
from scripts.real_servers.problem import Problem
from scripts.real_servers.tool import need, run

PULLED = "docker.io/library/python:3.11-slim-bookworm"
"""What compose/Dockerfile names. Pinned there as well."""
MADE = "localhost/plugmesh-python"
PACKAGES = "python3,python3-venv,ca-certificates"
PULL_WITHIN_S = 600
CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
# Python and pip stand where the image of Python's makers has them, and pip may install there.
DOCKERFILE = """FROM scratch
ADD files.tar /
COPY certificates /etc/ssl/certs/ca-certificates.crt
COPY pip.conf /etc/pip.conf
ENV LANG=C.UTF-8 PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
RUN python3 -m venv /usr/local && python -m pip --version
CMD ["python3"]
"""


def provide_base(places: Places, environment: dict[str, str]) -> str:
    """The name of the image, which is there afterwards. Raises Problem when it can be neither pulled nor made.

    One that was made has this machine's certificates and pip settings, as its own tools have: it is for this machine only.
    """
    whole = {**os.environ, **environment}
    docker = need("docker", "images are built with it")
    with locked(places.cache / "base.lock"):
        if not base_file(places).exists() and (_there(docker, PULLED, whole) or _pull(docker, places, whole)):
            return PULLED
        return _made(docker, places, whole)


def _there(docker: str, image: str, environ: dict[str, str]) -> bool:
    return (
        subprocess.run([docker, "image", "inspect", image], capture_output=True, env=environ, check=False).returncode
        == 0
    )


def _pull(docker: str, places: Places, environ: dict[str, str]) -> bool:
    try:
        run(["timeout", str(PULL_WITHIN_S), docker, "pull", "-q", PULLED], log=places.log("pull"), environ=environ)
    except Problem:
        return False
    return True


def _made(docker: str, places: Places, environ: dict[str, str]) -> str:
    suite = _suite()
    settings = _pip_settings()
    certificates = CERTIFICATES.read_bytes() if CERTIFICATES.is_file() else b""
    key = hashlib.sha256("\0".join((suite, PACKAGES, DOCKERFILE, settings)).encode() + certificates).hexdigest()[:12]
    image = f"{MADE}:{suite}-{key}"
    if not _there(docker, image, environ):
        with tempfile.TemporaryDirectory(prefix="plugmesh-base-") as name:
            context = Path(name)
            (context / "Dockerfile").write_text(DOCKERFILE)
            (context / "pip.conf").write_text(settings)
            (context / "certificates").write_bytes(certificates)
            shutil.copy(_files(places, suite), context / "files.tar")
            run([docker, "build", "-q", "-t", image, name], log=places.log("base"), environ=environ)
    base_file(places).write_text(f"{image}\n")
    return image


def _files(places: Places, suite: str) -> Path:
    """A small Debian with Python, made from the packages of this machine's archive."""
    files = places.cache / f"{suite}-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:8]}.tar"
    if not files.exists():
        mmdebstrap = need("mmdebstrap", "no registry can be reached, so a base image is made. apt install mmdebstrap")
        new = files.with_suffix(".new")
        room = Path("/dev/shm")  # in memory it takes a third of the time
        fast = room.is_dir() and shutil.disk_usage(room).free > 1_500_000_000
        options = [f"--include={PACKAGES}", "--variant=minbase", "--format=tar", '--aptopt=Acquire::Languages "none"']
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("man", "locale", "doc")]
        kept = "--dpkgopt=path-include=/usr/share/doc/*/copyright"
        environ = {"TMPDIR": str(room)} if fast else {}
        run(
            [mmdebstrap, *options, *left_out, kept, suite, str(new), archive()],
            log=places.log("files"),
            environ=environ,
        )
        new.replace(files)
    return files


def _suite() -> str:
    """This machine's Debian: what is compiled or installed here finds its libraries in the image."""
    lines = Path("/etc/os-release").read_text().splitlines()
    found = next((line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME=")), "")
    if not found:
        raise Problem("/etc/os-release names no release of Debian: pull or name a base image by other means")
    return found


def _pip_settings() -> str:
    """Where this machine's pip finds packages; not what holds a password, which would stay in the image."""
    lines = ["[global]", "disable-pip-version-check = true"]
    for name in ("index-url", "extra-index-url", "trusted-host"):
        value = os.environ.get(f"PIP_{name.upper().replace('-', '_')}") or _configured(name)
        if value and "@" not in value:
            lines.append(f"{name} = {value}")
    return "\n".join(lines) + "\n"


def _configured(name: str) -> str:
    asked = ["python3", "-m", "pip", "config", "get", f"global.{name}"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
