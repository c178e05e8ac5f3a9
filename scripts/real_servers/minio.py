"""MinIO: an S3 server. Built from source, for its binaries and images are no longer published."""

from collections.abc import Mapping, Sequence

from scripts.real_servers import golang
from scripts.real_servers.server import PASSWORD, USER, Server, answers

PACKAGE = "github.com/minio/minio"
# A commit after the last fix release: the release tags are no versions that Go accepts.
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"


class Minio(Server):
    name = "minio"

    def installed(self) -> bool:
        return golang.built(self.folders, self.name, VERSION)

    def install(self) -> None:
        golang.build(self.folders, self.name, PACKAGE, VERSION)

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        program = str(golang.program(self.folders, self.name, VERSION))
        options = ["--quiet", "--config-dir", str(self.folder / "settings"), "--address", f"127.0.0.1:{ports['main']}"]
        return [program, "server", *options, str(self.folder / "data")]

    def environ(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder),
            "MINIO_ROOT_USER": USER,
            "MINIO_ROOT_PASSWORD": PASSWORD,
            "MINIO_UPDATE": "off",
            "MINIO_BROWSER": "off",
        }

    def ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.port()}/minio/health/ready") is not None

    def urls(self) -> Mapping[str, str]:
        return {"PLUGMESH_TEST_MINIO": f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port()}"}
