"""A guest that is served as a function asks the models of its process for inference, and stays within its limits."""

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from runtime.artifacts.cache import hash_file
from runtime.configuration.guest_code import GuestCode, render_code
from runtime.wasm.engine import code_key
from tests import guests, models
from tests.conformance.callers import runs_and_rows
from tests.runtime.frontends.conftest import Served, error_of, serving
from tests.runtime.frontends.wasm.test_served import MODEL, post
from tests.runtime.wasi_nn.building import SOURCES, c_guest, compiled_guest, python_guest
from tests.waiting import DEADLINE

GUESTS = 64
LIMIT = "10s"  # of a call: much more than that of a guest which answers
# The errors of the guest's calls: 0 success, 1 invalid_argument, 7 too_large.
FORGED = "1 1 1 1 1 0 1 1 1 "
WILD = "1 1 1 1 1 7 " + "1 " + "1 1 1 7 1 0 1 " + "1 1 1 "  # loads, pointer to a tensor, tensors, outputs


@contextmanager
def served(folder: Path, settings: Mapping[str, str]) -> Iterator[Served]:
    """Serve the guest `behaving`, which asks the model in m.onnx."""
    shutil.copy(c_guest(SOURCES / "c" / "behaving.c"), folder / "main.wasm")
    (folder / "model.yaml").write_text(MODEL)
    with serving(folder, folder, env={"SCALEZERO_TIMEOUT": "60s", **settings}) as running:
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("behaving")
    models.doubling(folder / "m.onnx")
    limits = {"SCALEZERO_FUNCTION_TIMEOUT": LIMIT, "SCALEZERO_GUEST_MEMORY": str(2**20)}
    with served(folder, limits) as running:
        yield running


def ask(running: Served, first: float, second: float) -> httpx.Response:
    return post(running, f"{first} {second}".encode(), "/")


def check_neighbours(running: Served) -> None:
    """Check that another guest, and a caller of the predict API, are answered."""
    answer = ask(running, 1.5, -2.0)
    assert (answer.status_code, answer.text) == (200, "3 -4")
    assert running.predict([[1.5, -2.0]]).json()["outputs"] == [[3.0, -4.0]]


def test_a_guest_gets_the_output_of_a_model_of_its_process(running: Served) -> None:
    check_neighbours(running)


@pytest.mark.parametrize(("path", "errors"), [("/wild", WILD), ("/forged", FORGED), ("/handles", "7 ")])
def test_misuse_of_wasi_nn_is_an_error_of_the_call(running: Served, path: str, errors: str) -> None:
    """Wild pointers, wrong tensors, handles that are forged or closed, and too many of them."""
    for _ in range(2):
        answer = post(running, path=path)
        assert (answer.status_code, answer.text) == (200, errors), running.log.read_text()
        check_neighbours(running)


@pytest.mark.parametrize(("path", "message"), [("/trap", "unreachable"), ("/allocate", "of memory of at most 1 MiB")])
def test_a_guest_that_crashes_while_it_holds_graphs_fails_alone(running: Served, path: str, message: str) -> None:
    for _ in range(2):
        error = error_of(post(running, path=path), 500)
        assert error["code"] == "function_crashed"
        assert message in error["message"]
        check_neighbours(running)


def test_neighbours_are_answered_while_guests_loop_and_compute_without_end(running: Served) -> None:
    with ThreadPoolExecutor(4) as threads:
        endless = [threads.submit(post, running, path=path) for path in ("/loop", "/compute", "/loop", "/compute")]
        check_neighbours(running)
        errors = [error_of(each.result(), 504) for each in endless]
    assert [each["code"] for each in errors] == ["function_timed_out"] * 4
    check_neighbours(running)


@pytest.mark.timeout(900)  # the guest is built, and compiled, when it is first used
def test_a_component_in_python_gets_the_outputs_of_a_model_bit_for_bit(tmp_path: Path) -> None:
    guest = python_guest()
    shutil.copy(guest, tmp_path / "main.wasm")
    (tmp_path / "model.yaml").write_text(MODEL)
    models.heavy(tmp_path / "m.onnx", size=8)
    code, key = compiled_guest(guest), code_key()
    pinned = GuestCode(*key, kind="component", uri=str(code), sha256=hash_file(code))
    rows = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    with serving(tmp_path, tmp_path, SCALEZERO_GUEST_CODE=render_code([pinned])) as running:
        answer = post(running, rows.tobytes(), "/?m&2")
        predicted = running.predict(rows.tolist()).json()["outputs"]
        assert "it is compiled" not in running.log.read_text()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.content == np.array(predicted, np.float32).tobytes()


def test_64_guests_at_once_share_batches(tmp_path: Path) -> None:
    """During a slow run, the rows of the other guests wait for the next one. Each gets its own answer."""
    models.heavy(tmp_path / "m.onnx", size=1600)
    settings = {"SCALEZERO_BATCHING": "always", "SCALEZERO_FUNCTION_THREADS": str(GUESTS)}
    with served(tmp_path, settings) as running, ThreadPoolExecutor(GUESTS) as callers:
        runs, rows = runs_and_rows(running)
        answers = list(callers.map(partial(ask, running, second=1.0), range(GUESTS)))
        more_runs, more_rows = runs_and_rows(running)
    assert [each.text for each in answers] == [f"{number} 1" for number in range(GUESTS)]
    assert more_rows - rows == GUESTS
    assert more_runs - runs <= GUESTS // 4


# Passes its stdin as a model, and answers with the number of the error.
PASSING = guests.command(
    """
    (i32.store (i32.const 0) (i32.const 16384)) (i32.store (i32.const 4) (i32.const 49152))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 36)))
    (i32.store (i32.const 32) (i32.const 16384))
    (i32.store8 (i32.const 1050) (i32.add (i32.const 48)
      (call $load (i32.const 32) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 64))))
    (call $head)
    """,
    imports='(import "wasi_ephemeral_nn" "load" (func $load (param i32 i32 i32 i32 i32) (result i32)))',
    data=f"{guests.HEAD}?",
)


@pytest.mark.parametrize(
    ("limits", "error"),
    [({"SCALEZERO_GUEST_MODEL_BYTES": "0"}, "6"), ({"SCALEZERO_GUEST_MODEL_BYTES": "82"}, "7"), ({}, "0")],
    ids=["forbidden", "too large", "default"],
)
def test_a_process_limits_or_forbids_models_that_guests_pass(
    tmp_path: Path, limits: Mapping[str, str], error: str
) -> None:
    """6 is unsupported_operation, 7 too_large."""
    guests.write(tmp_path / "main.wasm", PASSING)
    model = models.identity(tmp_path / "m.onnx").read_bytes()
    assert len(model) > 82
    with serving(tmp_path, tmp_path, env=limits) as running:
        assert post(running, model).text == error


def test_the_files_of_passed_models_are_removed_at_the_start_after_a_kill(tmp_path: Path) -> None:
    guests.write(tmp_path / "main.wasm", PASSING)
    model, cache = models.identity(tmp_path / "m.onnx").read_bytes(), tmp_path / "cache"
    with serving(tmp_path, tmp_path) as running:
        assert post(running, model).text == "0"
        (left,) = cache.glob("wasi-nn-*/*.onnx")
        running.process.kill()
        running.process.wait(DEADLINE)
    assert left.read_bytes() == model
    with serving(tmp_path, tmp_path) as running:
        assert not left.exists()
        assert post(running, model).text == "0"
    assert list(cache.glob("wasi-nn-*")) == []
