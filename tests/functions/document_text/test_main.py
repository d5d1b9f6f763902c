"""The answers of the function, served by a real process with all models, are those of rapidocr-onnxruntime."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import functions.document_text
from functions.document_text.train import TrainedModel
from tests.functions.document_text.conftest import Answer
from tests.functions.document_text.pictures import LINES, PICTURES, encoded, page
from tests.runtime.frontends.conftest import Served, error_of, serving

FOLDER = Path(functions.document_text.__file__).parent


@pytest.fixture(scope="module")
def served(trained: Mapping[str, TrainedModel], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The folder as `scalezero serve` runs it, with the models from files and not from S3."""
    companions = [
        {"name": name, "version": "1.0.0", "uri": str(trained[name].path), "batchSize": 6}
        for name in ("text-angle", "text-recognition")
    ]
    settings = {
        "SCALEZERO_MODEL_URI": str(trained["document-text"].path),
        "SCALEZERO_COMPANIONS": json.dumps(companions),
    }
    with serving(tmp_path_factory.mktemp("served"), FOLDER, env=settings) as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, trust_env=False, timeout=100) as client:  # a large image takes seconds
        yield client


def lines_of(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    lines: list[dict[str, Any]] = response.json()["lines"]
    return lines


def check(lines: list[dict[str, Any]], expected: Answer) -> None:
    """Check that the texts are equal, boxes within a pixel and scores within 0.001."""
    assert [line["text"] for line in lines] == [text for _, text, _ in expected]
    for line, (box, _, score) in zip(lines, expected, strict=True):
        assert np.abs(np.array(line["box"]) - box).max() <= 1
        assert line["score"] == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize("name", PICTURES)
def test_an_image_gets_the_lines_of_rapidocr(
    client: httpx.Client, answer_of: Callable[[bytes], Answer], name: str
) -> None:
    check(lines_of(client.post("/", content=PICTURES[name])), answer_of(PICTURES[name]))


def test_the_lines_of_a_page_are_read_from_top_to_bottom(client: httpx.Client) -> None:
    texts = [line["text"].replace(" ", "") for line in lines_of(client.post("/", content=PICTURES["page"]))]
    assert texts == [line.replace(" ", "") for line in LINES]


@pytest.mark.parametrize("name", ["sideways", "on_its_head"])
def test_a_page_that_does_not_stand_upright_is_read(client: httpx.Client, name: str) -> None:
    texts = [line["text"].replace(" ", "") for line in lines_of(client.post("/", content=PICTURES[name]))]
    assert sorted(texts) == sorted(line.replace(" ", "") for line in (LINES[:2] if name == "sideways" else LINES[2:]))


def test_an_image_without_text_has_no_lines(client: httpx.Client) -> None:
    assert lines_of(client.post("/", content=PICTURES["empty"])) == []


def test_concurrent_requests_get_the_answers_of_single_ones(client: httpx.Client) -> None:
    contents = [PICTURES[name] for name in ("grey", "bits", "empty")] * 2
    alone = [client.post("/", content=content).json() for content in contents[:3]]
    with ThreadPoolExecutor(6) as callers:
        together = [each.json() for each in callers.map(lambda content: client.post("/", content=content), contents)]
    for answer, expected in zip(together, alone * 2, strict=True):
        check(answer["lines"], [(line["box"], line["text"], line["score"]) for line in expected["lines"]])


def test_a_photo_is_read_upright(client: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encoded(page().transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert client.post("/", content=photo).json() == client.post("/", content=PICTURES["page"]).json()


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"text", "4 bytes that are no such image"),
        (PICTURES["jpeg"][:2_000], "a broken image"),
        (encoded(Image.new("1", (6_000, 5_000))), "an image of 6000 x 5000 pixels"),
    ],
)
def test_an_image_that_cannot_be_read_is_400_with_the_reason(client: httpx.Client, content: bytes, got: str) -> None:
    error = error_of(client.post("/", content=content), 400)
    assert error["code"] == "invalid_input"
    assert error["message"].startswith(f"body: got {got}")


def test_a_form_is_400_with_the_command_that_sends_the_image_itself(client: httpx.Client) -> None:
    error = error_of(client.post("/", files={"file": PICTURES["page"]}), 400)
    assert error["message"] == (
        "body: got multipart/form-data; expected the bytes of the image (curl --data-binary @FILE)"
    )
