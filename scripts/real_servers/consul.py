"""Consul: one server that is its own cluster, with tokens switched on, and everything allowed without one."""

import json
from collections.abc import Mapping, Sequence

from scripts.real_servers import golang
from scripts.real_servers.server import Server, answers

PACKAGE = "github.com/hashicorp/consul"
VERSION = "v1.22.5"
NODE = "tests"
# A token that may do everything: tests make weaker ones with it.
TOKEN = "00000000-0000-4000-8000-706c75676d73"


class Consul(Server):
    name = "consul"
    ports = ("main", "server", "serf")

    def installed(self) -> bool:
        return golang.built(self.folders, self.name, VERSION)

    def install(self) -> None:
        golang.build(self.folders, self.name, PACKAGE, VERSION)

    def prepare(self, ports: Mapping[str, int]) -> None:
        settings = {
            "node_name": NODE,
            "server": True,
            "bootstrap": True,
            "data_dir": str(self.folder / "data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            # -1: not at all
            "ports": {"http": ports["main"], "server": ports["server"], "serf_lan": ports["serf"], "serf_wan": -1}
            | {"dns": -1, "grpc": -1, "grpc_tls": -1},
            "acl": {"enabled": True, "default_policy": "allow", "tokens": {"initial_management": TOKEN}},
            # A quick election, for one server wins it anyway.
            "performance": {"raft_multiplier": 1},
            "limits": {"http_max_conns_per_client": 1000},
            "connect": {"enabled": False},
            "peering": {"enabled": False},
            "disable_update_check": True,
            "log_level": "warn",
        }
        (self.folder / "settings.json").write_text(json.dumps(settings, indent=1))

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        program = str(golang.program(self.folders, self.name, VERSION))
        return [program, "agent", f"-config-file={self.folder / 'settings.json'}"]

    def ready(self) -> bool:
        """Whether it leads and has entered itself into its catalogue: before that it refuses writes."""
        checks = answers(f"http://127.0.0.1:{self.port()}/v1/health/node/{NODE}")
        return isinstance(checks, list) and any(check.get("Status") == "passing" for check in checks)

    def urls(self) -> Mapping[str, str]:
        url = f"http://127.0.0.1:{self.port()}"
        return {"PLUGMESH_TEST_CONSUL": url, "PLUGMESH_TEST_CONSUL_TOKEN": TOKEN}
