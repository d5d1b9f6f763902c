"""The answers of the function, served by a real process, are those of the package magika."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from magika import Magika

import functions.file_type
from functions.file_type.train import TrainedModel
from tests.functions.file_type.files import FILES
from tests.runtime.frontends.conftest import Served, error_of, serving

FOLDER = Path(functions.file_type.__file__).parent
BYTES = "application/octet-stream"


@pytest.fixture(scope="module")
def served(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The folder as `scalezero serve` runs it, with the model from a file and not from S3."""
    with serving(tmp_path_factory.mktemp("served"), FOLDER, SCALEZERO_MODEL_URI=str(trained.path)) as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def answer_of(original: Magika, content: bytes) -> dict[str, object]:
    """Return the answer of the package in the form of the function."""
    result = original.identify_bytes(content)
    return {
        "label": str(result.output.label),
        "description": result.output.description,
        "mime_type": result.output.mime_type,
        "group": result.output.group,
        "score": pytest.approx(result.score, abs=1e-5),
    }


@pytest.mark.parametrize("name", FILES)
def test_a_file_gets_the_answer_of_magika(client: httpx.Client, original: Magika, name: str) -> None:
    response = client.post("/", content=FILES[name])
    assert response.status_code == 200
    assert response.json() == answer_of(original, FILES[name])


@settings(max_examples=25)
@given(content=st.binary(max_size=9_000))
def test_any_bytes_get_the_answer_of_magika(client: httpx.Client, original: Magika, content: bytes) -> None:
    assert client.post("/", content=content).json() == answer_of(original, content)


def test_concurrent_requests_get_the_answers_of_magika(client: httpx.Client, original: Magika) -> None:
    contents = [*FILES.values()]
    with ThreadPoolExecutor(16) as callers:
        responses = list(callers.map(lambda content: client.post("/", content=content), contents))
    expected = {content: answer_of(original, content) for content in FILES.values()}
    assert [each.json() for each in responses] == [expected[content] for content in contents]


def test_the_types_of_known_files_are_recognized(client: httpx.Client) -> None:
    names = ["python", "json", "csv", "pdf", "png", "elf", "zip", "gzip", "html", "sqlite"]
    labels = [client.post("/", content=FILES[name]).json()["label"] for name in names]
    assert labels == names


@pytest.mark.parametrize("content_type", [BYTES, "application/x-www-form-urlencoded", "application/json", "text/plain"])
def test_the_content_type_is_ignored(client: httpx.Client, content_type: str) -> None:
    response = client.post("/", content=FILES["png"], headers={"content-type": content_type})
    assert response.json()["mime_type"] == "image/png"


def test_a_form_is_400_with_the_command_that_sends_the_file_itself(client: httpx.Client) -> None:
    error = error_of(client.post("/", files={"file": FILES["png"]}), 400)
    assert error["code"] == "invalid_input"
    assert error["message"] == (
        "body: got multipart/form-data; expected the bytes of the file (curl --data-binary @FILE)"
    )


def test_the_predict_api_returns_the_scores_of_all_labels(served: Served, trained: TrainedModel) -> None:
    outputs = served.predict(trained.evaluation["bytes"][:2].tolist(), model="file-type").json()["outputs"]
    assert [len(scores) for scores in outputs] == [214, 214]
