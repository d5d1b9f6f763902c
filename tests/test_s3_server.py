"""The S3 server that the other tests stand on: it is real, alone, and gone afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests import s3_server


def test_it_keeps_what_is_put(s3: s3_server.S3Server) -> None:
    s3.put("s3://s3-server-test/some/key", b"bytes", {"sha256": "ab"})
    answer = s3.client().get_object(Bucket="s3-server-test", Key="some/key")
    assert answer["Body"].read() == b"bytes"
    assert answer["Metadata"] == {"sha256": "ab"}


def test_two_servers_share_nothing(s3: s3_server.S3Server) -> None:
    with s3_server.running() as other:
        other.put("s3://models/only-there", b"x")
        assert other.endpoint_url != s3.endpoint_url
        assert s3.client().list_objects_v2(Bucket="models", Prefix="only-there")["KeyCount"] == 0


def test_every_port_is_on_loopback(s3: s3_server.S3Server) -> None:
    assert s3.endpoint_url.startswith("http://127.0.0.1:")
    assert listened_on(os.getpid()) == {"127.0.0.1"}


def listened_on(starter: int) -> set[str]:
    return {
        connection.laddr.ip
        for process in psutil.Process(starter).children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_another_address_is_listened_on_if_asked_for(tmp_path: Path) -> None:
    places = [f"--dir={tmp_path / 'data'}", f"--log={tmp_path / 'log'}", "--host=127.0.0.2", "--port=0"]
    argv = [sys.executable, str(s3_server.SCRIPT), *places]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            server = s3_server.announced(process)
            server.put("s3://models/there", b"x")
            addresses = listened_on(process.pid)
        finally:
            process.terminate()
    assert server.endpoint_url.startswith("http://127.0.0.2:")
    assert addresses == {"127.0.0.1", "127.0.0.2"}, "SeaweedFS keeps loopback open beside it, and nothing else"


def test_it_ends_with_its_starter_even_by_kill_9() -> None:
    starter = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]], check=True)"
    argv = [sys.executable, "-c", starter, str(s3_server.SCRIPT), "--ephemeral", "--port=0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("AWS_ENDPOINT_URL=")
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2, "the script and SeaweedFS"
        process.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_a_taken_port_is_told_in_one_line(s3: s3_server.S3Server, tmp_path: Path) -> None:
    port = s3.endpoint_url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, s3_server.SCRIPT, "--dir", tmp_path, "--log", tmp_path / "log", "--port", port],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"scripts/s3: port {port} is taken; S3_PORT or --port chooses another\n"


def test_objects_outlive_a_restart_and_a_signal_ends_it_cleanly(tmp_path: Path) -> None:
    places = [f"--dir={tmp_path / 'data'}", f"--log={tmp_path / 'log'}"]
    argv = [sys.executable, str(s3_server.SCRIPT), *places, "--port=0"]
    for turn in range(2):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            server = s3_server.announced(process)
            if turn == 0:
                server.put("s3://models/kept", b"still here")
            kept = server.client().get_object(Bucket="models", Key="kept")["Body"].read()
            os.kill(process.pid, signal.SIGTERM)
            started = time.monotonic()
            assert process.wait(15) == 0
        assert kept == b"still here"
        assert time.monotonic() - started < 10
