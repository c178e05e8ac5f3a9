"""versitygw: a second S3 server, written by other people than the first, over a folder."""

from collections.abc import Mapping, Sequence

from scripts.real_servers import golang
from scripts.real_servers.server import PASSWORD, USER, Server, answers

PACKAGE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"


class Versitygw(Server):
    name = "versitygw"

    def installed(self) -> bool:
        return golang.built(self.folders, self.name, VERSION)

    def install(self) -> None:
        golang.build(self.folders, self.name, PACKAGE, VERSION)

    def prepare(self, ports: Mapping[str, int]) -> None:
        (self.folder / "data").mkdir(exist_ok=True)

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        program = str(golang.program(self.folders, self.name, VERSION))
        return [
            program,
            "--port",
            f"127.0.0.1:{ports['main']}",
            "--health",
            "/health",
            "posix",
            str(self.folder / "data"),
        ]

    def environ(self) -> Mapping[str, str]:
        return {"ROOT_ACCESS_KEY": USER, "ROOT_SECRET_KEY": PASSWORD}

    def ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.port()}/health") is not None

    def urls(self) -> Mapping[str, str]:
        return {"PLUGMESH_TEST_VERSITYGW": f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port()}"}
