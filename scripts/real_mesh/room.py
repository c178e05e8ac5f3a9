"""Room for one mesh on servers that others use as well: a topic prefix, a mesh name, a database and a bucket of its own."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from scripts.real_servers import rooms


@dataclass(frozen=True, slots=True)
class Urls:
    """The four backends of a mesh, as its settings name them; what is empty is not given."""

    state: str
    bus: str = ""
    discovery: str = ""
    objects: str = ""

    def environment(self) -> dict[str, str]:
        """The variables that every process of the mesh gets."""
        return {f"PLUGMESH_{name.upper()}": url for name, url in asdict(self).items() if url}


@contextmanager
def room(addresses: Mapping[str, str], *, cache: str = "", objects: str = "") -> Iterator[Urls]:
    """New URLs on the servers at `addresses` (`kafka`, `consul`, `postgres`, `minio`; see `addresses_of`), cleared away at
    the end. `cache` is a folder for the host's copy of objects; `objects` another store, instead of a bucket."""
    name = f"mesh-{secrets.token_hex(6)}"
    with ExitStack() as stack:
        consul = urlsplit(addresses["consul"])
        stack.callback(rooms.forget_mesh, addresses["consul"], name)
        stack.callback(rooms.delete_topics, addresses["kafka"], name)
        state = stack.enter_context(rooms.postgres_database(addresses["postgres"], name.replace("-", "_")))
        if not objects:
            stack.enter_context(rooms.bucket(addresses["minio"], name))
            objects = _bucket_url(addresses["minio"], name, cache)
        yield Urls(state, f"kafka://{addresses['kafka']}/{name}", f"consul://{consul.netloc}/{name}", objects)


def _bucket_url(address: str, bucket: str, cache: str) -> str:
    server = urlsplit(address)
    kept = f"&cache={cache}" if cache else ""
    endpoint = f"http://{server.hostname}:{server.port}"
    return f"s3://{server.username}:{server.password}@{bucket}?endpoint={endpoint}{kept}"
