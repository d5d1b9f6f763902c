"""`scalezero serve FOLDER` answers HTTP through the guest in main.wasm, beside the model's protocols."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests import guests, models
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.runtime.frontends.conftest import COMMAND, Served, environment, error_of, free_port, serving, until
from tests.runtime.wasi_nn.building import SOURCES, assemblyscript_guest, c_guest
from tests.s3_server import S3Server
from tests.waiting import DEADLINE, eventually

MODEL = """
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {name: m-1}
spec: {modelName: m, version: "1", format: onnx, storage: {type: file, path: m.onnx}}
"""


@contextmanager
def served(folder: Path, text: str, limits: Mapping[str, str] | None = None) -> Iterator[Served]:
    guests.write(folder / "main.wasm", text)
    with serving(folder, folder, env=limits) as running:
        yield running


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("echo")
    models.doubling(folder / "m.onnx")
    (folder / "model.yaml").write_text(MODEL)
    with served(folder, guests.ECHO) as running:
        yield running


def post(running: Served, body: bytes = b"hello", path: str = "/any/path") -> httpx.Response:
    with running.client() as client:
        return client.post(path, content=body)


def test_a_guest_answers_every_path_that_no_protocol_owns(echo: Served) -> None:
    answer = post(echo)
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == "5"
    assert answer.headers["x-model-version"] == "1"


def test_head_gets_the_length_of_the_answer_to_get(tmp_path: Path) -> None:
    with served(tmp_path, guests.saying(f"{guests.HEAD}hello")) as running, running.client() as client:
        answers = [client.request(method, "/") for method in ("HEAD", "GET")]
    assert [each.content for each in answers] == [b"", b"hello"]
    assert [each.headers["content-length"] for each in answers] == ["5", "5"]


def test_the_model_answers_beside_the_guest(echo: Served) -> None:
    assert echo.predict([[1.0, 2.0]]).status_code == 200


def test_a_large_body_passes(echo: Served) -> None:
    body = bytes(range(256)) * 4096
    assert post(echo, body).content == body


def test_requests_are_answered_side_by_side(echo: Served) -> None:
    with echo.client() as client, ThreadPoolExecutor(16) as threads:
        bodies = [str(number).encode() for number in range(128)]
        answers = list(threads.map(lambda body: client.post("/", content=body).content, bodies))
    assert answers == bodies


def test_a_published_guest_is_pulled_from_the_place_in_the_resources(tmp_path: Path, s3: S3Server) -> None:
    models.doubling(tmp_path / "m.onnx")
    s3.put("s3://served/main.wasm", guests.binary(guests.ECHO))
    config = "kind: InferenceConfig\nmetadata: {name: m-config}\nspec: {guest: {path: s3://served/main.wasm}}\n"
    (tmp_path / "model.yaml").write_text(f"{MODEL}---\napiVersion: ml.example.com/v1\n{config}")
    with serving(tmp_path, tmp_path, env=s3.environment()) as running:
        assert post(running).content == b"hello"


def test_a_guest_that_is_not_published_yet_is_pulled_later(tmp_path: Path, s3: S3Server) -> None:
    """Requests and the readiness probe get the reason until then, as for a model."""
    s3.make_bucket("later")
    settings = s3.environment() | {"SCALEZERO_GUEST_URI": "s3://later/main.wasm"}
    with serving(tmp_path, ready=False, env=settings) as running:
        assert error_of(post(running), 503)["code"] == "artifact_missing"
        unready = running.get("/healthz/ready")
        assert (unready.status_code, unready.json()["function"]["code"]) == (503, "artifact_missing")
        s3.put("s3://later/main.wasm", guests.binary(guests.ECHO))
        until(running, "/healthz/ready")  # without a request
        assert post(running).content == b"hello"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(status=503, code="SlowDown"), "store_unreachable"),
        (Fault(status=403, code="AccessDenied"), "access_denied"),
    ],
    ids=["unreachable", "denied"],
)
def test_a_request_pulls_a_guest_that_could_not_be_pulled_before(
    tmp_path: Path, s3: S3Server, fault: Fault, code: str
) -> None:
    s3.put("s3://retried/main.wasm", guests.binary(guests.ECHO))
    with FaultyS3(s3.endpoint_url) as store:
        store.add(fault)
        settings = {"AWS_ENDPOINT_URL": store.endpoint_url, "SCALEZERO_GUEST_URI": "s3://retried/main.wasm"}
        with serving(tmp_path, ready=False, env=s3.environment() | settings) as running:
            assert error_of(post(running), 503)["code"] == code
            store.heal()
            eventually(lambda: post(running).content == b"hello")
            assert running.get("/healthz/ready").status_code == 200


def test_a_published_file_that_is_no_guest_is_not_pulled_again(tmp_path: Path, s3: S3Server) -> None:
    s3.put("s3://wrong/main.wasm", guests.binary("(module)"))
    with serving(
        tmp_path, ready=False, env=s3.environment() | {"SCALEZERO_GUEST_URI": "s3://wrong/main.wasm"}
    ) as running:
        assert error_of(post(running), 503)["code"] == "function_failed"
        s3.put("s3://wrong/main.wasm", guests.binary(guests.ECHO))
        assert error_of(post(running), 503)["code"] == "function_failed"
        assert running.log.read_text().count("function not loaded") == 1


def test_a_guest_that_is_not_published_ends_a_process_that_should_end_then(tmp_path: Path, s3: S3Server) -> None:
    s3.make_bucket("never")
    settings = s3.environment() | {"SCALEZERO_GUEST_URI": "s3://never/main.wasm", "SCALEZERO_LOAD_FAILURE": "exit"}
    done = subprocess.run(
        [COMMAND, "serve", "--host", "127.0.0.1", "--port", str(free_port())],
        env=environment(tmp_path) | settings,
        capture_output=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 1
    assert b"artifact_missing" in done.stdout + done.stderr


CONFIG = """
---
apiVersion: ml.example.com/v1
kind: InferenceConfig
metadata: {name: m-config}
spec: {guest: {path: s3://served/files.wasm, network: true, folders: [{path: FOLDER, guestPath: /d}]}}
"""


@contextmanager
def with_folder(top: Path, shared: Path, *, ready: bool = True) -> Iterator[Served]:
    """Serve the guest `files`, whose resources declare a folder."""
    folder = top / "function"
    folder.mkdir()
    models.doubling(folder / "m.onnx")
    (folder / "model.yaml").write_text(MODEL + CONFIG.replace("FOLDER", str(shared)))
    shutil.copy(c_guest(SOURCES / "c" / "files.c"), folder / "main.wasm")
    with serving(top, folder, ready=ready) as running:
        yield running


def test_a_guest_reads_the_folders_that_its_resources_declare(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "labels").write_text("cat,dog")
    with with_folder(tmp_path, shared) as running:
        assert post(running, path="/?read&/d/labels").text == "0 cat,dog"
        assert post(running, path="/?overwrite&/d/labels").text == "63 "
        assert "a core module, which can use no network" in running.log.read_text()
    assert (shared / "labels").read_text() == "cat,dog"


def test_without_a_declaration_a_guest_has_no_files(tmp_path: Path) -> None:
    shutil.copy(c_guest(SOURCES / "c" / "files.c"), tmp_path / "main.wasm")
    with serving(tmp_path, tmp_path) as running:
        assert post(running, path="/?read&/d/labels").text == "76 "


def test_a_folder_that_does_not_exist_keeps_the_process_unready(tmp_path: Path) -> None:
    with with_folder(tmp_path, tmp_path / "missing", ready=False) as running:
        error = error_of(post(running), 503)
        assert error["code"] == "function_failed"
        assert (
            "its folder /d cannot be opened (No such file or directory); expected a folder of the" in error["message"]
        )


def test_a_link_to_the_cache_is_no_folder_of_a_guest(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "link").symlink_to("cache")
    with with_folder(tmp_path, tmp_path / "link", ready=False) as running:
        assert "its folder /d contains the cache or a system folder" in error_of(post(running), 503)["message"]


def test_a_component_answers(tmp_path: Path) -> None:
    with served(tmp_path, guests.COMPONENT_ECHO) as running:
        assert post(running).content == b"hello"


@pytest.mark.timeout(900)  # the guest is built when it is first used
def test_a_guest_in_assemblyscript_answers(tmp_path: Path) -> None:
    shutil.copy(assemblyscript_guest("request", shim=True), tmp_path / "main.wasm")
    with serving(tmp_path, tmp_path) as running:
        answer = post(running, path="/?a=1&b")
    assert (answer.status_code, answer.headers["content-type"]) == (201, "text/plain")
    assert answer.text == "POST a=1,b\nolleh"


def test_a_guest_sees_the_request(tmp_path: Path) -> None:
    with served(tmp_path, guests.ENVIRONMENT) as running, running.client() as client:
        seen = client.get("/a%20b", params={"x": "1"}, headers={"x-me": "you"}).text.split("\0")
    assert {"PATH_INFO=/a b", "QUERY_STRING=x=1", "HTTP_X_ME=you", "REQUEST_METHOD=GET"} <= set(seen)
    assert seen[-3:] == ["main.wasm", "x=1", ""]


@pytest.mark.parametrize(
    ("text", "status", "code", "message"),
    [
        (guests.LOOP, 504, "function_timed_out", "of the"),
        (guests.TRAP, 500, "function_crashed", "the guest stopped: wasm `unreachable` instruction executed"),
        (guests.HUNGRY, 500, "function_crashed", "the limit that SCALEZERO_GUEST_MEMORY sets"),
        (guests.exiting(3), 500, "function_crashed", "exit status 3; expected 0"),
        (guests.FLOOD, 502, "guest_answer_invalid", "which SCALEZERO_GUEST_OUTPUT sets"),
        (guests.saying("hello"), 502, "guest_answer_invalid", "5 bytes without an empty line"),
        (guests.saying("Status: 99\nX: 1\n\n"), 502, "guest_answer_invalid", "Status"),
        (guests.saying("Status: 999\n\n"), 502, "guest_answer_invalid", "status: got 999; expected a whole number"),
        (guests.saying("Status: 200\nX Y: 1\n\n"), 502, "guest_answer_invalid", "name of a header"),
        (guests.saying("Status: 200\n" + "X:\n" * 3000 + "\n"), 502, "guest_answer_invalid", "got 3000 headers"),
        (guests.saying("Status: 200\nContent-Length: 5\n\n"), 502, "guest_answer_invalid", "Content-Length"),
        (guests.saying("Status: 200\nContent-Length: 0\nContent-Length: 5\n\n"), 502, "guest_answer_invalid", "twice"),
    ],
)
def test_a_guest_that_fails_gets_an_error_and_the_process_serves_on(
    tmp_path: Path, text: str, status: int, code: str, message: str
) -> None:
    models.doubling(tmp_path / "m.onnx")
    (tmp_path / "model.yaml").write_text(MODEL)
    limits = {"GUEST_MEMORY": str(2**20), "GUEST_OUTPUT": "100000"}
    if text == guests.LOOP:
        limits["FUNCTION_TIMEOUT"] = "0.5s"
    with served(tmp_path, text, {f"SCALEZERO_{name}": value for name, value in limits.items()}) as running:
        for _ in range(2):
            answer = post(running)
            error = error_of(answer, status)
            assert error["code"] == code
            assert message in error["message"]
        assert running.predict([[1.0, 2.0]]).status_code == 200
        logged = running.log.read_text()
    assert "Traceback" not in logged, "that of this host says nothing about the guest"
    assert ("wasm backtrace" in logged) == (code in {"function_timed_out", "function_crashed"})


def test_the_log_has_the_text_of_the_guest_that_the_answer_has_not(tmp_path: Path) -> None:
    with served(tmp_path, guests.saying("Content-Type: a/b\nX: hunter\x01\n\n")) as running:
        assert "hunter" not in error_of(post(running), 502)["message"]
        assert "hunter" in running.log.read_text()


def test_an_error_of_the_client_is_no_failure_of_the_guest(echo: Served) -> None:
    before = echo.log.read_text()
    assert error_of(post(echo, path="/%00"), 400)["code"] == "invalid_input"
    assert "failed" not in echo.log.read_text().removeprefix(before)


def test_neighbours_are_answered_while_guests_loop(tmp_path: Path) -> None:
    """More guests loop than there are threads: the queue moves on, as each of them is stopped."""
    models.doubling(tmp_path / "m.onnx")
    (tmp_path / "model.yaml").write_text(MODEL)
    limits = {"SCALEZERO_FUNCTION_TIMEOUT": "1s", "SCALEZERO_FUNCTION_THREADS": "2"}
    with served(tmp_path, guests.LOOP, limits) as running, ThreadPoolExecutor(4) as threads:
        looping = [threads.submit(post, running) for _ in range(4)]
        assert running.predict([[1.0, 2.0]]).status_code == 200
        assert [each.result().status_code for each in looping] == [504] * 4
        eventually(
            lambda: running.get("/healthz/live").status_code == 200
        )  # the threads are free soon after the answers


def test_guests_that_sleep_free_their_threads_at_the_limit(tmp_path: Path) -> None:
    """More guests sleep than there are threads. All calls get their answers, and the process serves on."""
    limits = {"SCALEZERO_FUNCTION_TIMEOUT": "0.5s", "SCALEZERO_FUNCTION_THREADS": "2"}
    with served(tmp_path, guests.SLEEP, limits) as running, ThreadPoolExecutor(8) as threads:
        for answer in threads.map(lambda _: post(running), range(8)):
            assert error_of(answer, 504)["code"] == "function_timed_out"
        eventually(lambda: running.get("/healthz/live").status_code == 200)


def test_components_that_sleep_are_answered_at_the_limit(tmp_path: Path) -> None:
    """They keep their threads, so the process reports that it is stuck if they do so for much longer."""
    limits = {"SCALEZERO_FUNCTION_TIMEOUT": "0.5s", "SCALEZERO_FUNCTION_THREADS": "1", "SCALEZERO_GRACE_PERIOD": "0s"}
    with served(tmp_path, guests.COMPONENT_SLEEP, limits) as running:
        assert error_of(post(running), 504)["code"] == "function_timed_out"
        eventually(lambda: running.get("/healthz/live").status_code == 503)
        assert error_of(post(running), 503)["code"] == "function_stuck"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"(module)", "the function in main.wasm cannot be loaded: it is WebAssembly's text format"),
        (guests.binary("(module)"), "it exports no function _start"),
        (
            guests.binary('(module (import "wasi_ephemeral_xy" "load" (func)) (func (export "_start")))'),
            "unknown import: `wasi_ephemeral_xy::load`",
        ),
    ],
    ids=["text", "no-start", "import"],
)
def test_a_guest_that_cannot_run_keeps_the_process_unready(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "main.wasm").write_bytes(content)
    with serving(tmp_path, tmp_path, ready=False) as running:
        error = error_of(post(running), 503)
        assert error["code"] == "function_failed"
        assert message in error["message"]
        assert running.get("/healthz/ready").status_code == 503
