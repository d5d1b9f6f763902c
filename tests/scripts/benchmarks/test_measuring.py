"""Tests of measuring: how subjects are checked, servers run and figures measured. A wrong answer is never timed."""

import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from scripts.benchmarks import launches
from scripts.benchmarks.cli import main, peers, protocols
from scripts.benchmarks.client import check_answers, content_length, keep_alive, wait_for_first_answer
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.every import EVERY, PROTOCOLS
from scripts.benchmarks.noise import Guard
from scripts.benchmarks.servers import PORT, Launch, clean_environment, processes_mapping, running
from scripts.benchmarks.subjects import Subject, close, flat
from tests.waiting import eventually

CPU = min(os.sched_getaffinity(0))


class TestSubjects:
    @pytest.mark.parametrize("outputs", [0.5, [0.5], [[0.5]], {"fraud_score": [[0.5]]}])
    def test_the_numbers_of_an_answer_are_read_in_any_shape(self, outputs: object) -> None:
        assert flat(outputs) == [0.5]

    @pytest.mark.parametrize(
        "text", [b"", b"[]", b'{"outputs": [0.6]}', b'{"outputs": []}', b'{"outputs": ["0.5"]}', b'{"error": {}}']
    )
    def test_an_answer_other_than_the_models_is_wrong(self, text: bytes, linear: Subject) -> None:
        correct = json.dumps({"outputs": list(linear.answers[0])}).encode()
        assert linear.accepts(0, correct)
        assert not linear.accepts(0, text)

    def test_only_differences_of_float32_rounding_are_accepted(self) -> None:
        assert close([1.00001, 1e-7], [1.0, 0.0], within=1e-6)
        assert not close([1.001, 0.0], [1.0, 0.0], within=1e-6)
        assert not close([1.0], [1.0, 0.0], within=1e-6)

    def test_the_tolerance_depends_on_the_models_largest_output(self, linear: Subject) -> None:
        """A batch may compute a score near 0 as 1 minus another one, with the rounding error of 1."""
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
        ("name", "message"),
        [
            ("raw_c1", "taskset and wrk not found; on Debian: apt-get install util-linux wrk"),
            ("throughput_c1", "taskset and wrk not found; on Debian: apt-get install util-linux wrk"),
            ("h2_c32", "taskset and h2load not found; on Debian: apt-get install util-linux nghttp2-client"),
            ("grpc_v2", "taskset and h2load not found; on Debian: apt-get install util-linux nghttp2-client"),
            ("live_under_attack", "taskset and prlimit not found; on Debian: apt-get install util-linux"),
            ("memory", "taskset not found; on Debian: apt-get install util-linux"),
        ],
    )
    def test_the_error_for_a_missing_tool_has_the_command_that_installs_it(
        self, name: str, message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "")
        result = CliRunner().invoke(protocols if name in PROTOCOLS else main, [name])
        assert result.exit_code == 1
        assert result.output.strip().endswith(message)

    def test_the_error_for_an_unknown_figure_lists_the_known_ones(self) -> None:
        result = CliRunner().invoke(main, ["cold_stat"])
        assert result.exit_code == 2
        assert "cold_start" in result.output

    def test_the_error_for_an_unknown_peer_lists_the_known_ones(self) -> None:
        result = CliRunner().invoke(peers, ["--peer", "mosek"])
        assert result.exit_code == 2
        assert "mosec" in result.output

    def test_server_and_load_need_different_cores(self) -> None:
        cpu = str(min(os.sched_getaffinity(0)))
        result = CliRunner().invoke(main, ["memory", "--server-cpu", cpu, "--load-cpu", cpu])
        assert result.exit_code == 1
        assert "expected two different ones of" in result.output


def test_the_users_settings_do_not_reach_a_measured_server() -> None:
    shell = {"PATH": "/bin", "SCALEZERO_BATCH_SIZE": "1", "AWS_PROFILE": "mine", "PORT": "1", "K_REVISION": "r"}
    assert clean_environment(shell) == {"PATH": "/bin"}
    names = [
        "MLSERVER_DEBUG",
        "KSERVE_LOGLEVEL",
        "PYTRITON_HOME",
        "TS_CONFIG_FILE",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
    ]
    assert clean_environment({**dict.fromkeys(names, "mine"), "PYTHONPATH": "mine", "PYTHONUTF8": "1"}) == {
        "PYTHONUTF8": "1"
    }


def test_a_server_writes_bytecode_even_if_the_users_shell_disables_it() -> None:
    """Otherwise every cold start would compile the modules, which are compiled in a pod's image."""
    assert clean_environment({"PYTHONDONTWRITEBYTECODE": "1"}) == {}


class TestServers:
    """Tests with real processes: the bare floor serves a small model."""

    @pytest.fixture
    def bare(self, linear: Subject) -> Launch:
        return launches.bare(linear)

    def test_a_server_is_pinned_measured_and_stopped_afterwards(self, bare: Launch, linear: Subject) -> None:
        with running(bare, cpu=CPU) as server:
            seconds = wait_for_first_answer(server, linear)
            check_answers(server, linear)
            process = psutil.Process(server.process.pid)
            assert process.cpu_affinity() == [CPU]
            assert 0.01 < seconds < 60
            assert 20e6 < server.memory() < 1e9
            assert server.peak_memory() >= server.memory()
            with keep_alive(server, linear, 1) as caller:
                assert all(linear.accepts(1, caller.send()) for _ in range(20))
        assert not psutil.pid_exists(server.process.pid)

    def test_processes_that_map_a_servers_libraries_are_found(self, bare: Launch, linear: Subject) -> None:
        with running(bare, cpu=CPU) as server:
            wait_for_first_answer(server, linear)
            assert server.process.pid in processes_mapping("onnxruntime", launches.ROOT)
            assert server.process.pid not in processes_mapping("onnxruntime", launches.ROOT / "nowhere")
        assert server.process.pid not in processes_mapping("onnxruntime", launches.ROOT)

    def test_a_paused_server_does_not_answer_until_it_is_resumed(self, bare: Launch, linear: Subject) -> None:
        with running(bare, cpu=CPU) as server:
            wait_for_first_answer(server, linear)
            server.pause()
            with socket.create_connection(("127.0.0.1", server.port)) as caller:
                caller.settimeout(0.3)
                caller.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                with pytest.raises(TimeoutError):
                    caller.recv(1)
            server.resume()
            check_answers(server, linear)

    def test_a_worker_in_its_own_process_group_is_paused_and_stopped_too(self) -> None:
        worker = "import time; print('up', flush=True); time.sleep(60)"
        program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}], start_new_session=True)"
        launch = Launch(label="forking", command=[sys.executable, "-c", program], path="/")
        with running(launch, cpu=CPU) as server:
            eventually(lambda: server.log_tail() == "up")
            tree = [root := psutil.Process(server.process.pid), *root.children()]
            assert len(tree) == 2
            server.pause()
            eventually(lambda: [each.status() for each in tree] == [psutil.STATUS_STOPPED] * 2)
            server.resume()
            eventually(lambda: psutil.STATUS_STOPPED not in [each.status() for each in tree])
        eventually(lambda: not [each for each in tree if each.is_running() and each.status() != psutil.STATUS_ZOMBIE])

    def test_a_server_runs_in_its_own_working_folder(self) -> None:
        """Its files are written there and not to the current folder of the user."""
        launch = Launch(label="here", command=[sys.executable, "-c", "import os; print(os.getcwd())"], path="/")
        with running(launch, cpu=CPU) as server:
            server.process.wait()
            folder = Path(server.log_tail())
            assert folder != Path.cwd()
            assert folder == server.log.parent
        assert not folder.exists()

    def test_the_cpu_time_of_a_server_increases_with_its_work(self, bare: Launch, linear: Subject) -> None:
        with running(bare, cpu=CPU) as server:
            wait_for_first_answer(server, linear)
            before = server.cpu_seconds()
            with keep_alive(server, linear, 0) as caller:
                eventually(lambda: bool(caller.send()) and server.cpu_seconds() > before)

    def test_a_wrong_answer_is_never_timed(self, bare: Launch, linear: Subject) -> None:
        wrong = Subject(path=linear.path, rows=linear.rows, answers=[[7.0], *linear.answers[1:]])
        with running(bare, cpu=CPU) as server:
            wait_for_first_answer(server, linear)
            with pytest.raises(CannotMeasure, match=r"floors/bare.py answered 1 of 3 wrongly: row 0: 200"):
                check_answers(server, wrong)

    def test_the_error_for_a_server_that_exits_has_the_end_of_its_log(self, linear: Subject) -> None:
        program = "import sys; sys.exit('no such model')"
        launch = Launch(label="broken", command=[sys.executable, "-c", program, PORT], path="/")
        with (
            running(launch, cpu=CPU) as server,
            pytest.raises(CannotMeasure, match="broken exited with 1: no such model"),
        ):
            wait_for_first_answer(server, linear)


class TestLab:
    """Tests with a real S3 and a real `scalezero serve`, which pulls a published model."""

    def test_a_figure_is_measured_end_to_end(self, lab: Lab) -> None:
        got = EVERY["memory"](lab)
        assert got.pairs == 1
        assert 20 < got.floor < 500
        assert 0.5 < got.ratio < 5

    def test_the_expected_answers_are_those_of_the_model(self, lab: Lab, linear: Subject) -> None:
        assert json.loads(lab.in_process("answers", linear.path, linear.rows)) == linear.answers

    def test_the_models_own_rate_is_measured_without_a_server(self, lab: Lab, linear: Subject) -> None:
        assert float(lab.in_process("rate", linear.path, linear.rows, 8, 800)) > 800

    def test_a_program_that_fails_is_an_error_with_its_exit_code(self, lab: Lab, linear: Subject) -> None:
        with pytest.raises(CannotMeasure, match=r"in_process .* exited with 1"):
            lab.in_process("answers", linear.path.with_name("none.onnx"), linear.rows)

    def test_the_end_of_a_run_restores_the_cpu_affinity(self) -> None:
        before = os.sched_getaffinity(0)
        with Lab(guard=Guard(cpus=(CPU,), wait_budget=0), log=lambda _: None, load_cpu=CPU):
            assert os.sched_getaffinity(0) == {CPU}
        assert os.sched_getaffinity(0) == before
