"""Prometheus, of whatever version the system has. It scrapes what stands in the folder `targets`, every second, and judges by
the rules in the folder `rules`; `POST /-/reload` makes it read them again."""

import shutil
from collections.abc import Mapping, Sequence

from scripts.real_servers.debian import apt_install
from scripts.real_servers.server import Server, answers
from scripts.real_servers.tool import need

SETTINGS = """global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{folder}/rules/*.yml"]
scrape_configs:
  - job_name: plugmesh
    file_sd_configs: [{{files: ["{folder}/targets/*.json"], refresh_interval: 1s}}]
"""


class Prometheus(Server):
    name = "prometheus"

    def installed(self) -> bool:
        return shutil.which("prometheus") is not None and shutil.which("promtool") is not None

    def install(self) -> None:
        apt_install("prometheus", log=self.folders.cache / "logs" / "prometheus.log")

    def prepare(self, ports: Mapping[str, int]) -> None:
        for name in ("targets", "rules", "data"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "settings.yml").write_text(SETTINGS.format(folder=self.folder))

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        return [
            need("prometheus", "On Debian and Ubuntu: apt install prometheus"),
            f"--config.file={self.folder / 'settings.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{ports['main']}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        ]

    def ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.port()}/-/ready") is not None

    def urls(self) -> Mapping[str, str]:
        """Where it answers, and the folder in which `targets` and `rules` lie."""
        url = f"http://127.0.0.1:{self.port()}"
        return {"PLUGMESH_TEST_PROMETHEUS": url, "PLUGMESH_TEST_PROMETHEUS_FILES": str(self.folder)}
