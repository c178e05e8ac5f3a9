"""What may stand in an s3:// URL; no message shows what is secret in it."""

from pathlib import Path

import pytest

from plugmesh.errors import ConfigurationError
from plugmesh.objects.open import open_store
from plugmesh.objects.s3.address import parse_address
from plugmesh.runtime import SystemRuntime


def test_a_full_url_says_everything(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    address = parse_address(
        "s3://me:a%2Fb%40c@bucket-1/mesh/one/?endpoint=https://minio:9000/&region=eu-west-1&cache=/var/cache&cache_bytes=7"
        f"&ca_file={authority}&part_bytes=5242880&patience_s=3&compression=none"
    )
    assert (address.access, address.secret) == ("me", "a/b@c")
    assert (address.bucket, address.prefix, address.endpoint) == ("bucket-1", "mesh/one/", "https://minio:9000")
    assert (address.region, address.cache, address.cache_bytes) == ("eu-west-1", Path("/var/cache"), 7)
    assert (address.ca_file, address.part_bytes, address.patience_s) == (str(authority), 5242880, 3.0)
    assert address.name == "s3://bucket-1/mesh/one at https://minio:9000"


def test_a_short_url_is_of_amazon_and_asks_the_environment_for_keys() -> None:
    address = parse_address("s3://bucket")
    assert (address.is_aws, address.region, address.access, address.secret) == (True, None, "", "")
    assert address.prefix == ""
    assert address.cache is None


def test_another_server_has_the_region_that_all_of_them_know() -> None:
    assert parse_address("s3://bucket?endpoint=http://127.0.0.1:9000").region == "us-east-1"


def test_the_secret_key_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("se/cr@et\n")
    assert parse_address(f"s3://me@bucket?password_file={tmp_path}/key").secret == "se/cr@et"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://me:hush@", "name of a bucket"),
        ("s3://me:hush@ab", "name of a bucket"),
        ("s3://me:hush@Big", "name of a bucket"),
        ("s3://me:hu/sh@bucket", "an @ behind its host"),
        ("s3://me@bucket", "give both access:secret"),
        ("s3://:hush@bucket", "give both access:secret"),
        ("s3://me:hush@bucket/a//b", "object key"),
        ("s3://me:hush@bucket/../b", "object key"),
        ("s3://me:hush@bucket/" + "x" * 300, "prefix has 300"),
        ("s3://me:hush@bucket?endpoint=minio:9000", "endpoint must be"),
        ("s3://me:hush@bucket?endpoint=http://me:hush@minio", "an @ behind its host"),
        ("s3://me:hush@bucket?endpoint=http://minio/path", "endpoint must be"),
        ("s3://me:hush@bucket?endpoint=http://minio:99999", "endpoint must be"),
        ("s3://me:hush@bucket?cache=folder", "absolute folder"),
        ("s3://me:hush@bucket?cache_bytes=1GB", "cache_bytes='1GB'"),
        ("s3://me:hush@bucket?part_bytes=1000", "part_bytes='1000'"),
        ("s3://me:hush@bucket?patience_s=0", "patience_s='0'"),
        ("s3://me:hush@bucket?ca_file=/no/such", "there is no such file"),
        ("s3://me:hush@bucket?compression=gzip", "compression='gzip'"),
        ("s3://me:hush@bucket?colour=red", "unknown option 'colour'"),
        ("s3://me:hush@bucket?password_file=/no/such", "password file /no/such cannot be read"),
    ],
)
def test_a_wrong_url_is_said_to_be_wrong_without_its_secrets(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        open_store(url, SystemRuntime())
    assert "hush" not in str(raised.value)


def test_a_cache_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="setting objects: cache="):
        open_store(f"s3://me:hush@bucket?cache={tmp_path}/file/cache", SystemRuntime())


def test_the_client_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith(("minio", "plugmesh.objects.s3"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "minio", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'plugmesh\[s3\]'"):
        open_store("s3://bucket", SystemRuntime())
