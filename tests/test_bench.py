"""The benchmark's own rules: what a ratio is, what counts as noise, and that a wrong answer is never timed."""

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import psutil
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from scripts.benchmarks import launches, load, noise, report
from scripts.benchmarks.cli import main
from scripts.benchmarks.client import check, content_length, first_right_answer, line
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import TARGETS, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.every import EVERY
from scripts.benchmarks.noise import Disturbance, Guard, Usage, disturbance
from scripts.benchmarks.servers import PORT, Launch, neutral, running
from scripts.benchmarks.subjects import Subject, close, flat
from scripts.benchmarks.transformer import flops_per_row

RATES = st.floats(min_value=1e-3, max_value=1e6)
PAIRS = st.lists(st.builds(Pair, ours=RATES, floor=RATES), min_size=1, max_size=9)


class TestFigures:
    def test_the_ratio_is_the_median_of_the_pairs_ratios(self) -> None:
        """A moment that slows both halves of a pair changes the medians, and must not change the ratio."""
        pairs = [Pair(ours=90, floor=100), Pair(ours=9, floor=10), Pair(ours=80, floor=100)]
        assert figure("throughput_c1", pairs).ratio == pytest.approx(0.9)
        assert figure("throughput_c1", pairs).ours == 80

    @given(pairs=PAIRS)
    def test_the_ratio_lies_among_the_pairs_ratios(self, pairs: list[Pair]) -> None:
        ratios = [pair.ratio for pair in pairs]
        got = figure("memory", pairs).ratio
        assert min(ratios) <= got or got == pytest.approx(min(ratios))
        assert got <= max(ratios) or got == pytest.approx(max(ratios))

    @given(pairs=PAIRS, slower=st.floats(min_value=0.1, max_value=10))
    def test_a_slower_machine_gives_the_same_ratio(self, pairs: list[Pair], slower: float) -> None:
        there = [Pair(ours=pair.ours * slower, floor=pair.floor * slower) for pair in pairs]
        assert figure("cold_start", there).ratio == pytest.approx(figure("cold_start", pairs).ratio)

    def test_no_pair_is_no_figure(self) -> None:
        with pytest.raises(ValueError, match="memory: no pair was measured"):
            figure("memory", [])

    @pytest.mark.parametrize(
        ("name", "kept", "missed"),
        [("cold_start", 1.3, 1.31), ("throughput_c8", 0.7, 0.69), ("heavy_model", 0.95, 0.94), ("memory", 1.25, 1.26)],
    )
    def test_a_target_is_kept_at_its_bound_and_on_the_better_side(self, name: str, kept: float, missed: float) -> None:
        assert TARGETS[name].met(kept)
        assert not TARGETS[name].met(missed)

    @pytest.mark.parametrize(("live", "met"), [(20.0, True), (20.1, False)])
    def test_the_heavy_model_also_owes_a_quick_liveness_answer(self, live: float, *, met: bool) -> None:
        assert figure("heavy_model", [Pair(ours=1, floor=1)], {"live_max_ms": live}).met is met

    def test_every_measure_has_a_target_and_every_target_a_measure(self) -> None:
        assert list(EVERY) == list(TARGETS)

    def test_the_heavy_model_costs_what_resnet_50_costs(self) -> None:
        """8.2 GFLOP for one image of 224 x 224."""
        assert flops_per_row() == pytest.approx(8.2e9, rel=0.02)


class TestReport:
    figures = (
        figure("cold_start", [Pair(ours=200, floor=160)]),
        figure("throughput_c1", [Pair(ours=6000, floor=10000, disturbed=True)], {"steal": 0.25}),
    )

    def test_json_has_ours_floor_ratio_and_unit_of_each_name(self) -> None:
        written = json.loads(json.dumps(report.document(self.figures)))
        assert list(written) == ["cold_start", "throughput_c1"]
        expected = {"ours": 200, "floor": 160, "ratio": 1.25, "unit": "ms", "target": "<= 1.30", "met": True}
        assert written["cold_start"].items() >= expected.items()
        assert written["throughput_c1"].items() >= {"met": False, "disturbed": 1, "steal": 0.25}.items()

    def test_the_table_shows_a_missed_target_and_the_noise(self) -> None:
        kept, missed = report.table(self.figures).splitlines()[2:]
        assert [cell.strip() for cell in kept.split("|")[1:8]] == [
            "cold_start",
            "200",
            "160",
            "ms",
            "1.25",
            "<= 1.30",
            "yes",
        ]
        assert "NO" in missed
        assert "1 of 1 pairs disturbed" in missed

    def test_the_processor_is_named_where_linux_names_it(self) -> None:
        assert report.cpu_model("processor\t: 0\nmodel name\t: Fast One\nmodel name\t: Fast One\n") == "Fast One"
        assert report.cpu_model("processor\t: 0\n") == os.uname().machine


class TestLoad:
    def test_wrks_line_is_found_among_its_other_words(self) -> None:
        printed = (
            'Running 2s test\nRESULT {"requests": 30, "microseconds": 1500000, "bad_status": 0, "socket_errors": 0}\n'
        )
        assert load.parse(printed).rate == pytest.approx(20)

    def test_no_line_is_a_fault_that_shows_what_wrk_said(self) -> None:
        with pytest.raises(CannotMeasure, match="unable to connect"):
            load.parse("unable to connect to 127.0.0.1:1\n")

    @pytest.mark.parametrize("faults", [{"bad_status": 1}, {"socket_errors": 1}, {"requests": 0}])
    def test_a_rate_counts_only_where_all_were_answered(self, faults: dict[str, int]) -> None:
        counted = {"requests": 10, "microseconds": 10, "bad_status": 0, "socket_errors": 0, **faults}
        with pytest.raises(CannotMeasure):
            _ = load.Load(**counted).rate


def usage(at: float, *, everybody: float = 0, us: float = 0, steal: float = 0) -> Usage:
    return Usage(at=at, everybody=everybody, us=us, steal=steal)


class TestNoise:
    def test_foreign_is_what_neither_we_nor_our_children_used(self) -> None:
        got = disturbance(usage(10, everybody=5, us=3), usage(12, everybody=9, us=6, steal=1))
        assert got == Disturbance(foreign=0.5, steal=0.5)
        assert got.disturbed

    def test_our_own_work_disturbs_nothing(self) -> None:
        assert not disturbance(usage(0), usage(1, everybody=2, us=2)).disturbed

    def test_a_disturbed_measurement_is_made_again_and_the_least_disturbed_kept(self) -> None:
        readings = iter([usage(0), usage(1, steal=0.9), usage(2), usage(3, steal=0.2), usage(4), usage(5, steal=0.5)])
        results = iter(["worst", "best", "middle"])
        got, noise_of_it = self.guard(lambda: next(readings)).calmly(lambda: next(results))
        assert got == "best"
        assert noise_of_it.steal == pytest.approx(0.2)

    def test_a_quiet_measurement_is_made_once(self) -> None:
        calls: list[int] = []
        self.guard(lambda: usage(len(calls))).calmly(lambda: calls.append(1))
        assert calls == [1]

    def test_it_waits_for_a_busy_core_only_as_long_as_patience_lasts(self) -> None:
        slept: list[float] = []
        guard = Guard(cpus=(0, 1), patience=3, share=lambda cpu: 0.5 if cpu else 1.0, sleep=slept.append)
        guard.wait_for_quiet()
        assert slept == [1, 1, 1]

    def test_a_busy_loop_is_pinned_only_while_it_runs(self) -> None:
        before = os.sched_getaffinity(0)
        assert 0 < noise.share_of(min(before)) <= 1.01
        assert os.sched_getaffinity(0) == before

    @staticmethod
    def guard(read: Callable[[], Usage]) -> Guard:
        return Guard(cpus=(0,), patience=60, share=lambda _: 1.0, read=read)


def test_ours_and_the_floor_take_turns_in_going_first() -> None:
    order: list[str] = []

    def note(name: str, value: float) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return value

        return measure

    guard = Guard(cpus=(0,), patience=0, share=lambda _: 1.0)
    pairs = in_turns(guard, 3, ours=note("ours", 3), floor=note("floor", 4))
    assert order == ["ours", "floor", "floor", "ours", "ours", "floor"]
    assert [pair.ratio for pair in pairs] == [0.75] * 3


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
        assert close([1.00001, 1e-7], [1.0, 0.0])
        assert not close([1.001, 0.0], [1.0, 0.0])
        assert not close([1.0], [1.0, 0.0])


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 12", b"HTTP/1.1 200 OK\r\ncontent-length:12\r\na: b"]
)
def test_a_responses_length_is_read_from_its_head(head: bytes) -> None:
    assert content_length(head) == 12
    with pytest.raises(CannotMeasure):
        content_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked")


class TestCommand:
    def test_a_missing_tool_is_named_with_what_installs_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        result = CliRunner().invoke(main, ["throughput_c1"])
        assert result.exit_code == 1
        assert "taskset and wrk not found; on Debian: apt-get install util-linux wrk" in result.output

    def test_an_unknown_name_is_answered_with_the_known_ones(self) -> None:
        result = CliRunner().invoke(main, ["cold_stat"])
        assert result.exit_code == 2
        assert "cold_start" in result.output

    def test_one_core_cannot_do_both_jobs(self) -> None:
        cpu = str(min(os.sched_getaffinity(0)))
        result = CliRunner().invoke(main, ["memory", "--server-cpu", cpu, "--load-cpu", cpu])
        assert result.exit_code == 1
        assert "expected two different ones of" in result.output


def test_the_persons_settings_do_not_reach_a_server_that_is_measured() -> None:
    shell = {"PATH": "/bin", "SCALEZERO_BATCH_SIZE": "1", "AWS_PROFILE": "mine", "PORT": "1", "K_REVISION": "r"}
    assert neutral(shell) == {"PATH": "/bin"}


CPU = min(os.sched_getaffinity(0))


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
            with line(server, linear, 1) as caller:
                assert all(linear.accepts(1, caller.ask()) for _ in range(20))
        assert not psutil.pid_exists(server.process.pid)

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

    @pytest.fixture
    def lab(self, linear: Subject) -> Iterator[Lab]:
        guard = Guard(cpus=(CPU,), patience=0)
        with Lab(guard=guard, say=lambda _: None, server_cpu=CPU, load_cpu=CPU, rounds=1) as lab:
            lab.payment = linear
            yield lab

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


@pytest.fixture
def linear(tmp_path: Path) -> Subject:
    """float32 [batch, 3] -> [batch, 1]: x0 + 2 x1 + 3 x2."""
    import numpy as np

    weights = numpy_helper.from_array(np.array([[1], [2], [3]], np.float32), "weights")
    node = helper.make_node("MatMul", ["features", "weights"], ["score"])
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])]
    graph = helper.make_graph([node], "linear", inputs, outputs, [weights])
    path = tmp_path / "linear.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return Subject(path=path, rows=[[1, 0, 0], [0, 1, 0], [1, 1, 1]], answers=[[1.0], [2.0], [6.0]])
