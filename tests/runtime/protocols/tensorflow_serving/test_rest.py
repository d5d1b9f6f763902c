"""The translators of the REST API: requests to queries, and predictions to answers."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput, MethodNotAllowed, QueueFull, RefusedInput, UnknownModel, UnknownPath
from runtime.http.messages import Answer, Request
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protocols.tensorflow_serving import refusals, rest
from runtime.tensors import STRING, Prediction, TensorSpec
from tests.runtime.protocols.json.texts import broken, drained
from tests.runtime.protocols.tensorflow_serving.arrays import f32
from tests.runtime.tensor_specs import spec


class Match:
    """A match of the route table."""

    def __init__(self, **parameters: str) -> None:
        self.parameters = parameters


def model(*outputs: TensorSpec) -> ReadyModel:
    """Return a model of two numbers per row that cannot run: translators only use its signature."""
    signature = Signature((spec("x", ("n", 2)),), outputs)
    return ReadyModel("m", "1", None, signature, None)  # type: ignore[arg-type]


def request(document: object, **parameters: str) -> Request:
    found = Request("POST", "/path", b"/path", b"", [], "1.1", json.dumps(document).encode())
    found.match = Match(model="m", **parameters)
    found.reserve = lambda _: None
    return found


def prediction(*outputs: np.ndarray) -> Prediction:
    return Prediction(outputs, model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)


def answer_to(translator: Any, document: object, ready: ReadyModel, *outputs: np.ndarray) -> Any:  # noqa: ANN401 - JSON
    """Return the answer's document for a model that returns those outputs."""
    sent = request(document)
    call = translator.decode(sent)
    queries = translator.bind(call, ready)
    sliced = translator.bind(drained(translator.decode_slices(sent))[0], ready)
    for one, other in zip(queries[0].tensors, sliced[0].tensors, strict=True):
        np.testing.assert_array_equal(one, other)
    answer = translator.encode(queries, [prediction(*outputs)], ready, latency=0.0)
    return json.loads(text(answer))


def text(answer: Answer) -> bytes:
    body: Any = answer.body
    return body if isinstance(body, bytes) else b"".join(body)


ROWS = [{"x": [1, 2]}, {"x": [3, 4]}]
SCORES = f32([[0.25, 0.75], [0.5, 0.5]])


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_the_answer_has_the_form_of_the_request(form: str) -> None:
    key = "predictions" if form == "instances" else "outputs"
    for rows in ([[1, 2]], [[1, 2], [3, 4]], [[1, 2]] * 20_000):
        found = answer_to(rest.Predict(), {form: rows}, model(spec("y", ("n",))), f32([1] * len(rows)))
        assert found == {key: [1] * len(rows)}


def test_a_model_with_scores_classifies() -> None:
    plain = model(spec("y", ("n", "classes")))
    assert answer_to(rest.Classify(), {"examples": ROWS}, plain, SCORES) == {
        "results": [[["0", 0.25], ["1", 0.75]], [["0", 0.5], ["1", 0.5]]]
    }
    maps = np.array([{"a": 0.5, "b": 0.25}, {"a": 1.0, "b": 0.0}], object)
    zipped = model(spec("label", ("n",), STRING), spec("p", None, "f4", "sequence", "map of string"))
    label = np.array(["a", "a"], object)
    assert answer_to(rest.Classify(), {"examples": ROWS}, zipped, label, maps)["results"][0] == [
        ["a", 0.5],
        ["b", 0.25],
    ]


@pytest.mark.parametrize("rows", [1, 3_000])
def test_results_do_not_depend_on_the_number_of_blocks(rows: int) -> None:
    scores = np.resize(f32([[0.25, 0.75]]), (rows, 2))
    scalar = spec("s", ())
    found = answer_to(
        rest.Classify(), {"examples": ROWS[:1] * rows}, model(spec("y", ("n", 2)), scalar), scores, np.array(1.0)
    )
    assert found == {"results": [[["0", 0.25], ["1", 0.75]]] * rows}
    found = answer_to(rest.Regress(), {"examples": ROWS[:1] * rows}, model(spec("y", ("n", 1))), scores[:, :1])
    assert found == {"results": [0.25] * rows}


def test_a_row_of_very_many_classes_is_one_block() -> None:
    found = answer_to(
        rest.Classify(), {"examples": ROWS}, model(spec("y", ("n", "k"))), np.zeros((2, 5_000), np.float32)
    )
    assert [len(row) for row in found["results"]] == [5_000, 5_000]


def test_outputs_with_another_number_of_rows_are_refused() -> None:
    for scores in (np.zeros((3, 2), np.float32), f32(1)):
        with pytest.raises(InvalidInput, match="expected 2 rows"):
            answer_to(rest.Classify(), {"examples": ROWS}, model(spec("y", ("n", 2))), scores)


@pytest.mark.parametrize(
    ("translator", "message"),
    [
        (rest.Classify(), 'signature outputs to contain at least one of: "classes" or "scores".'),
        (rest.Regress(), "No regression outputs found in SignatureDef."),
    ],
)
def test_a_model_without_such_outputs_is_refused_before_it_runs(
    translator: rest.Classify | rest.Regress, message: str
) -> None:
    call = translator.decode(request({"examples": ROWS}))
    with pytest.raises(RefusedInput, match=message) as refused:
        translator.bind(call, model(spec("y", ("n", 2, 2))))
    assert "y: float32[n, 2, 2]" in refused.value.message
    call = translator.decode(request({"examples": ROWS, "signature_name": "x"}))
    with pytest.raises(RefusedInput, match="No signature was found with the name: x"):
        translator.bind(call, model(spec("y", ("n", 1))))


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, None),
        ({"version": "7"}, 7),
        ({"version": "007"}, 7),
        ({"version": str(2**63 - 1)}, 2**63 - 1),
        ({"version": "0"}, 0),
    ],
)
def test_a_version_is_a_number(parameters: dict[str, str], found: int | None) -> None:
    assert rest.target(request({}, **parameters)) == ("m", found)


@pytest.mark.parametrize("version", ["", "-1", "1.0", "x", "²", "٣"])
def test_an_invalid_number_is_a_malformed_request(version: str) -> None:
    with pytest.raises(RefusedInput, match="Malformed request: POST /path"):
        rest.target(request({}, version=version))


def test_a_version_beyond_int64_is_refused() -> None:
    for version in (str(2**63), "9" * 10_000):
        with pytest.raises(RefusedInput, match=r"Failed to convert version: 9.* to numeric"):
            rest.target(request({}, version=version))


def test_every_label_is_unknown() -> None:
    with pytest.raises(RefusedInput, match="Unrecognized servable version label: stable"):
        rest.Predict().decode(request({}, label="stable"))


BODIES = st.sampled_from(["instances", "inputs", "examples"]).flatmap(
    lambda key: broken().map(lambda value: b'{"%s": %s}' % (key.encode(), value))
)


@pytest.mark.parametrize("translator", [rest.Predict(), rest.Classify(), rest.Regress()])
@given(body=BODIES | broken() | st.binary())
@settings(deadline=None)
@example(body=b'{"instances": ' + b"[" * 30_000)
@example(body=b'{"instances": [' + b"[1]," * 10_000 + b"[1, 2]]}")
@example(body=b'{"instances": ' + b'{"a":' * 900 + b"1" + b"}" * 901)
@example(body=b'{"examples": [' + b"{}," * 20_000 + b'{"x": [[]]}]}')
@example(body=b'{"instances": [{"b64": "' + b"A" * 100_000 + b'"}]}')
@example(body=b'{"instances": [' + b"9" * 50_000 + b"]}")
def test_any_body_is_answered_or_refused(translator: Any, body: bytes) -> None:  # noqa: ANN401 - one of three
    sent = request({})
    sent.body = body
    for decode in (translator.decode, lambda sent: drained(translator.decode_slices(sent))[0]):
        with contextlib.suppress(RefusedInput, InvalidInput):
            (query,) = translator.bind(decode(sent), model(spec("y", ("n", 1))))
            assert query.tensors[0].dtype == np.float32


def test_errors_have_the_form_of_tensorflow_serving() -> None:
    def status_and_text(answer: Answer) -> tuple[int, str]:
        return answer.status, json.loads(text(answer))["error"]

    assert status_and_text(refusals.refuse(UnknownModel("m", ["z"]))) == (
        404,
        "Servable not found for request: Latest(m)",
    )
    assert status_and_text(refusals.refuse(UnknownModel("m", [], version="5"))) == (
        404,
        "Servable not found for request: Specific(m, 5)",
    )
    assert status_and_text(refusals.refuse(UnknownPath("/v1/models/", "PUT"))) == (
        400,
        "Malformed request: PUT /v1/models/",
    )
    fault = MethodNotAllowed("GET", "/v1/models/m:predict", ["POST"])
    assert status_and_text(refusals.refuse(fault)) == (400, "Malformed request: GET /v1/models/m:predict")
    assert status_and_text(refusals.no_status("m", None)) == (404, "Could not find any versions of model m")
    assert status_and_text(refusals.no_status("m", 5)) == (404, "Could not find version 5 of model m")
    full = refusals.refuse(QueueFull(limit=1, retry_after=2))
    assert status_and_text(full)[0] == 429
    assert (b"retry-after", b"2") in full.headers
