"""The guest answers with the outputs of the model, bit for bit, and says what is wrong with a request."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from functions.digits.train import split
from runtime.registry import find_guest
from tests.runtime.frontends.conftest import Served, serving
from tests.s3_server import S3Server

CSV = "text/csv"
ROWS = split()[1].pixels[:64]
BLANK = [0] * 64


def post(served: Served, content: str, kind: str = "application/json") -> httpx.Response:
    with served.client() as client:
        return client.post("/", content=content, headers={"content-type": kind})


def outputs(answer: httpx.Response) -> dict[str, npt.NDArray[Any]]:
    assert answer.status_code == 200, answer.text
    document = answer.json()
    return {
        "label": np.array(document["digits"], np.int64),
        "probabilities": np.array(document["probabilities"], np.float32),
    }


def predicted(served: Served, rows: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
    document = served.predict(rows.tolist(), model="wasm-digits").json()["outputs"]
    return {
        "label": np.array(document["label"], np.int64),
        "probabilities": np.array(document["probabilities"], np.float32),
    }


def check_equal(got: dict[str, npt.NDArray[Any]], expected: dict[str, npt.NDArray[Any]]) -> None:
    for name, array in expected.items():
        assert got[name].shape == array.shape
        assert got[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("count", [1, 2, 64])
def test_the_outputs_are_those_of_the_predict_api_bit_for_bit(served: Served, count: int) -> None:
    rows = ROWS[:count]
    expected = predicted(served, rows)
    check_equal(outputs(post(served, str(rows.tolist()))), expected)
    check_equal(outputs(post(served, "\n".join(",".join(map(str, row)) for row in rows.tolist()), CSV)), expected)


def test_callers_at_once_get_their_own_outputs(served: Served) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda row: post(served, str(row)), ROWS.tolist()))
    for row, answer in zip(ROWS, answers, strict=True):
        alone, got = predicted(served, row[None]), outputs(answer)
        assert got["label"] == alone["label"]
        np.testing.assert_allclose(got["probabilities"], alone["probabilities"], rtol=1e-4, atol=1e-6)  # in a batch


def test_most_digits_are_recognized(served: Served) -> None:
    held_out = split()[1]
    digits = outputs(post(served, str(held_out.pixels.tolist())))["label"]
    assert (digits == held_out.digits).mean() > 0.95


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ("", "application/json", "expected a list of 64 numbers, or a list of such lists, as JSON"),
        ("{}", "application/json", "expected a list of 64 numbers, or a list of such lists, as JSON"),
        (f"{BLANK}]", "application/json", "expected a list of 64 numbers, or a list of such lists, as JSON"),
        (f"[{BLANK}", "application/json", "expected a list of 64 numbers, or a list of such lists, as JSON"),
        (f"[{BLANK}, 1]", "application/json", "expected a list of 64 numbers, or a list of such lists, as JSON"),
        (f"[{BLANK}, {BLANK[1:]}]", "application/json", "row 1: got 63 numbers; expected 64"),
        (str([*BLANK, 0]), "application/json", "row 0: expected 64 numbers"),
        (str([17, *BLANK[1:]]), "application/json", "row 0, pixel 0: expected a number from 0 to 16"),
        (str(["1", *BLANK[1:]]), "application/json", "row 0, pixel 0: expected a number from 0 to 16"),
        ("[1", "application/json", "row 0: got 1 numbers; expected 64"),
        ("[0x1", "application/json", "row 0, pixel 0: expected a number from 0 to 16"),
        ("[1e999", "application/json", "row 0, pixel 0: expected a number from 0 to 16"),
        ("[1.2.3", "application/json", "row 0, pixel 0: expected a number from 0 to 16"),
        ("[\0", "application/json", "the body has a character U+0000; expected text"),
        ("", CSV, "got no row; expected at least one"),
        ("1,2\n", CSV, "row 0: got 2 numbers; expected 64"),
        (",".join(map(str, [*BLANK, 0])), CSV, "row 0: expected 64 numbers"),
    ],
)
def test_a_wrong_request_is_a_400_that_says_what_is_wrong(
    served: Served, content: str, kind: str, message: str
) -> None:
    answer = post(served, content, kind)
    assert (answer.status_code, answer.json()) == (400, {"error": message})


def test_a_request_beyond_the_memory_of_the_guest_is_a_413(served: Served) -> None:
    answer = post(served, " " * 2**24)
    assert (answer.status_code, answer.json()["error"]) == (413, "the request needs more than the memory of the guest")


def test_the_folder_is_published_and_served_from_the_registry(
    folder: Path, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`scalezero publish` trains the model and publishes the guest; a pod has only the registry."""
    from knative.function.publishing import publish_function

    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("wasm-digits-models")
    for name in ("main.wasm", "train.py"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    resources = (folder / "model.yaml").read_text().replace("s3://models/", "s3://wasm-digits-models/")
    (tmp_path / "model.yaml").write_text(resources)
    publish_function(tmp_path, report=lambda _: None)
    guest = find_guest("s3://wasm-digits-models/wasm-digits/guest/1.0.0/main.wasm")
    assert guest is not None
    assert len(guest.codes) == 1
    (tmp_path / "main.wasm").unlink()
    with serving(tmp_path, tmp_path, env=s3.environment()) as running:
        check_equal(outputs(post(running, str(ROWS[:1].tolist()))), predicted(running, ROWS[:1]))
