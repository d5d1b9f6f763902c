"""The author's function in the functions-framework, with a host that scores in the same thread."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import functions_framework
import numpy as np
import onnxruntime
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import functions.payment_model
from functions.payment_model.train import TrainedModel
from runtime.author import answer_errors
from runtime.errors import QueueFull

MAIN = Path(functions.payment_model.__file__).with_name("main.py")
HONEST = {"amount": 21.5, "merchant_category": "grocery", "hour": 17, "weekday": 2}
STOLEN = {
    "amount": 2400,
    "merchant_category": "electronics",
    "hour": 3,
    "weekday": 6,
    "distance_from_home_km": 300,
    "count_1h": 6,
    "count_24h": 7,
    "sum_1h": 5200,
    "sum_24h": 5300,
    "device_age_days": 0.1,
    "country_mismatch": True,
    "minutes_since_last": 2,
    "declined_24h": 3,
    "new_merchant": True,
}


class Host(ModuleType):
    """A replacement of `runtime.author`: `model(name).predict(rows)` runs the trained model in the same thread."""

    def __init__(self, path: Path) -> None:
        super().__init__("runtime.author")
        self.answer_errors = answer_errors
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def model(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(predict=lambda rows: self.predict(name, rows))

    def predict(self, name: str, rows: list[list[float]]) -> SimpleNamespace:
        (scores,) = self.session.run(None, {"features": np.array(rows, np.float32)})
        return SimpleNamespace(outputs={"fraud_score": scores}, model_name=name, model_version="2.0.0")


@pytest.fixture
def client(trained: Mapping[str, TrainedModel], monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.setitem(sys.modules, "runtime.author", Host(trained["2.0.0"].path))
    monkeypatch.setattr(sys, "path", [*sys.path])  # functions-framework appends the folder of the source
    before = set(sys.modules)
    app = functions_framework.create_app(target="handle", source=str(MAIN))  # type: ignore[no-untyped-call]
    yield app.test_client()
    for name in set(sys.modules) - before & {"main"}:
        del sys.modules[name]


def post(client: FlaskClient, body: object) -> TestResponse:
    """Send JSON with the content type of a form, as `curl -d` does."""
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/", data=data, content_type="application/x-www-form-urlencoded")


def test_an_honest_payment_is_approved_and_a_stolen_card_is_not(client: FlaskClient) -> None:
    honest, stolen = (post(client, payment).get_json() for payment in (HONEST, STOLEN))
    assert honest["decision"] == "approve"
    assert stolen["decision"] != "approve"
    assert 0 <= honest["fraud_score"] < stolen["fraud_score"] <= 1
    assert honest["model_version"] == "2.0.0"
    assert set(honest) == {"decision", "fraud_score", "model_version"}


def test_a_list_is_answered_with_a_list_in_the_same_order(client: FlaskClient) -> None:
    alone = [post(client, payment).get_json()["fraud_score"] for payment in (STOLEN, HONEST)]
    together = [each["fraud_score"] for each in post(client, [STOLEN, HONEST]).get_json()]
    assert together == pytest.approx(alone, abs=1e-6)


def test_bad_input_is_400_with_the_field_the_received_and_the_expected_value(client: FlaskClient) -> None:
    answer = post(client, {**HONEST, "hour": 99})
    assert answer.status_code == 400
    assert answer.get_json() == {
        "error": {
            "code": "invalid_input",
            "message": "hour: got 99; expected a whole number from 0 to 23",
            "details": {"field": "hour", "got": "99", "expected": "a whole number from 0 to 23"},
        }
    }


def test_invalid_json_is_400(client: FlaskClient) -> None:
    answer = post(client, b"amount=3")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["details"]["field"] == "body"


def test_in_the_plain_framework_an_error_of_the_model_has_its_status(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str, __: object) -> None:
        raise QueueFull(limit=3, retry_after=1)

    monkeypatch.setattr(sys.modules["runtime.author"], "predict", full)
    answer = post(client, HONEST)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.content_type == "application/json"
    assert answer.get_json()["error"]["details"] == {"limit": 3, "retry_after": 1}


@pytest.mark.parametrize(("score", "decision"), [(0.0, "approve"), (0.2, "review"), (0.8, "decline"), (1.0, "decline")])
def test_a_score_at_a_threshold_gets_the_stricter_decision(client: FlaskClient, score: float, decision: str) -> None:
    assert sys.modules["main"].decide(score) == decision


def test_the_function_has_at_most_30_lines() -> None:
    assert len(MAIN.read_text().splitlines()) <= 30
