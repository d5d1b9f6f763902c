"""PredictionService.Classify, Regress and MultiInference: tensorflow.Examples in, classes and values out. Pure.

All three run the model once for all examples. What an ONNX model makes of examples is decided in `examples`.
"""

from collections import ChainMap
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from runtime import protobuf
from runtime.errors import InvalidInput, RefusedInput, UnsupportedOperation
from runtime.predictor import ReadyModel
from runtime.protocols import outline
from runtime.protocols.tensorflow_serving import examples, messages, results
from runtime.protocols.tensorflow_serving.examples import CLASSIFY, REGRESS, Classifier, Example
from runtime.protocols.tensorflow_serving.messages import NAME, HasZero
from runtime.tensors import Call, Prediction, Query

_INPUT: Final = 2  # of every request
_EXAMPLES, _CONTEXT = 1, 2  # of ExampleList and ExampleListWithContext
_LISTS: Final = {1, 2}  # of Input: ExampleList, ExampleListWithContext
_INT64_LIST: Final = 3  # of Feature
_LONGEST_LIST: Final = 256 * 1024  # bytes of packed integers


class Parts(NamedTuple):
    """A parsed request: what is asked of the model, and the Input, which is parsed when the model is known."""

    tasks: Sequence[tuple[str, str]]  # method and signature
    input: memoryview


class _Form(NamedTuple):
    """What to make of the outputs."""

    plans: Sequence[Classifier | int]  # for each task: a classifier, or the place of the values
    rows: int


class _Examples:
    """What the methods have in common, for one task."""

    name = NAME
    _request: str  # the class of the message
    _method: str  # of the task

    def __init__(self, has_zero: HasZero) -> None:
        self._has_zero = has_zero

    def decode(self, message: bytes | memoryview) -> Call:
        """Read a request. Raises `InvalidInput`, `RefusedInput` and `UnsupportedOperation`."""
        rest, spans = outline.outline(memoryview(message), {_INPUT})
        request = messages.parsed(self._request, rest)
        asked, tasks = self._asked(request)
        content = spans.get(_INPUT, [])
        return Call(asked.name, asked.version, Parts(tasks, _joined(content)))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query. Raises `UnknownSignature` and `InvalidInput`."""
        parts: Parts = call.parts
        signature = model.signature
        plans: list[Classifier | int] = []
        for method, name in parts.tasks:
            messages.check_signature(name)
            classify = method == CLASSIFY
            plans.append(examples.classifier(signature.outputs) if classify else examples.regressor(signature.outputs))
        given = _read(parts.input, {spec.name for spec in signature.inputs})
        tensors = examples.tensors(given, signature.inputs)
        return [Query(tensors, form=_Form(plans, len(given)))]

    def encode(
        self,
        queries: Sequence[Query],
        predictions: Sequence[Prediction],
        model: ReadyModel,  # noqa: ARG002 - the seam's form
        *,
        latency: float,
    ) -> bytes:
        """The answer; the protocol has no place for `latency`. Raises `InvalidInput` for outputs of another shape."""
        del latency
        form: _Form = queries[0].form  # type: ignore[assignment] # what `bind` has set
        prediction = predictions[0]
        spec = messages.model_spec(prediction.model, prediction.version)
        return self._answer([_result(plan, prediction.outputs, form.rows) for plan in form.plans], form, spec)

    def _asked(self, request: Any) -> tuple[messages.Asked, list[tuple[str, str]]]:  # noqa: ANN401 - the request
        """Which model, and the tasks."""
        asked = messages.asked(request, self._has_zero)
        return asked, [(self._method, asked.signature)]

    def _answer(self, made: Sequence[bytes], form: _Form, spec: bytes) -> bytes:
        """The response of the results, one for each task, and the model's ModelSpec."""
        del form
        return protobuf.delimited(1, made[0]) + protobuf.delimited(2, spec)


class Classify(_Examples):
    """The messages of the method Classify."""

    _request, _method = "ClassificationRequest", CLASSIFY


class Regress(_Examples):
    """The messages of the method Regress."""

    _request, _method = "RegressionRequest", REGRESS


class MultiInference(_Examples):
    """The messages of the method MultiInference.

    TensorFlow Serving refuses two tasks of one signature. An ONNX model has one signature, so here it is two tasks of
    one signature and one method.
    """

    _request = "MultiInferenceRequest"

    def _asked(self, request: Any) -> tuple[messages.Asked, list[tuple[str, str]]]:  # noqa: ANN401 - the request
        if not request.tasks:
            raise InvalidInput("tasks", got="none", expected="at least one task")
        every = [messages.asked(task, self._has_zero) for task in request.tasks]
        if len({asked.name for asked in every}) > 1:
            text = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            raise RefusedInput(text, field="tasks")
        tasks: dict[tuple[str, str], None] = {}  # a set that keeps their order
        for task, asked in zip(request.tasks, every, strict=True):
            method = task.method_name
            if method not in (CLASSIFY, REGRESS):
                raise UnsupportedOperation(f"method_name {method[:80]!r}", f"a task has {CLASSIFY} or {REGRESS}")
            if (method, asked.signature) in tasks:
                raise RefusedInput(f"Duplicate evaluation of signature: {asked.signature[:80]}", field="tasks")
            tasks[method, asked.signature] = None
        return every[0], list(tasks)

    def _answer(self, made: Sequence[bytes], form: _Form, spec: bytes) -> bytes:
        answer = []
        for result, plan in zip(made, form.plans, strict=True):
            field = 2 if isinstance(plan, Classifier) else 3
            answer.append(protobuf.delimited(1, protobuf.delimited(1, spec) + protobuf.delimited(field, result)))
        return b"".join(answer)


def _result(plan: Classifier | int, outputs: Sequence[np.ndarray], rows: int) -> bytes:
    """A serialized ClassificationResult or RegressionResult."""
    if isinstance(plan, Classifier):
        return results.classification(plan, outputs, rows)
    return results.regression(outputs[plan], rows)


def _read(message: memoryview, names: Collection[str]) -> list[Example]:
    """The examples of an Input, each with the features of its context and its own. Raises `InvalidInput`."""
    lists = [
        message[part.start : part.end] for part in outline.fields(message, most=outline.FEW) if part.number in _LISTS
    ]
    if not lists:
        return []
    _, spans = outline.outline(lists[-1], {_EXAMPLES, _CONTEXT}, most=outline.MANY)
    context = _features(_joined(spans.get(_CONTEXT, [])), names, "context")
    every = spans.get(_EXAMPLES, [])
    return [ChainMap(_features(each, names, f"examples[{index}]"), context) for index, each in enumerate(every)]


def _features(message: memoryview, names: Collection[str], field: str) -> dict[str, np.ndarray]:
    """The features of an Example that have these names. Raises `InvalidInput`."""
    if len(message) > outline.SMALL:
        _check(message, ({1}, {1}, {2}, {1}), outline.MANY)
    found = {}
    for name, feature in messages.parsed("Example", message).features.feature.items():
        kind = feature.WhichOneof("kind")
        if name in names and kind:
            found[name] = _values(kind, getattr(feature, kind).value, f"{field}.{name}")
    return found


def _values(kind: str, values: Any, field: str) -> np.ndarray:  # noqa: ANN401 - a repeated field
    if kind != "bytes_list":
        return np.array(values, np.float32 if kind == "float_list" else np.int64)
    array = np.empty(len(values), object)
    for index, value in enumerate(values):
        try:
            array[index] = value.decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"{field}[{index}]", got="bytes that are not UTF-8", expected="UTF-8") from None
    return array


def _check(message: memoryview, path: Sequence[Collection[int]], budget: int) -> int:
    """Count the fields of a large example, down to its strings, before protobuf makes objects of them.

    `path` has the fields to go into at each level. Returns what is left of `budget`. Raises `InvalidInput`.
    """
    for part in outline.fields(message, most=budget):
        budget -= 1
        if path and part.kind == protobuf.BYTES and part.number in path[0]:
            budget = _check(message[part.start : part.end], path[1:], budget)
        elif len(path) == 1 and part.number == _INT64_LIST and part.end - part.start > _LONGEST_LIST:
            got = f"an int64_list of {part.end - part.start} bytes"
            raise InvalidInput("examples", got=got, expected=f"at most {_LONGEST_LIST}; call Predict instead")
    return budget


def _joined(parts: Sequence[memoryview]) -> memoryview:
    """A message field that came in several parts, which is their sum."""
    return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
