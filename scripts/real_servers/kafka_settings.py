"""The settings of the Kafka of tests: four ways in, each plain or encrypted, without or with a name and a password."""

from collections.abc import Mapping
from pathlib import Path

from scripts.real_servers.server import PASSWORD, USER

STRANGER = "stranger"
"""A name with the same password that may do nothing: to every topic it is refused."""
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
KEYS, CERTIFICATE = "keys.p12", "certificate.pem"

WAYS_IN = "PLAINTEXT://127.0.0.1:{main},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls},SASL_TLS://127.0.0.1:{sasl_tls}"
# Short sessions: a broker that was killed is let in again after 2 s instead of 9.
TEXT = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={ways_in},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={ways_in}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASL_TLS:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config={plain} user_{user}="{password}" user_{stranger}="{password}";
listener.name.sasl.scram-sha-256.sasl.jaas.config={scram};
listener.name.sasl.scram-sha-512.sasl.jaas.config={scram};
listener.name.sasl_tls.plain.sasl.jaas.config={plain} user_{user}="{password}" user_{stranger}="{password}";
listener.name.sasl_tls.scram-sha-256.sasl.jaas.config={scram};
listener.name.sasl_tls.scram-sha-512.sasl.jaas.config={scram};
ssl.keystore.type=PKCS12
ssl.keystore.location={keys}
ssl.keystore.password={password}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user}
log.dirs={data}
num.partitions=1
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
num.network.threads=2
num.io.threads=2
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=250
"""


def settings(ports: Mapping[str, int], data: Path, keys: Path) -> str:
    """The file `server.properties`."""
    module = "org.apache.kafka.common.security"
    return TEXT.format(
        **ports,
        ways_in=WAYS_IN.format(**ports),
        data=data,
        keys=keys,
        user=USER,
        stranger=STRANGER,
        password=PASSWORD,
        plain=f"{module}.plain.PlainLoginModule required",
        scram=f"{module}.scram.ScramLoginModule required",
    )


def scram_users() -> list[str]:
    """Arguments of the command that formats the data folder: SCRAM keeps what it knows of passwords there."""
    users = [(mechanism, name) for mechanism in MECHANISMS for name in (USER, STRANGER)]
    made = [f"{mechanism}=[name={name},password={PASSWORD}]" for mechanism, name in users]
    return [word for one in made for word in ("--add-scram", one)]


def make_keys(keytool: str, folder: Path) -> list[list[str]]:
    """The commands that make a key and its own certificate, for ten years."""
    store = ["-keystore", str(folder / KEYS), "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "kafka"]
    purpose = ["-ext", "bc:critical=ca:true", "-ext", "ku:critical=keyCertSign,digitalSignature"]
    place = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1,dns:localhost", "-validity", "3650"]
    return [
        [keytool, "-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", *store, *purpose, *place],
        [keytool, "-exportcert", "-rfc", *store, "-file", str(folder / CERTIFICATE)],
    ]
