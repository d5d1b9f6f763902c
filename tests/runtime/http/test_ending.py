"""SIGTERM at any time: requests are finished or answered with 503, and the process exits in time with code 0."""

import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests import models
from tests.runtime import independence_models
from tests.runtime.frontends.conftest import Served, sent, serving, until, until_read, until_running
from tests.runtime.http.h2_client import calling
from tests.waiting import DEADLINE, eventually

PATH = "/api/v1/models/m/predict"
FUNCTION = """
import pathlib, time
here = pathlib.Path(__file__).parent
if (here / "slow_import").exists():
    (here / "importing").touch()
    time.sleep(600)
def handle(request):
    (here / "called").touch()
    time.sleep(float(request.args["seconds"]))
    return "done"
"""
Asked = Callable[[], tuple[int | None, bytes]]
BOTH = pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])


def slow_to_open(path: Path) -> Path:
    """Save a model that ONNX Runtime optimizes for seconds: it folds constants when a session opens."""
    size = 3000
    nodes = [helper.make_node("MatMul", ["a" if not each else f"p{each}", "a"], [f"p{each + 1}"]) for each in range(30)]
    nodes.append(helper.make_node("ReduceMax", ["p30"], ["peak"], keepdims=0))
    nodes.append(helper.make_node("Add", ["x", "peak"], ["y"]))
    shape = ("batch", 2)
    inputs, outputs = [models.value("x", models.FLOAT, shape)], [models.value("y", models.FLOAT, shape)]
    return models.save(path, nodes, inputs, outputs, a=np.full((size, size), 1 / size, np.float32))


@contextmanager
def asked_for(served: Served, *, http2: bool = False, body: object = (1, 2), path: str = PATH) -> Iterator[Asked]:
    """Send a request on its own connection. Calling the yielded function waits for its status and body."""
    content = json.dumps({"inputs": body}).encode()
    if http2:
        with calling(served.port) as caller:
            stream = caller.ask(path, content)
            until_read(served)

            def answer() -> tuple[int | None, bytes]:
                answer = caller.answer(stream)
                return answer.status, answer.body

            yield answer
        return
    with sent(served, path, content) as answered:
        until_read(served)
        yield answered


def assert_shutting_down(asked: Asked) -> None:
    status, body = asked()
    assert status == 503, body
    assert json.loads(body)["error"]["code"] == "shutting_down"


def ended(served: Served) -> int:
    """Send SIGTERM, and return the exit code. What the process must not wait for takes longer than this wait."""
    served.process.send_signal(signal.SIGTERM)
    return served.process.wait(DEADLINE)


def refuses(served: Served) -> bool:
    """Whether the port is closed."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", served.port)) != 0


def function(folder: Path) -> dict[str, str]:
    (folder / "main.py").write_text(FUNCTION)
    return {"FUNCTION_SOURCE": str(folder / "main.py")}


@BOTH
def test_shutdown_while_a_session_opens(tmp_path: Path, http2: bool) -> None:  # noqa: FBT001 - a parameter of the table
    path = slow_to_open(tmp_path / "m.onnx")
    with (
        serving(tmp_path, path, ready=False, SCALEZERO_GRACE_PERIOD="1s") as served,
        asked_for(served, http2=http2) as asked,
    ):
        assert served.get("/healthz/ready").status_code == 503
        assert ended(served) == 0
        assert_shutting_down(asked)


def test_shutdown_while_a_function_is_imported(tmp_path: Path) -> None:
    (tmp_path / "slow_import").touch()
    model, settings = models.doubling(tmp_path / "m.onnx"), function(tmp_path)
    with (
        serving(tmp_path, model, ready=False, env=settings, SCALEZERO_GRACE_PERIOD="1s") as served,
        asked_for(served, path="/") as asked,
    ):
        eventually((tmp_path / "importing").exists)
        assert ended(served) == 0
        assert_shutting_down(asked)


@BOTH
def test_shutdown_during_an_endless_run(tmp_path: Path, http2: bool) -> None:  # noqa: FBT001 - as above
    path = independence_models.countdown(tmp_path / "m.onnx")
    with (
        serving(tmp_path, path, SCALEZERO_GRACE_PERIOD="1s") as served,
        asked_for(served, http2=http2, body=[2**62]) as asked,
    ):
        until_running(served)
        assert served.get("/healthz/live").status_code == 200
        assert ended(served) == 0
        assert_shutting_down(asked)


@BOTH
@pytest.mark.parametrize(("seconds", "grace"), [(0.5, 10), (600, 1)])
def test_shutdown_during_a_call_of_the_function(tmp_path: Path, seconds: float, grace: int, http2: bool) -> None:  # noqa: FBT001 - as above
    model, settings = models.doubling(tmp_path / "m.onnx"), function(tmp_path)
    with (
        serving(tmp_path, model, env=settings, SCALEZERO_GRACE_PERIOD=f"{grace}s") as served,
        asked_for(served, path=f"/?seconds={seconds}", http2=http2) as asked,
    ):
        eventually((tmp_path / "called").exists)
        assert ended(served) == 0
        if seconds < grace:
            assert asked() == (200, b"done")
        else:
            assert_shutting_down(asked)


def test_a_call_that_ends_within_a_short_grace_period_is_answered(tmp_path: Path) -> None:
    model, settings = models.doubling(tmp_path / "m.onnx"), function(tmp_path)
    with (
        serving(tmp_path, model, env=settings, SCALEZERO_GRACE_PERIOD="4s") as served,
        asked_for(served, path="/?seconds=0.3") as asked,
    ):
        eventually((tmp_path / "called").exists)
        assert ended(served) == 0
        assert asked() == (200, b"done")


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    model, settings = models.doubling(tmp_path / "m.onnx"), function(tmp_path)
    with serving(tmp_path, model, env=settings) as served, asked_for(served, path="/?seconds=600") as asked:
        eventually((tmp_path / "called").exists)
        served.process.send_signal(signal.SIGTERM)
        eventually(lambda: refuses(served))
        assert served.process.poll() is None
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(DEADLINE) == -signal.SIGTERM
        with pytest.raises(ConnectionError):
            asked()


@pytest.mark.parametrize("lazy", [False, True])
def test_shutdown_before_the_first_request(tmp_path: Path, lazy: bool) -> None:  # noqa: FBT001 - as above
    options = ["--lazy"] if lazy else []
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), *options) as served:
        until(served, "/healthz/live")
        assert ended(served) == 0
