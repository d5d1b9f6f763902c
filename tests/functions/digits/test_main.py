"""The answers of the function, served by a real process, are the predictions of the scikit-learn model."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.pipeline import Pipeline

import functions.digits
from functions.digits.features import SIDE
from functions.digits.train import Sample, TrainedModel, fit, split
from tests.runtime.frontends.conftest import Served, error_of, serving

FOLDER = Path(functions.digits.__file__).parent


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """The model of scikit-learn."""
    return fit(split()[0])


@pytest.fixture(scope="module")
def held_out() -> Sample:
    return split()[1]


@pytest.fixture(scope="module")
def served(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The folder as `scalezero serve` runs it, with the model from a file and not from S3."""
    with serving(tmp_path_factory.mktemp("served"), FOLDER, SCALEZERO_MODEL_URI=str(trained.path)) as server:
        yield server


def images_of(sample: Sample) -> list[list[list[float]]]:
    images: list[list[list[float]]] = sample.pixels.reshape(-1, SIDE, SIDE).tolist()
    return images


def recognize(served: Served, body: object) -> httpx.Response:
    with served.client() as client:
        return client.post("/", json=body)


def assert_equal(answers: list[dict[str, Any]], pipeline: Pipeline, held_out: Sample) -> None:
    """Check that the answers are the model's predictions of the held-out digits."""
    assert [each["digit"] for each in answers] == pipeline.predict(held_out.pixels).tolist()
    expected = pipeline.predict_proba(held_out.pixels).max(axis=1)
    np.testing.assert_allclose([each["confidence"] for each in answers], expected, atol=1e-5)


def test_an_image_is_answered_with_its_digit_and_the_confidence(served: Served, held_out: Sample) -> None:
    response = recognize(served, {"image": images_of(held_out)[0]})
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"digit", "confidence"}
    assert answer["digit"] == held_out.digits[0]
    assert 0.5 < answer["confidence"] <= 1


def test_a_list_of_images_gets_the_predictions_of_sklearn(served: Served, pipeline: Pipeline, held_out: Sample) -> None:
    answers = recognize(served, {"images": images_of(held_out)}).json()
    assert_equal(answers, pipeline, held_out)
    right = sum(answer["digit"] == digit for answer, digit in zip(answers, held_out.digits, strict=True))
    assert right / len(answers) >= 0.95


def test_concurrent_requests_get_the_predictions_of_sklearn(
    served: Served, pipeline: Pipeline, held_out: Sample
) -> None:
    with served.client() as client, ThreadPoolExecutor(16) as callers:
        responses = list(callers.map(lambda image: client.post("/", json={"image": image}), images_of(held_out)))
    assert {each.status_code for each in responses} == {200}
    assert_equal([each.json() for each in responses], pipeline, held_out)


def test_the_predict_api_returns_all_probabilities_of_sklearn(
    served: Served, pipeline: Pipeline, held_out: Sample
) -> None:
    outputs = served.predict(held_out.pixels.tolist(), model="digits").json()["outputs"]
    assert outputs["label"] == pipeline.predict(held_out.pixels).tolist()
    np.testing.assert_allclose(outputs["probabilities"], pipeline.predict_proba(held_out.pixels), atol=1e-5)


def test_the_content_type_is_ignored(served: Served, held_out: Sample) -> None:
    content = httpx.Request("POST", "http://x", json={"image": images_of(held_out)[0]}).read()
    with served.client() as client:
        response = client.post("/", content=content, headers={"content-type": "application/x-www-form-urlencoded"})
    assert response.json()["digit"] == held_out.digits[0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"image": [[0] * 8] * 7}, "image: got a list of length 7; expected a list of 8 rows"),
        ({"images": [[[0] * 8] * 8, [[0, 0, 17, *[0] * 5]] * 8]}, "images[1][0][2]: got 17; expected a number from 0"),
        ({"pixels": [0] * 64}, "pixels: got an unknown field; expected image or images"),
        ([], 'body: got a list of length 0; expected a JSON object, {"image": IMAGE} or {"images": [IMAGE, ...]}'),
    ],
)
def test_bad_input_is_400_with_the_received_and_the_expected_value(served: Served, body: object, message: str) -> None:
    error = error_of(recognize(served, body), 400)
    assert error["code"] == "invalid_input"
    assert error["message"].startswith(message)
