"""Apache Kafka in one process (KRaft): broker and controller, from the jars that Maven resolves."""

import base64
import shutil
import socket
import struct
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.real_servers import life
from scripts.real_servers.folders import Folders
from scripts.real_servers.kafka_settings import CERTIFICATE, KEYS, make_keys, scram_users, settings
from scripts.real_servers.server import Server
from scripts.real_servers.tool import need, run

VERSION = "4.3.1"  # 4.4.0 misses a jar
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# Made to start quickly, not to run for long.
BRIEF = "-XX:TieredStopAtLevel=1"
JVM = ("-XX:+UseSerialGC", BRIEF, "-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")
LOGGING = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>plugmesh.tests</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


class Kafka(Server):
    name = "kafka"
    ports = ("main", "sasl", "tls", "sasl_tls", "controller")

    @property
    def _jars(self) -> Path:
        return self.folders.cache / f"kafka-{VERSION}"

    @property
    def _classes(self) -> Path:
        """The classes that it needs at a start, as this Java keeps them in memory: a start takes a third of the time."""
        java = Path(self._java()).resolve()
        return self._jars / f"classes-{int(java.stat().st_mtime)}.jsa"

    def installed(self) -> bool:
        return (self._jars / "complete").exists()

    def install(self) -> None:
        maven = need("mvn", "Kafka's jars come from Maven. On Debian and Ubuntu: apt install maven")
        keytool = need("keytool", "it is a part of Java")
        shutil.rmtree(self._jars, ignore_errors=True)
        self._jars.mkdir(parents=True)
        pom = self._jars / "pom.xml"
        pom.write_text(POM)
        log = self.folders.cache / "logs" / "kafka.log"
        arguments = ["-DincludeScope=runtime", f"-DoutputDirectory={self._jars / 'jars'}"]
        for command in ([maven, "-B", "-q", "-f", str(pom), COPY, *arguments], *make_keys(keytool, self._jars)):
            run(command, log=log)
        self._keep_classes()
        (self._jars / "complete").touch()

    def _keep_classes(self) -> None:
        """Runs it once for nothing; Java writes down at its end which classes it had."""
        with tempfile.TemporaryDirectory() as state:
            trial = _Trial(Folders(self.folders.cache, Path(state)))
            life.launch(trial)
            life.stop(trial)

    def prepare(self, ports: Mapping[str, int]) -> None:
        data = self.folder / "data"
        properties = self.folder / "server.properties"
        properties.write_text(settings(ports, data, self._jars / KEYS))
        if not (data / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(b"A" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
            arguments = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties), *scram_users()]
            run([*self._in_java("64m"), *arguments], log=self.folder / "format.log")

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        return [*self._in_java("256m"), "kafka.Kafka", str(self.folder / "server.properties")]

    def ready(self) -> bool:
        """Whether it names itself as a broker when it is asked which there are (a metadata request without topics)."""
        request = struct.pack(">hhih5si", 3, 1, 1, 5, b"ready", 0)
        try:
            with socket.create_connection(("127.0.0.1", self.port()), 1) as connection:
                connection.settimeout(2)
                connection.sendall(struct.pack(">i", len(request)) + request)
                answer = connection.makefile("rb").read(12)
        except OSError:
            return False
        return len(answer) == 12 and struct.unpack(">iii", answer)[2] >= 1

    def urls(self) -> Mapping[str, str]:
        return {
            "PLUGMESH_TEST_KAFKA": f"127.0.0.1:{self.port()}",
            "PLUGMESH_TEST_KAFKA_SASL": f"127.0.0.1:{self.port('sasl')}",
            "PLUGMESH_TEST_KAFKA_TLS": f"127.0.0.1:{self.port('tls')}",
            "PLUGMESH_TEST_KAFKA_SASL_TLS": f"127.0.0.1:{self.port('sasl_tls')}",
            "PLUGMESH_TEST_KAFKA_CA": str(self._jars / CERTIFICATE),
        }

    def _in_java(self, heap: str) -> list[str]:
        kept = [f"-XX:SharedArchiveFile={self._classes}"] if self._classes.exists() else []
        return [self._java(), f"-Xmx{heap}", *JVM, *kept, LOGGING, "-cp", f"{self._jars / 'jars'}/*"]

    def _java(self) -> str:
        return need("java", "Kafka needs Java 17 or newer. On Debian and Ubuntu: apt install default-jre-headless")


class _Trial(Kafka):
    """A run that leaves its classes behind."""

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        java, *rest = super().command(ports)
        return [java, f"-XX:ArchiveClassesAtExit={self._classes}", *rest]
