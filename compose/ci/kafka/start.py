"""Starts Kafka as the image apache/kafka does: `KAFKA_LOG_DIRS` is the property `log.dirs`, and so on."""

import os
import subprocess
from pathlib import Path

JAVA = [
    "java",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]
KAFKA = [*JAVA, "-cp", "/opt/kafka/libs/*"]
SETTINGS = Path.home() / "server.properties"


def main() -> None:
    """Becomes Kafka, with a data folder that was formatted at the first start."""
    lines = [f"{_property(name)}={value}\n" for name, value in os.environ.items() if name.startswith("KAFKA_")]
    SETTINGS.write_text("".join(lines))
    if not Path(os.environ["KAFKA_LOG_DIRS"], "meta.properties").exists():
        formatting = ["kafka.tools.StorageTool", "format", "-t", os.environ["CLUSTER_ID"], "-c", str(SETTINGS)]
        subprocess.run([*KAFKA, *formatting], check=True)
    command = [*KAFKA, "kafka.Kafka", str(SETTINGS)]
    os.execvp(command[0], command)  # noqa: S606  no shell


def _property(variable: str) -> str:
    return variable.removeprefix("KAFKA_").lower().replace("_", ".")


if __name__ == "__main__":
    main()
