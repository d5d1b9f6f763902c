"""Tests of `fetch` with hostile servers: secrets stay private, no model is loaded, and time and memory are limited."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.artifacts.fetch import fetch
from runtime.artifacts.policy import GIB
from runtime.artifacts.upload import open_bucket
from runtime.errors import AccessDenied, ArtifactTooLarge, DiskFull, ModelUnavailable, StoreStalled, StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, KIB, PATIENT, SHORT_TIMEOUTS, Bench
from tests.runtime.artifacts.hostile import HostileServer, Script, send_and_close, send_forever
from tests.runtime.artifacts.test_external import put_external_data, save
from tests.runtime.artifacts.test_upload import outgoing
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.waiting import DEADLINE

URI = "s3://models/m.onnx"
MIB = 1024 * KIB
ERROR = b"HTTP/1.1 500 Internal Server Error\r\n"

StartServer = Callable[[Script], HostileServer]


@pytest.fixture
def start_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], HostileServer]]:
    """Return a function that starts a hostile server and sets the environment of this process to it."""
    servers: list[HostileServer] = []

    def start(script: Script) -> HostileServer:
        server = HostileServer(script)
        servers.append(server.__enter__())
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return server

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENTIFIER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
    yield start
    for server in servers:
        server.__exit__(None, None, None)


def pull(folder: Path) -> None:
    """Pull from a server that answers at once, without another attempt."""
    fetch(URI, cache_dir=folder / "cache", policy=replace(PATIENT, progress_timeout=0.2))


def pull_impatiently(folder: Path) -> None:
    """Pull from a server whose answer has no end."""
    fetch(
        URI,
        cache_dir=folder / "cache",
        policy=replace(SHORT_TIMEOUTS, stall_timeout=0.3, progress_timeout=0.2, deadline=2.0),
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_never_followed(bench: Bench, status: int) -> None:
    stored = bench.put(b"content")
    with FaultyS3(bench.s3.endpoint_url) as other:
        headers = {"location": f"{other.endpoint_url}{stored.path}"}
        bench.faulty.add(Fault(status=status, headers=headers))
        with pytest.raises(AccessDenied, match=r"redirects to 127\.0\.0\.1; redirects are not followed"):
            bench.fetch(stored.uri)
        assert other.seen == []
    assert not list(bench.cache_dir.glob("blobs/*"))


def test_a_redirect_during_a_pull_is_not_followed(bench: Bench) -> None:
    stored = bench.put(bytes(300 * KIB))
    with FaultyS3(bench.s3.endpoint_url) as other:
        bench.faulty.add(Fault(status=307, headers={"location": f"{other.endpoint_url}{stored.path}"}, skip=1))
        with pytest.raises(AccessDenied):
            bench.fetch(stored.uri)
        assert other.seen == []
    assert bench.leftovers() == []


def test_an_upload_follows_no_redirect(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"content")
    with FaultyS3(bench.s3.endpoint_url) as other:
        bench.faulty.add(Fault(status=307, headers={"location": f"{other.endpoint_url}/{BUCKET}/m.onnx"}))
        with pytest.raises(AccessDenied, match="not followed"):
            open_bucket(BUCKET, overwrite=True).upload(outgoing(tmp_path / "m.onnx", "redirected/m.onnx"))
        assert other.seen == []


def test_the_error_for_a_bucket_in_another_region_names_the_region(bench: Bench) -> None:
    bench.faulty.add(Fault(status=301, code="PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-1"}))
    with pytest.raises(AccessDenied, match="set AWS_REGION=eu-west-1"):
        bench.fetch(f"s3://{BUCKET}/m.onnx")


@pytest.mark.parametrize("size", [2**50, 65 * GIB])
def test_an_object_beyond_the_limit_is_refused_before_the_first_write(
    start_server: StartServer, tmp_path: Path, size: int
) -> None:
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-65535/{size}\r\nContent-Length: 65536\r\n\r\n"
    server = start_server(send_and_close(head.encode(), bytes(65536)))
    with pytest.raises(ArtifactTooLarge, match=f"has {size} bytes or more; expected at most {64 * GIB}") as raised:
        pull(tmp_path)
    assert "SCALEZERO_MAX_ARTIFACT_BYTES" in str(raised.value)
    assert len(server.heads) == 1
    assert not any((tmp_path / "cache" / "partial").iterdir())


def test_an_object_larger_than_the_free_space_is_refused_before_the_first_write(
    start_server: StartServer, tmp_path: Path
) -> None:
    state = os.statvfs(tmp_path)
    size = state.f_blocks * state.f_frsize + 1
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-65535/{size}\r\nContent-Length: 65536\r\n\r\n"
    server = start_server(send_and_close(head.encode(), bytes(65536)))
    with pytest.raises(DiskFull, match=f"{size} bytes needed"):
        fetch(URI, cache_dir=tmp_path / "cache", policy=replace(PATIENT, max_bytes=size))
    assert len(server.heads) == 1


def test_the_limit_includes_the_external_data(bench: Bench) -> None:
    model, weights = save("w.bin"), bytes(200 * KIB)
    stored = bench.put(model)
    put_external_data(bench, stored.uri, "w.bin", weights)
    total = len(model) + len(weights)
    with pytest.raises(ArtifactTooLarge, match=f"bin: it has {total} bytes or more; expected at most"):
        bench.fetch(stored.uri, policy=replace(PATIENT, max_bytes=total - 1))
    assert bench.fetch(stored.uri, policy=replace(PATIENT, max_bytes=total)).path.read_bytes() == model


INVALID_RESPONSES = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another version": b"HTTP/2 200\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000\r\n\r\n",
    "no size": b"HTTP/1.1 200 OK\r\n\r\nmodel",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nmo",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a length of 5000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n x\r\n\r\nm",
    "no content range": b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nmodel",
    "another range": b"HTTP/1.1 206 P\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\nmodel",
    "a range beyond the size": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-9/5\r\nContent-Length: 5\r\n\r\nmodel",
    "a range of another length": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 4\r\n\r\nmode",
    "too short": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\nmode",
    "chunks beyond the range": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"7\r\nmodel!!\r\n0\r\n\r\n",
    "no chunks": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n\r\nmodel",
    "only interim responses": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20,
    "nothing": b"",
}


@pytest.mark.parametrize("name", INVALID_RESPONSES)
def test_an_invalid_response_is_an_error_and_leaves_no_files(
    start_server: StartServer, tmp_path: Path, name: str
) -> None:
    start_server(send_and_close(INVALID_RESPONSES[name]))
    with pytest.raises(StoreUnreachable):
        pull(tmp_path)
    assert not any((tmp_path / "cache" / "blobs").iterdir())
    assert not any((tmp_path / "cache" / "partial").iterdir())


def test_a_chunked_response_after_an_interim_response_is_accepted(start_server: StartServer, tmp_path: Path) -> None:
    start_server(
        send_and_close(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nmo\r\n3\r\ndel\r\n0\r\nx-trailer: 1\r\n\r\n"
        )
    )
    artifact = fetch(URI, cache_dir=tmp_path / "cache", policy=PATIENT)
    assert artifact.path.read_bytes() == b"model"


def pause_briefly() -> None:
    time.sleep(0.05)


ENDLESS_RESPONSES = {
    "an error that never ends": send_forever(ERROR + b"\r\n", b"x" * 65536),
    "an error of 1 GiB": send_forever(ERROR + b"Content-Length: 1073741824\r\n\r\n", b"x" * 65536),
    "an error in chunks": send_forever(ERROR + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nxxxx\r\n"),
    "an error sent slowly": send_forever(ERROR + b"\r\n", b"x", pause=pause_briefly),
    "a head that never ends": send_forever(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1000),
    "a header line that never ends": send_forever(b"HTTP/1.1 200 OK\r\nx: ", b"y" * 65536),
    "a head sent slowly": send_forever(b"HTTP/1.1 200 OK\r\nx: ", b"y", pause=pause_briefly),
    "interim responses": send_forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body beyond its range": send_forever(
        b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nxxxx\r\n"
    ),
}


@pytest.mark.parametrize("name", ENDLESS_RESPONSES)
def test_time_and_disk_of_an_endless_response_are_limited(start_server: StartServer, tmp_path: Path, name: str) -> None:
    start_server(ENDLESS_RESPONSES[name])
    with pytest.raises((StoreUnreachable, StoreStalled)) as raised:
        pull_impatiently(tmp_path)
    assert len(str(raised.value)) < 600
    assert not any((tmp_path / "cache" / "partial").iterdir())


def test_memory_of_an_endless_response_is_limited(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(ENDLESS_RESPONSES["an error of 1 GiB"])
    program = """
import pathlib, resource, sys
from runtime.artifacts.fetch import fetch
from runtime.artifacts.policy import PullPolicy
from runtime.errors import StoreUnreachable
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    fetch(sys.argv[1], cache_dir=pathlib.Path(sys.argv[2]), policy=PullPolicy(progress_timeout=0.5))
except StoreUnreachable:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    command = [sys.executable, "-c", program, URI, str(tmp_path / "cache")]
    printed = subprocess.run(
        command, env=dict(os.environ), capture_output=True, text=True, check=True, timeout=DEADLINE
    )
    assert server.heads
    assert int(printed.stdout) < 64 * 1024  # KiB: for imports and buffers, without the body


def test_endless_trailers_are_not_read(start_server: StartServer, tmp_path: Path) -> None:
    head = b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n\r\n"
    start_server(send_forever(head + b"5\r\nmodel\r\n0\r\n", b"x: y\r\n"))
    assert fetch(URI, cache_dir=tmp_path / "cache", policy=PATIENT).path.read_bytes() == b"model"


def test_an_error_contains_no_keys_that_the_store_echoes(start_server: StartServer, tmp_path: Path) -> None:
    def echo(connection: socket.socket) -> None:
        body = b"<Error><Code>X</Code><Message>session-token AKIDENTIFIER too</Message></Error>"
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server = start_server(echo)
    with pytest.raises(ModelUnavailable, match=r"400 X \(\.\.\. \.\.\. too\)"):
        pull(tmp_path)
    assert "x-amz-security-token: session-token" in server.heads[0]
