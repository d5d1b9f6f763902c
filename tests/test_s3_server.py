"""The S3 server of the tests: it is a real server, isolated from others, and removed afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests import s3_server
from tests.waiting import DEADLINE


def test_a_stored_object_is_read_back(s3: s3_server.S3Server) -> None:
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
    assert listening_addresses(os.getpid()) == {"127.0.0.1"}


def listening_addresses(parent: int) -> set[str]:
    return {
        connection.laddr.ip
        for process in psutil.Process(parent).children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_it_listens_on_the_address_of_the_option_host(tmp_path: Path) -> None:
    places = [f"--dir={tmp_path / 'data'}", f"--log={tmp_path / 'log'}", "--host=127.0.0.2", "--port=0"]
    argv = [sys.executable, str(s3_server.SCRIPT), *places]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            server = s3_server.wait_until_ready(process)
            server.put("s3://models/there", b"x")
            addresses = listening_addresses(process.pid)
        finally:
            process.terminate()
    assert server.endpoint_url.startswith("http://127.0.0.2:")
    assert addresses == {"127.0.0.1", "127.0.0.2"}, "SeaweedFS also listens on loopback, and on no other address"


def test_it_ends_with_its_parent_process_even_by_kill_9() -> None:
    parent = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]], check=True)"
    argv = [sys.executable, "-c", parent, str(s3_server.SCRIPT), "--ephemeral", "--port=0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("AWS_ENDPOINT_URL=")
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 2, "the script and SeaweedFS"
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=DEADLINE)
    assert not alive


def test_a_port_in_use_is_an_error_of_one_line(s3: s3_server.S3Server, tmp_path: Path) -> None:
    port = s3.endpoint_url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, s3_server.SCRIPT, "--dir", tmp_path, "--log", tmp_path / "log", "--port", port],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"scripts/s3: port {port} is in use; choose another one with S3_PORT or --port\n"


def test_objects_survive_a_restart_and_a_signal_stops_it_cleanly(tmp_path: Path) -> None:
    places = [f"--dir={tmp_path / 'data'}", f"--log={tmp_path / 'log'}"]
    argv = [sys.executable, str(s3_server.SCRIPT), *places, "--port=0"]
    seconds = []
    for turn in range(2):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            server = s3_server.wait_until_ready(process)
            if turn == 0:
                server.put("s3://models/kept", b"still here")
            kept = server.client().get_object(Bucket="models", Key="kept")["Body"].read()
            os.kill(process.pid, signal.SIGTERM)
            started = time.monotonic()
            assert process.wait(DEADLINE) == 0
            seconds.append(time.monotonic() - started)
        assert kept == b"still here"
    assert min(seconds) < 10  # a cluster of volumes would wait that long before it stops
