"""URLs of Kafka buses: what they may say, and that errors name the setting and no secret."""

from pathlib import Path

import pytest

from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.errors import ConfigurationError


def test_a_short_url_has_every_default() -> None:
    url = KafkaUrl.parse("kafka://broker")
    assert (url.hosts, url.prefix, url.replication) == ((("broker", 9092),), "plugmesh", 1)
    assert url.retention_s == {"runs": 604_800, "results": 604_800, "dispatch": 3_600, "events": 3_600}
    assert url.client_options() == {"security_protocol": "PLAINTEXT", "ssl_context": None}
    assert url.topic("runs") == "plugmesh.runs"


def test_all_brokers_are_known_in_order() -> None:
    url = KafkaUrl.parse("kafka://a:1,b,[::1]:3,[::2]/mine")
    assert url.hosts == (("a", 1), ("b", 9092), ("::1", 3), ("::2", 9092))
    assert url.prefix == "mine"


@pytest.mark.parametrize(
    ("security", "mechanism"),
    [("sasl_plain", "PLAIN"), ("scram_sha_256", "SCRAM-SHA-256"), ("scram_sha_512", "SCRAM-SHA-512")],
)
def test_a_login_is_encrypted_unless_the_url_says_otherwise(security: str, mechanism: str) -> None:
    encrypted = KafkaUrl.parse(f"kafka://us%40er:pa%3Ass@a?security={security}").client_options()
    assert (encrypted["security_protocol"], encrypted["sasl_mechanism"]) == ("SASL_SSL", mechanism)
    assert (encrypted["sasl_plain_username"], encrypted["sasl_plain_password"]) == ("us@er", "pa:ss")
    plain = KafkaUrl.parse(f"kafka://u:p@a?security={security}&tls=false").client_options()
    assert (plain["security_protocol"], plain["ssl_context"]) == ("SASL_PLAINTEXT", None)


def test_tls_alone_needs_no_login() -> None:
    options = KafkaUrl.parse("kafka://a?security=tls").client_options()
    assert options["security_protocol"] == "SSL"
    assert options["ssl_context"].check_hostname


def test_retention_and_replication_are_options() -> None:
    url = KafkaUrl.parse("kafka://a?replication=3&retention_dispatch_s=60")
    assert (url.replication, url.retention_s["dispatch"], url.retention_s["runs"]) == (3, 60, 604_800)


def test_the_password_may_lie_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("geheim:@/\n")
    url = KafkaUrl.parse(f"kafka://user@a?security=sasl_plain&password_file={path}")
    assert url.password == "geheim:@/"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kafka:///prefix", "names no broker"),
        ("kafka://a:nine", "no host:port"),
        ("kafka://a:99999", "no host:port"),
        ("kafka://a/two/words", "prefix"),
        ("kafka://a?retentions=1", "no option 'retentions'"),
        ("kafka://a?replication=0", "replication='0'"),
        ("kafka://a?retention_runs_s=a%20day", "retention_runs_s"),
        ("kafka://a?security=kerberos", "security='kerberos'"),
        ("kafka://user:geheim@a", "no option `security`"),
        ("kafka://user:geheim@a?security=tls", "takes no user"),
        ("kafka://a?security=sasl_plain", "needs a user and a password"),
        ("kafka://a?tls=true", "tls='true'"),
        ("kafka://a?security=tls&tls=false", "contradict"),
        ("kafka://user:geheim@a?security=sasl_plain&ca_file=/nowhere/ca.pem", "ca_file"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_by_the_name_of_the_setting(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        KafkaUrl.parse(url)
    assert said in str(caught.value)
    assert "the setting `bus`" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_no_secret_is_in_the_text_of_a_url() -> None:
    assert "geheim" not in repr(KafkaUrl.parse("kafka://user:geheim@a?security=sasl_plain"))
