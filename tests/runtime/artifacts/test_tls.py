"""Tests with an S3 whose certificate is only trusted through AWS_CA_BUNDLE."""

import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.artifacts.fetch import fetch
from runtime.artifacts.upload import open_bucket
from runtime.errors import StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, KIB, PATIENT, SHORT_TIMEOUTS, Bench
from tests.runtime.artifacts.hostile import HostileServer, Script, send_and_close
from tests.runtime.artifacts.test_proxies import forward_bytes
from tests.runtime.artifacts.test_upload import outgoing
from tests.runtime.faulty_s3 import FaultyS3

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl creates the certificates")

REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<title>400 %s</title>\n"
GO = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
NGINX = REFUSED % b"The plain HTTP request was sent to HTTPS port"
ALERT = b"\x15\x03\x01\x00\x02\x02\x0a"  # unexpected_message


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Return a folder with ca.pem, and with cert.pem and key.pem of a server at 127.0.0.1."""
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
    """Yield the real S3 behind TLS as the endpoint in the environment. Its certificate is not trusted."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority / "cert.pem", authority / "key.pem")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with FaultyS3(bench.s3.endpoint_url, tls=tls) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        yield server


def test_a_certificate_in_the_bundle_is_trusted(
    bench: Bench, secure: FaultyS3, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = bench.put(b"content")
    with pytest.raises(StoreUnreachable, match="certificate is not trusted"):
        fetch(stored.uri, cache_dir=bench.cache_dir, policy=SHORT_TIMEOUTS)
    assert secure.seen == []

    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority / "ca.pem"))
    assert fetch(stored.uri, cache_dir=bench.cache_dir, policy=PATIENT).path.read_bytes() == b"content"
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
    assert fetch(stored.uri, cache_dir=bench.cache_dir, policy=PATIENT).path.read_bytes() == stored.body
    assert len(secure.downloads(stored.path)) == 4


def test_tls_is_tunnelled_through_a_proxy(
    bench: Bench, secure: FaultyS3, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = bench.put(b"content")
    target = secure.endpoint_url.removeprefix("https://")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority / "ca.pem"))
    monkeypatch.setenv("NO_PROXY", "")
    with HostileServer(lambda connection: forward_bytes(connection, target)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert fetch(stored.uri, cache_dir=bench.cache_dir, policy=PATIENT).path.read_bytes() == b"content"
    # A slow machine may need a second attempt.
    assert {head.splitlines()[0] for head in proxy.heads} == {f"CONNECT {target} HTTP/1.1"}


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_error_for_http_to_a_port_for_tls_says_to_use_https(
    bench: Bench, secure: FaultyS3, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, secure.endpoint_url.replace("https://", "http://"))
    with pytest.raises(StoreUnreachable) as raised:
        bench.fetch(f"s3://{BUCKET}/m.onnx", policy=SHORT_TIMEOUTS)
    assert f"; use {secure.endpoint_url} in {variable} if the server uses TLS (at http://" in str(raised.value)
    assert secure.seen == []


def hold_open(connection: socket.socket) -> None:
    """Send a TLS alert and keep the connection open."""
    connection.sendall(ALERT)
    connection.recv(1)


def reset(connection: socket.socket) -> None:
    """Close the connection with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (send_and_close(GO), r"the store answered 400 \(its port expects TLS; {}\)"),
        (send_and_close(NGINX), r"the store answered 400 \(its port expects TLS; {}\)"),
        (send_and_close(ALERT), "the response is a TLS alert; {} if the server uses TLS"),
        (hold_open, "the response is a TLS alert; {} if the server uses TLS"),
        (send_and_close(), "the server closed the connection before the end of the response; {} if the server"),
        (reset, r"the connection broke \(.*\); {} if the server uses TLS"),
    ],
    ids=["go", "nginx", "alert", "alert-open", "close", "reset"],
)
def test_each_answer_of_a_port_for_tls_to_http_is_explained(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, script: Script, reason: str
) -> None:
    with HostileServer(script) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        advice = f"use {server.url.replace('http', 'https')} in AWS_ENDPOINT_URL"
        with pytest.raises(StoreUnreachable, match=reason.format(advice)):
            bench.fetch(f"s3://{BUCKET}/m.onnx", policy=SHORT_TIMEOUTS)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nx", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"])
def test_a_server_that_speaks_http_is_not_taken_for_one_of_tls(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    with HostileServer(send_and_close(answer)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(StoreUnreachable) as raised:
            bench.fetch(f"s3://{BUCKET}/m.onnx", policy=SHORT_TIMEOUTS)
    assert "TLS" not in str(raised.value)


def test_the_error_for_https_to_a_plain_port_says_to_use_http(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", bench.faulty.endpoint_url.replace("http://", "https://"))
    with pytest.raises(StoreUnreachable, match=r"no TLS connection .*; use http:// if the server does not use TLS"):
        bench.fetch(f"s3://{BUCKET}/m.onnx", policy=SHORT_TIMEOUTS)
