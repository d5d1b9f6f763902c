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
_MANY: Final = 2000  # classes or values that are written at once


class Predict:
    """The translator of `:predict`."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Read a small body. Raises `RefusedInput`."""
        return called(request, json_request.check(json_body.load(request.body), request.body))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Read a body of any size. Raises `RefusedInput`, and `InvalidInput` for one beyond the slices' limits."""
        parsed = yield from json_body.load_slices(request.body, request.hold)
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


class _OfExamples:
    """What the translators of `:classify` and `:regress` share."""

    name = NAME
    _plan: Callable[[Sequence[TensorSpec]], object]  # the outputs that the answer is made of; raises `InvalidInput`
    _unfit: str  # TensorFlow Serving's words for a signature without such outputs

    def decode(self, request: Request) -> Call:
        """Read a small body. Raises `RefusedInput`."""
        return called(request, json_request.check(json_body.load(request.body), None))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Read a body of any size. Raises as `Predict.decode_slices` does."""
        return called(request, json_request.check((yield from json_body.load_slices(request.body, request.hold)), None))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query; its form is the plan for the outputs, and the number of examples.

        Raises `RefusedInput`, also for a model whose outputs do not fit the method, and `InvalidInput`.
        """
        found = json_examples.read(call.parts)
        json_request.check_signature(call.parts, "No signature was found with the name: {}")
        try:
            plan = self._plan(model.signature.outputs)
        except InvalidInput as fault:
            raise RefusedInput(f"{self._unfit} {fault.message}") from None
        return [Query(examples.tensors(found, model.signature.inputs), form=(plan, len(found)))]


class Classify(_OfExamples):
    """The translator of `:classify`."""

    _plan = staticmethod(examples.classifier)
    _unfit = 'Expected classification signature outputs to contain at least one of: "classes" or "scores".'

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The classes of each example, in pieces where they are many. Raises `InvalidInput`."""
        del model, latency
        form: tuple[examples.Classifier, int] = queries[0].form  # type: ignore[assignment] # what `bind` has set
        plan, rows = form
        outputs = predictions[0].outputs
        used = [outputs[place] for place in plan if place is not None]
        if any(not output.ndim or len(output) != rows for output in used):
            examples.classes(plan, outputs, rows)  # says what is wrong
        width = max(output.size // rows for output in used)

        def block(place: slice) -> bytes:
            part = [output[place] if output.ndim else output for output in outputs]
            return json_examples.classifications(examples.classes(plan, part, place.stop - place.start))

        return _answer(block, rows, _MANY // max(width, 1))


class Regress(_OfExamples):
    """The translator of `:regress`."""

    _plan = staticmethod(examples.regressor)
    _unfit = "No regression outputs found in SignatureDef."

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The value of each example. Raises `InvalidInput`."""
        del model, latency
        form: tuple[int, int] = queries[0].form  # type: ignore[assignment] # what `bind` has set
        place, rows = form
        found = examples.values(predictions[0].outputs[place], rows)
        return _answer(lambda part: json_examples.regressions(found[part]), rows, _MANY)


def _answer(block: Callable[[slice], bytes], rows: int, size: int) -> Answer:
    """The results in blocks of so many rows; the first one is made at once, so that what is wrong is still refused."""
    size = max(size, 1)
    parts = [slice(begin, min(begin + size, rows)) for begin in range(0, rows, size)]
    first = block(parts[0])
    pieces = json_examples.results(chain((first,), map(block, parts[1:])))
    return Answer(200, b"".join(pieces) if len(parts) == 1 else pieces)


def called(request: Request, parts: object) -> Call:
    """The call to the model that the path names. Raises `RefusedInput` as `target` does, and for any label."""
    model, version = target(request)
    label = request.parameters.get("label")
    if label is not None:  # labels are of a configuration file that only TensorFlow Serving has
        raise RefusedInput(f"Unrecognized servable version label: {label[:256]}")
    return Call(model, version, parts)


def target(request: Request) -> tuple[str, int | None]:
    """The model that the path names, and the number of its version.

    Raises `RefusedInput` where they are no name and no number, or the number is beyond int64.
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
