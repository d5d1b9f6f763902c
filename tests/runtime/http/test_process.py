"""The process: one port for HTTP/1.1 and HTTP/2, errors at the start, graceful shutdown."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests import models
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.runtime.frontends.conftest import COMMAND, Served, environment, error_of, sent, serving, until, until_read
from tests.runtime.http.h2_client import calling
from tests.s3_server import S3Server
from tests.waiting import DEADLINE, eventually

PATH = "/api/v1/models/m/predict"
GRACE = f"{10 * DEADLINE:g}s"  # longer than the tests wait for an end that must not wait for it
HELD = """
import pathlib, time
here = pathlib.Path(__file__).parent
def handle(request):
    (here / "called").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
    return "done"
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx")) as served:
        yield served


@pytest.mark.parametrize("http2", [False, True])
def test_both_versions_of_http_are_answered_on_one_port(served: Served, http2: bool) -> None:  # noqa: FBT001 - a parameter of the table
    with served.client(http1=not http2, http2=http2) as client:
        for number in range(5):
            response = client.post(PATH, json={"inputs": [number, 1]})
            assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert response.json()["outputs"] == [2 * number, 2]
        assert client.post(PATH, content=b"{").status_code == 400
        assert client.get("/nothing").status_code == 404
        assert client.post(PATH, content=iter([b'{"inputs":', b"[1,2]}"])).json()["outputs"] == [2, 4]


def test_a_request_without_a_body_reaches_the_function_over_http_2(tmp_path: Path) -> None:
    """On Knative every request arrives over HTTP/2, because the port is named h2c."""
    (tmp_path / "main.py").write_text("def handle(request):\n    return request.method\n")
    model, source = models.doubling(tmp_path / "m.onnx"), str(tmp_path / "main.py")
    with (
        serving(tmp_path, model, FUNCTION_SOURCE=source) as served,
        httpx.Client(base_url=served.url, http1=False, http2=True, timeout=DEADLINE) as client,
    ):
        assert client.get("/").text == "GET"
        assert client.post(PATH).status_code == 400
        assert client.post("/", content=b"x" * 200_000).text == "POST"


@pytest.mark.parametrize("target", ["http://x/healthz/live", "http://x:80/healthz/live?a=b"])
def test_a_target_in_absolute_form_is_accepted(served: Served, target: str) -> None:
    """RFC 9112, 3.2.2: a server must accept the absolute form."""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_signal_ends_a_running_pull(tmp_path: Path, s3: S3Server) -> None:
    s3.make_bucket("slow")
    s3.put("s3://slow/m.onnx", bytes(40 * 2**20))
    begun = Event()
    with FaultyS3(s3.endpoint_url) as slow:
        slow.add(Fault(path="m.onnx", before=begun.set, bytes_per_second=100_000))
        process = subprocess.Popen(
            [COMMAND, "serve", "s3://slow/m.onnx", "--port", "0"],
            env={**environment(tmp_path), **s3.environment(), "AWS_ENDPOINT_URL": slow.endpoint_url},
            stderr=subprocess.DEVNULL,
        )
        assert begun.wait(DEADLINE)
        process.terminate()
        assert process.wait(DEADLINE) == 0


def test_a_connection_is_kept_after_a_response(served: Served) -> None:
    request = b"GET /healthz/live HTTP/1.1\r\nhost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), DEADLINE) as raw:
        for _ in range(3):
            raw.sendall(request)
            answer = b""
            while b'"live"}' not in answer:
                answer += raw.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")


def test_an_early_refusal_of_a_large_body_does_not_affect_the_server(served: Served) -> None:
    with served.client() as client:
        for _ in range(2):
            with suppress(httpx.TransportError):  # the connection can close while the body is being sent
                assert client.post(PATH, content=b" " * (33 * 2**20)).status_code == 413
    assert served.predict([1, 2]).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_requests_are_answered_before_the_process_ends(tmp_path: Path, number: signal.Signals) -> None:
    heavy = models.heavy(tmp_path / "m.onnx", size=1600)
    with serving(tmp_path, heavy, SCALEZERO_BATCH_SIZE="1") as served, ExitStack() as open_:
        asked = [open_.enter_context(sent(served, PATH, b'{"inputs":[%d,0]}' % index)) for index in range(8)]
        until_read(served)
        served.process.send_signal(number)
        assert served.process.wait(DEADLINE) == 0, served.log.read_text()
        for index, each in enumerate(asked):
            status, body = each()
            assert status == 200, body
            assert json.loads(body)["outputs"] == [index, 0]
        with pytest.raises(httpx.ConnectError):
            served.get("/healthz/live")


def test_an_open_call_is_answered_before_the_process_ends(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HELD)
    models.doubling(tmp_path / "m.onnx")
    with (
        serving(tmp_path, tmp_path / "m.onnx", FUNCTION_SOURCE=str(tmp_path / "main.py")) as served,
        ThreadPoolExecutor(1) as callers,
    ):
        asked = callers.submit(served.get, "/")
        eventually((tmp_path / "called").exists)
        served.process.terminate()
        time.sleep(0.2)
        (tmp_path / "go").touch()
        assert asked.result().text == "done"
        assert served.process.wait(DEADLINE) == 0


def test_a_call_longer_than_the_grace_period_does_not_delay_the_end(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HELD)
    model, source = models.doubling(tmp_path / "m.onnx"), str(tmp_path / "main.py")
    with (
        serving(tmp_path, model, FUNCTION_SOURCE=source, SCALEZERO_GRACE_PERIOD="1s") as served,
        ThreadPoolExecutor(1) as callers,
    ):
        asked = callers.submit(served.get, "/")
        eventually((tmp_path / "called").exists)
        served.process.terminate()
        assert served.process.wait(DEADLINE) == 0
        assert asked.exception() or asked.result().status_code >= 500


@pytest.mark.parametrize("after", [0.0, 0.03, 0.1, 0.2, 0.3])
def test_a_signal_ends_the_process_at_any_time_of_the_start(tmp_path: Path, after: float) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    process = subprocess.Popen(
        [COMMAND, "serve", str(model), "--port", "0"], env=environment(tmp_path), stderr=subprocess.PIPE
    )
    time.sleep(0.05 + after)
    process.terminate()
    _, log = process.communicate(timeout=DEADLINE)
    assert process.returncode in (0, -signal.SIGTERM), log.decode()  # SIGTERM: before our first line runs


def test_an_idle_process_ends_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_GRACE_PERIOD=GRACE) as served:
        served.process.terminate()
        assert served.process.wait(DEADLINE) == 0


def test_a_kept_connection_does_not_delay_the_end(tmp_path: Path) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, SCALEZERO_GRACE_PERIOD=GRACE) as served, served.client() as client:
        assert client.get("/healthz/live").status_code == 200
        served.process.terminate()
        assert served.process.wait(DEADLINE) == 0


def test_a_flag_has_priority_over_the_environment(tmp_path: Path) -> None:
    with serving(
        tmp_path, models.doubling(tmp_path / "m.onnx"), "--lazy", PORT="1", SCALEZERO_LOAD="prefetch"
    ) as served:
        assert served.get("/api/v1/models").json()["models"][0]["state"] == "not_loaded"


def ended(tmp_path: Path, *arguments: str | Path, **settings: str) -> int:
    """Run a start that must fail. Return its exit code."""
    done = subprocess.run(
        [COMMAND, "serve", *arguments, "--host", "127.0.0.1", "--port", "0"],
        env=environment(tmp_path, SCALEZERO_LOAD_FAILURE="exit", **settings),
        stderr=subprocess.DEVNULL,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode


def test_a_permanent_load_failure_ends_the_process_with_load_failure_exit(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    assert ended(tmp_path, tmp_path / "m.onnx") == 1


def test_a_failed_import_of_the_function_ends_the_process_with_load_failure_exit(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import nowhere\n")
    model, source = models.doubling(tmp_path / "m.onnx"), str(tmp_path / "main.py")
    assert ended(tmp_path, model, FUNCTION_SOURCE=source) == 1


@pytest.mark.parametrize("failure", ["stay", "exit"])
def test_the_process_retries_while_the_store_is_unreachable(tmp_path: Path, failure: str) -> None:
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    settings = {"SCALEZERO_LOAD_FAILURE": failure, "SCALEZERO_LOAD_TIMEOUT": "200ms"}
    with serving(tmp_path, "s3://away/m.onnx", ready=False, env=away, **settings) as served:
        until(served, "/healthz/ready", status=503)
        time.sleep(1)
        assert error_of(served.predict([1, 2]), 503)["code"] in {"store_unreachable", "store_stalled"}


def test_with_load_failure_stay_the_process_reports_the_error_of_its_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with serving(tmp_path, tmp_path / "m.onnx", ready=False) as served:
        eventually(lambda: served.get("/healthz/ready").json()["models"]["m"]["code"] == "invalid_model")
        assert error_of(served.predict([1, 2]), 503)["code"] == "invalid_model"


def test_requests_waiting_for_a_permanently_failed_model_are_answered_before_the_process_ends(
    tmp_path: Path, s3: S3Server
) -> None:
    s3.make_bucket("invalid")
    s3.put("s3://invalid/m.onnx", b"no model")
    all_wait = Event()

    def hold() -> None:
        all_wait.wait(DEADLINE)

    with FaultyS3(s3.endpoint_url) as slow:
        slow.add(Fault(path="m.onnx", before=hold))
        env = {**s3.environment(), "AWS_ENDPOINT_URL": slow.endpoint_url}
        with (
            serving(tmp_path, "s3://invalid/m.onnx", ready=False, env=env, SCALEZERO_LOAD_FAILURE="exit") as served,
            calling(served.port) as caller,
            ExitStack() as open_,
        ):
            streams = [caller.ask(PATH, b'{"inputs":[1,2]}') for _ in range(4)]
            asked = [open_.enter_context(sent(served, PATH, b'{"inputs":[1,2]}')) for _ in range(4)]
            until_read(served)
            all_wait.set()
            over_2 = [caller.answer(stream) for stream in streams]
            answers = [*(each() for each in asked), *((each.status, each.body) for each in over_2)]
            assert [status for status, _ in answers] == [503] * 8
            assert [json.loads(body)["error"]["code"] for _, body in answers] == ["invalid_model"] * 8
            assert served.process.wait(DEADLINE) == 1


def refused(tmp_path: Path, *arguments: str, **settings: str) -> str:
    """Run a start with an invalid configuration. Return its error, which is one line."""
    done = subprocess.run(
        [COMMAND, "serve", *arguments],
        env={**environment(tmp_path, **settings)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("scalezero: ")
    return line


def test_a_port_in_use_is_a_one_line_error(tmp_path: Path, served: Served) -> None:
    line = refused(tmp_path, "m.onnx", "--host", "127.0.0.1", "--port", str(served.port))
    assert f"PORT='127.0.0.1:{served.port}'" in line
    assert "Address already in use" in line


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["m.onnx"], {"SCALEZERO_BATCH_SIZE": "0"}, "SCALEZERO_BATCH_SIZE='0': expected a whole number from 1 to 4096"),
        (["m.onnx"], {"SCALEZERO_TIMEOUT": "1 h"}, "SCALEZERO_TIMEOUT='1 h': expected a duration"),
        (["m.onnx"], {"SCALEZERO_BATCHSIZE": "8"}, "perhaps SCALEZERO_BATCH_SIZE"),
        (["m.onnx", "--port", "70000"], {}, "PORT='70000': expected a whole number from 0 to 65535"),
        (["m.onnx", "--host", "256.1.1.1", "--port", "0"], {}, "256.1.1.1:0"),
        (["s3://b/m.onnx", "--port", "0"], {"FUNCTION_SOURCE": "none/main.py"}, "FUNCTION_SOURCE='none/main.py'"),
        (["none.onnx", "--port", "0"], {}, "SCALEZERO_MODEL_URI='none.onnx': expected an ONNX file"),
        (["--port", "0"], {}, "SCALEZERO_MODEL_URI: not set; expected a model to serve"),
    ],
)
def test_an_invalid_setting_is_a_one_line_error(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], message: str
) -> None:
    assert message in refused(tmp_path, *arguments, **settings)


def test_an_invalid_manifest_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("kind: ModelVersion\napiVersion: ml.example.com/v1\nspec: {formt: onnx}\n")
    assert "model.yaml" in refused(tmp_path, str(tmp_path))


def test_a_missing_version_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(
        "apiVersion: ml.example.com/v1\nkind: ModelVersion\nmetadata:\n  name: m-v1\nspec:\n  modelName: m\n"
        '  version: "1.0"\n  format: onnx\n  storage:\n    type: file\n    path: m.onnx\n'
    )
    line = refused(tmp_path, str(tmp_path), "--model-version", "2.0")
    assert "m-v1 (1.0)" in line
    assert "'2.0'" in line
