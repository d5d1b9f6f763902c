"""An S3 whose certificate only AWS_CA_BUNDLE vouches for."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.artifacts.fetch import fetch
from runtime.artifacts.upload import open_bucket
from runtime.errors import StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, IMPATIENT, KIB, Bench
from tests.runtime.artifacts.hostile import Hostile
from tests.runtime.artifacts.test_proxies import passing_on
from tests.runtime.artifacts.test_upload import outgoing
from tests.runtime.faulty_s3 import FaultyS3

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A folder with ca.pem, and with cert.pem and key.pem of a server at 127.0.0.1."""
    (tmp_path / "ext").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca",
        "req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=server",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def secure(bench: Bench, authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """The real S3 behind TLS, as the environment's endpoint; nothing is trusted yet."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority / "cert.pem", authority / "key.pem")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with FaultyS3(bench.s3.endpoint_url, tls=tls) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        yield server


def test_the_bundle_decides_whom_to_trust(
    bench: Bench, secure: FaultyS3, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = bench.put(b"content")
    with pytest.raises(StoreUnreachable, match="certificate is not trusted"):
        fetch(stored.uri, cache_dir=bench.cache_dir, policy=IMPATIENT)
    assert secure.seen == []

    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority / "ca.pem"))
    assert fetch(stored.uri, cache_dir=bench.cache_dir, policy=IMPATIENT).path.read_bytes() == b"content"
    (authority / "m.onnx").write_bytes(b"published")
    assert open_bucket(BUCKET, overwrite=True).upload(outgoing(authority / "m.onnx", "tls/m.onnx"))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_systems_certificates_are_a_file_or_a_folder_of_hashed_names(
    bench: Bench, secure: FaultyS3, authority: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    stored, folder = bench.put(bytes(200 * KIB)), authority / "hashed"
    folder.mkdir()
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(authority / "ca.pem")]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(authority / "ca.pem", folder / f"{name}.0")
    for other in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable, str(authority / "ca.pem" if variable == "SSL_CERT_FILE" else folder))
    assert fetch(stored.uri, cache_dir=bench.cache_dir, policy=IMPATIENT).path.read_bytes() == stored.body
    assert len(secure.downloads(stored.path)) == 4


def test_tls_goes_through_a_proxy_from_end_to_end(
    bench: Bench, secure: FaultyS3, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = bench.put(b"content")
    target = secure.endpoint_url.removeprefix("https://")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority / "ca.pem"))
    monkeypatch.setenv("NO_PROXY", "")
    with Hostile(lambda connection: passing_on(connection, target)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert fetch(stored.uri, cache_dir=bench.cache_dir, policy=IMPATIENT).path.read_bytes() == b"content"
    assert [head.splitlines()[0] for head in proxy.heads] == [f"CONNECT {target} HTTP/1.1"]
