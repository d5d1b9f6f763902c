"""`fetch` against servers that mean harm: nothing leaves, nothing is loaded, and each end comes soon and small."""

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
from tests.runtime.artifacts.conftest import BUCKET, IMPATIENT, KIB, Bench
from tests.runtime.artifacts.hostile import Hostile, Script, endless, sending
from tests.runtime.artifacts.test_external import beside, save
from tests.runtime.artifacts.test_upload import outgoing
from tests.runtime.faulty_s3 import Fault, FaultyS3

URI = "s3://models/m.onnx"
MIB = 1024 * KIB
ERROR = b"HTTP/1.1 500 Internal Server Error\r\n"

Fetching = Callable[[Script], Hostile]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], Hostile]]:
    """Set the environment of this process to a hostile server."""
    servers: list[Hostile] = []

    def start(script: Script) -> Hostile:
        server = Hostile(script)
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
    fetch(URI, cache_dir=folder / "cache", policy=replace(IMPATIENT, stall_timeout=0.3, patience=0.2, deadline=2.0))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_never_followed(bench: Bench, status: int) -> None:
    stored = bench.put(b"content")
    with FaultyS3(bench.s3.endpoint_url) as other:
        elsewhere = {"location": f"{other.endpoint_url}{stored.path}"}
        bench.faulty.add(Fault(status=status, headers=elsewhere))
        with pytest.raises(AccessDenied, match=r"redirects to 127\.0\.0\.1; redirects are not followed"):
            bench.fetch(stored.uri)
        assert other.seen == []
    assert not list(bench.cache_dir.glob("blobs/*"))


def test_a_redirect_in_the_middle_of_a_pull_is_not_followed_either(bench: Bench) -> None:
    stored = bench.put(bytes(300 * KIB))
    with FaultyS3(bench.s3.endpoint_url) as other:
        bench.faulty.add(Fault(status=307, headers={"location": f"{other.endpoint_url}{stored.path}"}, skip=1))
        with pytest.raises(AccessDenied):
            bench.fetch(stored.uri)
        assert other.seen == []
    assert bench.leftovers() == []


def test_publishing_follows_no_redirect_either(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"content")
    with FaultyS3(bench.s3.endpoint_url) as other:
        bench.faulty.add(Fault(status=307, headers={"location": f"{other.endpoint_url}/{BUCKET}/m.onnx"}))
        with pytest.raises(AccessDenied, match="not followed"):
            open_bucket(BUCKET, overwrite=True).upload(outgoing(tmp_path / "m.onnx", "redirected/m.onnx"))
        assert other.seen == []


def test_the_region_of_a_bucket_that_is_elsewhere_is_told(bench: Bench) -> None:
    bench.faulty.add(Fault(status=301, code="PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-1"}))
    with pytest.raises(AccessDenied, match="set AWS_REGION=eu-west-1"):
        bench.fetch(f"s3://{BUCKET}/m.onnx")


@pytest.mark.parametrize("size", [2**50, 65 * GIB])
def test_an_object_beyond_the_limit_is_refused_before_anything_is_written(
    at: Fetching, tmp_path: Path, size: int
) -> None:
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-65535/{size}\r\nContent-Length: 65536\r\n\r\n"
    server = at(sending(head.encode(), bytes(65536)))
    with pytest.raises(ArtifactTooLarge, match=f"has {size} bytes or more; expected at most {64 * GIB}") as refused:
        pull(tmp_path)
    assert "SCALEZERO_MAX_ARTIFACT_BYTES" in str(refused.value)
    assert len(server.heads) == 1
    assert not any((tmp_path / "cache" / "partial").iterdir())


def test_an_object_beyond_the_free_disk_is_refused_before_anything_is_written(at: Fetching, tmp_path: Path) -> None:
    state = os.statvfs(tmp_path)
    size = state.f_blocks * state.f_frsize + 1
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-65535/{size}\r\nContent-Length: 65536\r\n\r\n"
    server = at(sending(head.encode(), bytes(65536)))
    with pytest.raises(DiskFull, match=f"{size} bytes are needed"):
        fetch(URI, cache_dir=tmp_path / "cache", policy=replace(IMPATIENT, max_bytes=size))
    assert len(server.heads) == 1


def test_the_external_data_of_a_model_counts_too(bench: Bench) -> None:
    model, weights = save("w.bin"), bytes(200 * KIB)
    stored = bench.put(model)
    beside(bench, stored.uri, "w.bin", weights)
    enough = len(model) + len(weights)
    with pytest.raises(ArtifactTooLarge, match=f"bin: the model has {enough} bytes or more; expected at most"):
        bench.fetch(stored.uri, policy=replace(IMPATIENT, max_bytes=enough - 1))
    assert bench.fetch(stored.uri, policy=replace(IMPATIENT, max_bytes=enough)).path.read_bytes() == model


NO_ANSWERS = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another version": b"HTTP/2 200\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000\r\n\r\n",
    "no size": b"HTTP/1.1 200 OK\r\n\r\nmodel",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nmo",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a length beyond any": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n x\r\n\r\nm",
    "no content range": b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nmodel",
    "another range": b"HTTP/1.1 206 P\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\nmodel",
    "a range beyond the size": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-9/5\r\nContent-Length: 5\r\n\r\nmodel",
    "a range of another length": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 4\r\n\r\nmode",
    "too short": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\nmode",
    "chunks beyond the range": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"7\r\nmodel!!\r\n0\r\n\r\n",
    "no chunks": b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n\r\nmodel",
    "only interim answers": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20,
    "nothing": b"",
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_an_answer_that_is_none_is_told_and_nothing_is_kept(at: Fetching, tmp_path: Path, name: str) -> None:
    at(sending(NO_ANSWERS[name]))
    with pytest.raises(StoreUnreachable):
        pull(tmp_path)
    assert not any((tmp_path / "cache" / "blobs").iterdir())
    assert not any((tmp_path / "cache" / "partial").iterdir())


def test_an_answer_in_chunks_after_an_interim_one_is_taken(at: Fetching, tmp_path: Path) -> None:
    at(
        sending(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nmo\r\n3\r\ndel\r\n0\r\nx-trailer: 1\r\n\r\n"
        )
    )
    artifact = fetch(URI, cache_dir=tmp_path / "cache", policy=IMPATIENT)
    assert artifact.path.read_bytes() == b"model"


def slowly() -> None:
    time.sleep(0.05)


ENDLESS = {
    "an error that never ends": endless(ERROR + b"\r\n", b"x" * 65536),
    "an error of 1 GiB": endless(ERROR + b"Content-Length: 1073741824\r\n\r\n", b"x" * 65536),
    "an error in chunks": endless(ERROR + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nxxxx\r\n"),
    "an error that drips": endless(ERROR + b"\r\n", b"x", pause=slowly),
    "a head that never ends": endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1000),
    "a header line that never ends": endless(b"HTTP/1.1 200 OK\r\nx: ", b"y" * 65536),
    "a head that drips": endless(b"HTTP/1.1 200 OK\r\nx: ", b"y", pause=slowly),
    "interim answers": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body beyond its range": endless(
        b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nxxxx\r\n"
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_bounded_in_time_and_disk(at: Fetching, tmp_path: Path, name: str) -> None:
    at(ENDLESS[name])
    began = time.monotonic()
    with pytest.raises((StoreUnreachable, StoreStalled)) as told:
        pull(tmp_path)
    assert time.monotonic() - began < 20
    assert len(str(told.value)) < 600
    assert not any((tmp_path / "cache" / "partial").iterdir())


def test_what_never_ends_is_bounded_in_memory(at: Fetching, tmp_path: Path) -> None:
    server = at(ENDLESS["an error of 1 GiB"])
    program = """
import pathlib, resource, sys
from runtime.artifacts.fetch import fetch
from runtime.artifacts.policy import PullPolicy
from runtime.errors import StoreUnreachable
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    fetch(sys.argv[1], cache_dir=pathlib.Path(sys.argv[2]), policy=PullPolicy(patience=0.5))
except StoreUnreachable:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    command = [sys.executable, "-c", program, URI, str(tmp_path / "cache")]
    printed = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True, timeout=60)
    assert server.heads
    assert int(printed.stdout) < 64 * 1024  # KiB: imports and buffers, not the body


def test_trailers_that_never_end_are_left_unread(at: Fetching, tmp_path: Path) -> None:
    head = b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n\r\n"
    at(endless(head + b"5\r\nmodel\r\n0\r\n", b"x: y\r\n"))
    assert fetch(URI, cache_dir=tmp_path / "cache", policy=IMPATIENT).path.read_bytes() == b"model"


def test_what_a_store_echoes_of_the_keys_is_in_no_error(at: Fetching, tmp_path: Path) -> None:
    def echo(connection: socket.socket) -> None:
        body = b"<Error><Code>X</Code><Message>session-token AKIDENTIFIER too</Message></Error>"
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server = at(echo)
    with pytest.raises(ModelUnavailable, match=r"400 X \(\.\.\. \.\.\. too\)"):
        pull(tmp_path)
    assert "x-amz-security-token: session-token" in server.heads[0]
