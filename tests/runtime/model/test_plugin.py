"""Tests of the options of a session on a plugin provider, and of what is not opened on it."""

import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from runtime.errors import InvalidModel, RunTimeout
from runtime.model import plugin
from runtime.model.session import Session
from runtime.variants.names import OPENVINO_PROVIDER
from tests import models


def opened(path: Path, provider: str, *, threads: int = 1) -> Session:
    return Session(path, uri="s3://models/m.onnx", name="m", threads=threads, provider=provider)


def test_openvino_runs_on_the_stated_threads_in_one_stream_and_does_not_pin_them() -> None:
    options = json.loads(plugin.provider_options(OPENVINO_PROVIDER, 3)["load_config"])
    assert options == {
        "CPU": {
            "INFERENCE_NUM_THREADS": "3",
            "NUM_STREAMS": "1",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": "NO",
        }
    }


def test_another_provider_has_no_options() -> None:
    assert plugin.provider_options("QNNExecutionProvider", 3) == {}


def test_a_model_with_strings_is_not_opened_on_openvino(tmp_path: Path, openvino: str) -> None:
    path = models.identity(tmp_path / "m.onnx", element=models.STRING)
    with pytest.raises(InvalidModel, match=r"m\.onnx: it computes with strings, which OpenVINO\w+ does not support"):
        opened(path, openvino)


def test_a_missing_file_is_an_invalid_model_on_openvino(tmp_path: Path, openvino: str) -> None:
    with pytest.raises(InvalidModel, match="File doesn't exist"):
        opened(tmp_path / "missing.onnx", openvino)


def test_a_model_that_openvino_cannot_convert_is_an_invalid_model(tmp_path: Path, openvino: str) -> None:
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = models.value("x", models.FLOAT, None), models.value("y", models.FLOAT, None)
    path = models.save(tmp_path / "m.onnx", [product], [ends[0]], [ends[1]], w=np.ones((2, 2), np.float32))
    with pytest.raises(InvalidModel, match="Model wasn't fully converted"):
        opened(path, openvino)


def test_nodes_that_openvino_does_not_take_run_on_the_cpu_provider(tmp_path: Path, openvino: str) -> None:
    path = models.with_sequence(tmp_path / "m.onnx")
    assert opened(path, openvino).run([np.array([[1, 2]], np.float32)])[0].tolist() == [[2, 4, 1, 2]]


def cpu_ticks() -> dict[str, int]:
    """Return the CPU time of each thread of this process, in ticks."""
    ticks = {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        ticks[task.name] = int(fields[11]) + int(fields[12])
    return ticks


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_uses_no_more_threads_than_stated_and_pins_none(tmp_path: Path, openvino: str, threads: int) -> None:
    session = opened(models.heavy(tmp_path / "m.onnx"), openvino, threads=threads)
    before = cpu_ticks()
    for _ in range(3):
        session.run(session._example())
    busy = [task for task, ticks in cpu_ticks().items() if ticks - before.get(task, 0) > 2]
    assert len(busy) <= threads
    allowed = os.sched_getaffinity(0)
    assert all(os.sched_getaffinity(int(task.name)) == allowed for task in Path("/proc/self/task").iterdir())


def test_runs_from_several_threads_get_their_own_answers(tmp_path: Path, openvino: str) -> None:
    session = opened(models.doubling(tmp_path / "m.onnx"), openvino)
    sent = [np.full((rows, 2), rows, np.float32) for rows in range(1, 9)]
    got: list[np.ndarray] = [np.empty(0)] * len(sent)

    def run(index: int) -> None:
        for _ in range(20):
            (got[index],) = session.run([sent[index]])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(sent))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tensor, answer in zip(sent, got, strict=True):
        np.testing.assert_array_equal(answer, 2 * tensor)


def test_a_run_that_is_stopped_before_it_starts_raises_the_reason(tmp_path: Path, openvino: str) -> None:
    run = opened(models.doubling(tmp_path / "m.onnx"), openvino).stoppable()
    run.stop(RunTimeout("m", 1))
    with pytest.raises(RunTimeout):
        run([np.ones((1, 2), np.float32)])


def test_a_run_that_is_stopped_in_a_compiled_graph_returns_its_answer(tmp_path: Path, openvino: str) -> None:
    session = opened(models.heavy(tmp_path / "m.onnx"), openvino)
    session.warm_up()
    began = time.perf_counter()
    session.run(session._example())
    quarter = (time.perf_counter() - began) / 4
    for _ in range(20):
        run = session.stoppable()
        timer = threading.Timer(quarter, run.stop, [RunTimeout("m", quarter)])
        timer.start()
        (answer,) = run(session._example())
        if not timer.is_alive():  # it was stopped before it returned
            break
        timer.cancel()
    else:
        pytest.fail("no run was stopped before it returned")
    np.testing.assert_array_equal(answer, session.run(session._example())[0])
