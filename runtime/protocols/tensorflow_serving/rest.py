"""TensorFlow Serving's REST API for predictions: `POST /v1/models/{model}[/versions/{n}|/labels/{label}]:predict`.

Sources: TensorFlow Serving, "RESTful API"; tensorflow_serving/model_servers/http_rest_api_handler.cc.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Final

from runtime.errors import RefusedInput
from runtime.http.messages import Answer, Request
from runtime.predictor import ReadyModel
from runtime.protocols.json import slices
from runtime.protocols.tensorflow_serving import json_answer, json_body, json_request
from runtime.tensors import Call, Prediction, Query

NAME: Final = "tensorflow_serving"
_LARGEST_VERSION: Final = 2**63 - 1


class Predict:
    """The translator of `:predict`."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Read a small body. Raises `RefusedInput`."""
        return called(request, json_request.check(json_body.load(request.body), request.body))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Read a body of any size. Raises `RefusedInput`, and `InvalidInput` for one beyond the slices' limits."""
        parsed = yield from json_body.load_slices(request.body)
        small = len(request.body) <= slices.WINDOW
        return called(request, json_request.check(parsed, request.body if small else None))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query, whose form is whether it came by rows. Raises `RefusedInput`."""
        body: json_request.Body = call.parts
        row = json_request.one_row(body, model.signature)
        if row is not None:
            return [Query((row,), form=True)]
        json_request.check_signature(body)
        tensors, rows = json_request.tensors(body, model.signature)
        return [Query(tensors, form=rows)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The answer, in pieces where it is large; the protocol has no place for `latency`."""
        del latency
        rows = bool(queries[0].form)
        return Answer(200, json_answer.render(predictions[0].outputs, model.signature.outputs, rows=rows))


def called(request: Request, parts: object) -> Call:
    """The call to the model that the path names. Raises `RefusedInput` for a label, as no version here has one."""
    parameters = request.parameters
    if "label" in parameters:
        raise RefusedInput(f"Unrecognized servable version label: {parameters['label'][:256]}")
    return Call(parameters["model"], version(parameters), parts)


def version(parameters: Mapping[str, str]) -> str | None:
    """The version that the path names, as a number without leading zeros. Raises `RefusedInput` beyond int64."""
    text = parameters.get("version")
    if text is None:
        return None
    if len(text.lstrip("0")) > len(str(_LARGEST_VERSION)) or int(text) > _LARGEST_VERSION:
        raise RefusedInput(f"Failed to convert version: {text[:256]} to numeric.")
    return str(int(text))
