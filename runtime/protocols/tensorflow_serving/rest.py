"""TensorFlow Serving's REST API: `POST /v1/models/{model}[/versions/{n}|/labels/{label}]:predict|classify|regress`.

Sources: TensorFlow Serving, "RESTful API"; tensorflow_serving/model_servers/http_rest_api_handler.cc.
"""

from collections.abc import Callable, Generator, Sequence
from itertools import chain
from typing import Final

from runtime.errors import InvalidInput, RefusedInput
from runtime.http.messages import Answer, Request
from runtime.predictor import ReadyModel
from runtime.protocols.json import slices
from runtime.protocols.tensorflow_serving import examples, json_answer, json_body, json_examples, json_request
from runtime.tensors import Call, Prediction, Query, TensorSpec

NAME: Final = "tensorflow_serving"
_LARGEST_VERSION: Final = 2**63 - 1
_MANY: Final = 2000  # classes or values of one block of the answer


class Predict:
    """The translator of `:predict`."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Parse a small body at once. Raises `RefusedInput`."""
        return call_for(request, json_request.check(json_body.load(request.body), request.body))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Parse a body of any size in steps. Raises `RefusedInput`, and `InvalidInput` beyond the `slices` limits."""
        parsed = yield from json_body.load_slices(request.body, request.reserve)
        small = len(request.body) <= slices.WINDOW
        return call_for(request, json_request.check(parsed, request.body if small else None))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return one query; its form is True for the row form. Raises `RefusedInput`."""
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
        """Return the answer, in pieces if it is large; the protocol has no field for `latency`."""
        del latency
        rows = bool(queries[0].form)
        return Answer(200, json_answer.render(predictions[0].outputs, model.signature.outputs, rows=rows))


class _OfExamples:
    """The common part of the translators of `:classify` and `:regress`."""

    name = NAME
    _plan: Callable[[Sequence[TensorSpec]], object]  # chooses the outputs of the answer; raises `InvalidInput`
    _no_outputs: str  # TensorFlow Serving's message for a signature without such outputs

    def decode(self, request: Request) -> Call:
        """Parse a small body at once. Raises `RefusedInput`."""
        return call_for(request, json_request.check(json_body.load(request.body), None))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Parse a body of any size in steps. Raises as `Predict.decode_slices` does."""
        return call_for(
            request, json_request.check((yield from json_body.load_slices(request.body, request.reserve)), None)
        )

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return one query; its form is the chosen outputs and the number of examples.

        Raises `RefusedInput`, also for a model whose outputs do not fit the method, and `InvalidInput`.
        """
        found = json_examples.read(call.parts)
        json_request.check_signature(call.parts, "No signature was found with the name: {}")
        try:
            plan = self._plan(model.signature.outputs)
        except InvalidInput as fault:
            raise RefusedInput(f"{self._no_outputs} {fault.message}") from None
        return [Query(examples.tensors(found, model.signature.inputs), form=(plan, len(found)))]


class Classify(_OfExamples):
    """The translator of `:classify`."""

    _plan = staticmethod(examples.classifier)
    _no_outputs = 'Expected classification signature outputs to contain at least one of: "classes" or "scores".'

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Return the classes of each example, in pieces if there are many. Raises `InvalidInput`."""
        del model, latency
        form: tuple[examples.Classifier, int] = queries[0].form  # type: ignore[assignment] # `bind` sets it
        plan, rows = form
        outputs = predictions[0].outputs
        used = [outputs[place] for place in plan if place is not None]
        if any(not output.ndim or len(output) != rows for output in used):
            examples.classes(plan, outputs, rows)  # raises the error
        width = max(output.size // rows for output in used)

        def block(place: slice) -> bytes:
            part = [output[place] if output.ndim else output for output in outputs]
            return json_examples.classifications(examples.classes(plan, part, place.stop - place.start))

        return _answer(block, rows, _MANY // max(width, 1))


class Regress(_OfExamples):
    """The translator of `:regress`."""

    _plan = staticmethod(examples.regressor)
    _no_outputs = "No regression outputs found in SignatureDef."

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Return the value of each example. Raises `InvalidInput`."""
        del model, latency
        form: tuple[int, int] = queries[0].form  # type: ignore[assignment] # `bind` sets it
        place, rows = form
        found = examples.values(predictions[0].outputs[place], rows)
        return _answer(lambda part: json_examples.regressions(found[part]), rows, _MANY)


def _answer(block: Callable[[slice], bytes], rows: int, size: int) -> Answer:
    """Return the results in blocks of `size` rows. The first block is made at once, so that an error has its status."""
    size = max(size, 1)
    parts = [slice(begin, min(begin + size, rows)) for begin in range(0, rows, size)]
    first = block(parts[0])
    pieces = json_examples.results(chain((first,), map(block, parts[1:])))
    return Answer(200, b"".join(pieces) if len(parts) == 1 else pieces)


def call_for(request: Request, parts: object) -> Call:
    """Return the call to the model in the path. Raises `RefusedInput` as `target` does, and for any label."""
    model, version = target(request)
    label = request.parameters.get("label")
    if label is not None:  # only TensorFlow Serving has the configuration file that defines labels
        raise RefusedInput(f"Unrecognized servable version label: {label[:256]}")
    return Call(model, version, parts)


def target(request: Request) -> tuple[str, int | None]:
    """Return the model in the path, and the number of its version if the path has one.

    Raises `RefusedInput` for an invalid name or number, and for a number beyond int64.
    """
    model, version = request.parameters["model"], request.parameters.get("version")
    if ":" in model or not (version is None or (version.isascii() and version.isdecimal())):
        raise RefusedInput(f"Malformed request: {request.method} {request.path}")
    if version is None:
        return model, None
    number = version.lstrip("0") or "0"
    if len(number) > len(str(_LARGEST_VERSION)) or int(number) > _LARGEST_VERSION:
        raise RefusedInput(f"Failed to convert version: {version[:256]} to numeric.")
    return model, int(number)
