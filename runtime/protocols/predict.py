"""The predict API, `POST /api/v1/models/{model_name}/predict`, as the user's APIDefinition ml-inference-api defines it.

    {"inputs": [0.1, 0.2, ...]}             one row            -> "outputs": [0.93]
    {"inputs": [[0.1, ...], [0.7, ...]]}    rows               -> "outputs": [[0.93], [0.02]]
    {"inputs": {"a": ..., "b": ...}}        tensors by name    -> "outputs": {"score": ...}
    {"inputs": [{"a": ..., "b": ...}, ...]} records            -> "outputs": {"score": ...}

The answer has the form of the request. If a model has several outputs, `outputs` is always an object of tensors by
name. `input_forms` reads the inputs. `row_forms` lists the forms of one tensor.
"""

from collections.abc import Generator, Sequence
from typing import Any, Final

import numpy as np

from runtime.errors import InvalidInput
from runtime.http.messages import Answer, Request
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protocols import input_forms, row_forms
from runtime.protocols.json import slices, writer
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.tensors import Call, Prediction, Query

NAME: Final = "predict"
_SHOWN_CHARS: Final = 60  # of a name in an error message


class PredictApi:
    """The translator of the predict API."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Parse a small body at once. Raises `InvalidInput`."""
        return Call(request.parameters["model"], None, (json_tensors.load(request.body), request.body))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Parse a body of any size in steps. Raises `InvalidInput`."""
        document = yield from slices.parse(request.body)
        return Call(request.parameters["model"], None, (document, None))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Check the inputs, and return one query. Raises `InvalidInput`."""
        document, body = call.parts
        return [bind(document, model.signature, body=body)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Return the answer; a large one is written in pieces. `latency` is in seconds."""
        prediction = predictions[0]
        document = answer(queries[0], prediction, model.signature, latency=latency)
        if writer.is_large(prediction.outputs):
            return Answer(200, writer.dump(document))
        return Answer(200, json_tensors.dump(document))


def parse(body: bytes, signature: Signature) -> Query:
    """Parse a request body. Raises `InvalidInput` with the field, the received value and the expected one."""
    document = json_tensors.load(body)
    return bind(document, signature, body=body)


def bind(document: object, signature: Signature, *, body: bytes | None = None) -> Query:
    """Return the query of a parsed body, in which large lists may be NumPy arrays already.

    `body`, the JSON text, makes faster checks possible. Raises `InvalidInput` as `parse` does.
    """
    return input_forms.bind(_inputs_of(document), signature, body=body)


def render(query: Query, prediction: Prediction, signature: Signature, *, latency: float) -> bytes:
    """Return the body of the answer; `latency` is in seconds."""
    return json_tensors.dump(answer(query, prediction, signature, latency=latency))


def answer(query: Query, prediction: Prediction, signature: Signature, *, latency: float) -> dict[str, Any]:
    """Return the answer as a document of JSON values and arrays; `latency` is in seconds."""
    return {
        "model_name": prediction.model,
        "model_version": prediction.version,
        "outputs": _outputs(query, prediction.outputs, signature),
        "latency_ms": round(latency * 1e6) / 1e3,
    }


def _outputs(query: Query, outputs: Sequence[np.ndarray], signature: Signature) -> Any:  # noqa: ANN401 - any JSON value
    """Return the outputs in the form of the request."""
    form: input_forms.Form = query.form  # type: ignore[assignment] # `bind` sets it
    one_row = form.one_row
    if len(outputs) == 1 and not form.by_name:
        array = outputs[0]  # a row of a rank-1 output is one number; the answer is a list of this number
        return json_tensors.plain(
            row_forms.row(array, signature.row_outputs[0]) if one_row and array.ndim > 1 else array
        )
    rows = map(row_forms.row, outputs, signature.row_outputs) if one_row else outputs
    return {spec.name: json_tensors.plain(each) for spec, each in zip(signature.outputs, rows, strict=True)}


def _inputs_of(document: object) -> object:
    if isinstance(document, dict) and "inputs" in document and len(document) == 1:
        return document["inputs"]
    if not isinstance(document, dict):
        raise InvalidInput("body", got=show(document), expected='an object with "inputs"')
    other = next((name for name in document if name != "inputs"), None)
    if "inputs" not in document:
        got = "an empty object" if other is None else f"an object with {show(other)}"
        raise InvalidInput("inputs", got=got, expected='an object with "inputs"')
    raise InvalidInput(str(other)[:_SHOWN_CHARS], got="an unknown field", expected='only "inputs"')
