"""A wrong answer is never timed: how subjects are checked, servers run and figures measured."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from scripts.benchmarks import launches
from scripts.benchmarks.cli import main, peers, protocols
from scripts.benchmarks.client import check, content_length, first_right_answer, line
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.every import EVERY, PROTOCOLS
from scripts.benchmarks.noise import Guard
from scripts.benchmarks.servers import PORT, Launch, mapped_by, neutral, running
from scripts.benchmarks.subjects import Subject, close, flat

CPU = min(os.sched_getaffinity(0))


def until(holds: Callable[[], bool]) -> None:
    """Wait for it, ten seconds at the most."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestSubjects:
    @pytest.mark.parametrize("outputs", [0.5, [0.5], [[0.5]], {"fraud_score": [[0.5]]}])
    def test_an_answer_counts_in_whatever_shape_it_comes(self, outputs: object) -> None:
        assert flat(outputs) == [0.5]

    @pytest.mark.parametrize(
        "text", [b"", b"[]", b'{"outputs": [0.6]}', b'{"outputs": []}', b'{"outputs": ["0.5"]}', b'{"error": {}}']
    )
    def test_what_is_not_the_models_answer_is_wrong(self, text: bytes, linear: Subject) -> None:
        right = json.dumps({"outputs": list(linear.answers[0])}).encode()
        assert linear.accepts(0, right)
        assert not linear.accepts(0, text)

    def test_float32_rounding_is_forgiven_and_no_more(self) -> None:
        assert close([1.00001, 1e-7], [1.0, 0.0], within=1e-6)
        assert not close([1.001, 0.0], [1.0, 0.0], within=1e-6)
        assert not close([1.0], [1.0, 0.0], within=1e-6)

    def test_rounding_is_as_coarse_as_the_models_largest_output(self, linear: Subject) -> None:
        """A score near 0 that a batch computes as 1 less another is off by the rounding of 1."""
        subject = replace(linear, answers=[[6.6578e-05], [0.9], [0.5]])
        assert subject.accepts(0, b'{"outputs": [6.6608e-05]}')
        assert not subject.accepts(0, b'{"outputs": [9e-05]}')


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 12", b"HTTP/1.1 200 OK\r\ncontent-length:12\r\na: b"]
)
def test_a_responses_length_is_read_from_its_head(head: bytes) -> None:
    assert content_length(head) == 12
    with pytest.raises(CannotMeasure):
        content_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked")


class TestCommand:
    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("raw_c1", "taskset and wrk not found; on Debian: apt-get install util-linux wrk"),
            ("throughput_c1", "taskset and wrk not found; on Debian: apt-get install util-linux wrk"),
            ("h2_c32", "taskset and h2load not found; on Debian: apt-get install util-linux nghttp2-client"),
            ("grpc_v2", "taskset and h2load not found; on Debian: apt-get install util-linux nghttp2-client"),
            ("live_under_attack", "taskset and prlimit not found; on Debian: apt-get install util-linux"),
            ("memory", "taskset not found; on Debian: apt-get install util-linux"),
        ],
    )
    def test_a_missing_tool_is_named_with_what_installs_it(
        self, name: str, told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "")
        result = CliRunner().invoke(protocols if name in PROTOCOLS else main, [name])
        assert result.exit_code == 1
        assert result.output.strip().endswith(told)

    def test_an_unknown_name_is_answered_with_the_known_ones(self) -> None:
        result = CliRunner().invoke(main, ["cold_stat"])
        assert result.exit_code == 2
        assert "cold_start" in result.output

    def test_an_unknown_peer_is_answered_with_the_known_ones(self) -> None:
        result = CliRunner().invoke(peers, ["--peer", "mosek"])
        assert result.exit_code == 2
        assert "mosec" in result.output

    def test_one_core_cannot_do_both_jobs(self) -> None:
        cpu = str(min(os.sched_getaffinity(0)))
        result = CliRunner().invoke(main, ["memory", "--server-cpu", cpu, "--load-cpu", cpu])
        assert result.exit_code == 1
        assert "expected two different ones of" in result.output


def test_the_persons_settings_do_not_reach_a_server_that_is_measured() -> None:
    shell = {"PATH": "/bin", "SCALEZERO_BATCH_SIZE": "1", "AWS_PROFILE": "mine", "PORT": "1", "K_REVISION": "r"}
    assert neutral(shell) == {"PATH": "/bin"}
    assert neutral({"MLSERVER_DEBUG": "1", "PYTHONPATH": "mine", "PYTHONUTF8": "1"}) == {"PYTHONUTF8": "1"}


def test_a_server_writes_its_bytecode_though_the_persons_shell_forbids_it() -> None:
    """Else every cold start would compile what a pod's image holds compiled."""
    assert neutral({"PYTHONDONTWRITEBYTECODE": "1"}) == {}


class TestServers:
    """On real processes: the bare floor serves a small model."""

    @pytest.fixture
    def bare(self, linear: Subject) -> Launch:
        return launches.bare(linear)

    def test_a_server_is_pinned_measured_and_gone_afterwards(self, bare: Launch, linear: Subject) -> None:
        with running(bare, cpu=CPU) as server:
            seconds = first_right_answer(server, linear)
            check(server, linear)
            process = psutil.Process(server.process.pid)
            assert process.cpu_affinity() == [CPU]
            assert 0.01 < seconds < 60
            assert 20e6 < server.memory() < 1e9
            assert server.peak_memory() >= server.memory()
            with line(server, linear, 1) as caller:
                assert all(linear.accepts(1, caller.ask()) for _ in range(20))
        assert not psutil.pid_exists(server.process.pid)

    def test_who_else_maps_a_servers_libraries_is_seen(self, bare: Launch, linear: Subject) -> None:
        with running(bare, cpu=CPU) as server:
            first_right_answer(server, linear)
            assert server.process.pid in mapped_by("onnxruntime", launches.ROOT)
            assert server.process.pid not in mapped_by("onnxruntime", launches.ROOT / "nowhere")
        assert server.process.pid not in mapped_by("onnxruntime", launches.ROOT)

    def test_a_paused_server_stands_still_until_it_is_resumed(self, bare: Launch, linear: Subject) -> None:
        with running(bare, cpu=CPU) as server:
            first_right_answer(server, linear)
            server.pause()
            with socket.create_connection(("127.0.0.1", server.port)) as caller:
                caller.settimeout(0.3)
                caller.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                with pytest.raises(TimeoutError):
                    caller.recv(1)
            server.resume()
            check(server, linear)

    def test_a_worker_with_a_group_of_its_own_is_paused_and_gone_like_the_others(self) -> None:
        worker = "import time; print('up', flush=True); time.sleep(60)"
        words = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}], start_new_session=True)"
        launch = Launch(label="forking", command=[sys.executable, "-c", words], path="/")
        with running(launch, cpu=CPU) as server:
            until(lambda: server.last_words() == "up")
            tree = [root := psutil.Process(server.process.pid), *root.children()]
            assert len(tree) == 2
            server.pause()
            until(lambda: [each.status() for each in tree] == [psutil.STATUS_STOPPED] * 2)
            server.resume()
            until(lambda: psutil.STATUS_STOPPED not in [each.status() for each in tree])
        until(lambda: not [each for each in tree if each.is_running() and each.status() != psutil.STATUS_ZOMBIE])

    def test_a_server_runs_in_a_folder_of_its_own(self) -> None:
        """What it leaves behind lands there, not where the person stands."""
        launch = Launch(label="here", command=[sys.executable, "-c", "import os; print(os.getcwd())"], path="/")
        with running(launch, cpu=CPU) as server:
            server.process.wait()
            folder = Path(server.last_words())
            assert folder != Path.cwd()
            assert folder == server.log.parent
        assert not folder.exists()

    def test_the_cpu_time_of_a_server_grows_as_it_works(self, bare: Launch, linear: Subject) -> None:
        with running(bare, cpu=CPU) as server:
            first_right_answer(server, linear)
            before = server.cpu_seconds()
            with line(server, linear, 0) as caller:
                until(lambda: bool(caller.ask()) and server.cpu_seconds() > before)

    def test_a_wrong_answer_is_never_timed(self, bare: Launch, linear: Subject) -> None:
        lied = Subject(path=linear.path, rows=linear.rows, answers=[[7.0], *linear.answers[1:]])
        with running(bare, cpu=CPU) as server:
            first_right_answer(server, linear)
            with pytest.raises(CannotMeasure, match=r"floors/bare.py answered 1 of 3 wrongly: row 0: 200"):
                check(server, lied)

    def test_a_server_that_ends_is_quoted(self, linear: Subject) -> None:
        words = "import sys; sys.exit('no such model')"
        launch = Launch(label="broken", command=[sys.executable, "-c", words, PORT], path="/")
        with (
            running(launch, cpu=CPU) as server,
            pytest.raises(CannotMeasure, match="broken exited with 1: no such model"),
        ):
            first_right_answer(server, linear)


class TestLab:
    """On the real thing: a model is published to a real S3, pulled by a real `scalezero serve`, and measured."""

    def test_a_figure_is_measured_from_end_to_end(self, lab: Lab) -> None:
        got = EVERY["memory"](lab)
        assert got.pairs == 1
        assert 20 < got.floor < 500
        assert 0.5 < got.ratio < 5

    def test_right_is_what_the_model_itself_answers(self, lab: Lab, linear: Subject) -> None:
        assert json.loads(lab.in_process("answers", linear.path, linear.rows)) == linear.answers

    def test_the_models_own_rate_needs_no_server(self, lab: Lab, linear: Subject) -> None:
        assert float(lab.in_process("rate", linear.path, linear.rows, 8, 800)) > 800

    def test_what_a_program_says_when_it_fails_is_told(self, lab: Lab, linear: Subject) -> None:
        with pytest.raises(CannotMeasure, match=r"in_process .* exited with 1"):
            lab.in_process("answers", linear.path.with_name("none.onnx"), linear.rows)

    def test_leaving_the_lab_gives_the_cores_back(self) -> None:
        before = os.sched_getaffinity(0)
        with Lab(guard=Guard(cpus=(CPU,), patience=0), say=lambda _: None, load_cpu=CPU):
            assert os.sched_getaffinity(0) == {CPU}
        assert os.sched_getaffinity(0) == before
