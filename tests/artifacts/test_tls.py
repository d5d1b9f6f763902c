"""An S3 whose certificate only AWS_CA_BUNDLE vouches for."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from runtime.artifacts.fetch import fetch
from runtime.artifacts.upload import open_bucket
from runtime.errors import StoreUnreachable
from tests.artifacts.conftest import BUCKET, IMPATIENT, Bench
from tests.artifacts.test_upload import outgoing
from tests.faulty_s3 import FaultyS3

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


def test_the_bundle_decides_whom_to_trust(bench: Bench, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = bench.put(b"content")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority / "cert.pem", authority / "key.pem")
    with FaultyS3(bench.s3.endpoint_url, tls=tls) as secure:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", secure.endpoint_url)
        with pytest.raises(StoreUnreachable, match="certificate is not trusted"):
            fetch(stored.uri, cache_dir=bench.cache_dir, policy=IMPATIENT)

        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority / "ca.pem"))
        assert fetch(stored.uri, cache_dir=bench.cache_dir, policy=IMPATIENT).path.read_bytes() == b"content"
        (authority / "m.onnx").write_bytes(b"published")
        assert open_bucket(BUCKET, overwrite=True).upload(outgoing(authority / "m.onnx", "tls/m.onnx"))
