"""PredictionService.Classify, Regress and MultiInference: tensorflow.Examples to classes and values. Pure.

All three run the model once for all examples. `examples` defines how inputs and outputs of a model are used.
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
_MAX_LIST_BYTES: Final = 256 * 1024  # of packed integers


class Parts(NamedTuple):
    """A parsed request."""

    tasks: Sequence[tuple[str, str]]  # method and signature
    input: memoryview  # the serialized Input; it is parsed when the model is known


class _Form(NamedTuple):
    """How to use the outputs."""

    plans: Sequence[Classifier | int]  # for each task: a classifier, or the index of the output with the values
    rows: int


class _Examples:
    """The common part of the methods, for one task."""

    name = NAME
    _request: str  # the class of the message
    _method: str  # of the task

    def __init__(self, has_zero: HasZero) -> None:
        self._has_zero = has_zero

    def decode(self, message: bytes | memoryview) -> Call:
        """Parse a request. Raises `InvalidInput`, `RefusedInput` and `UnsupportedOperation`."""
        rest, spans = outline.outline(memoryview(message), {_INPUT})
        request = messages.parsed(self._request, rest)
        target, tasks = self._tasks(request)
        content = spans.get(_INPUT, [])
        return Call(target.name, target.version, Parts(tasks, _joined(content)))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return one query. Raises `UnknownSignature` and `InvalidInput`."""
        parts: Parts = call.parts
        signature = model.signature
        plans: list[Classifier | int] = []
        for method, name in parts.tasks:
            messages.check_signature(name)
            classify = method == CLASSIFY
            plans.append(examples.classifier(signature.outputs) if classify else examples.regressor(signature.outputs))
        found = _read(parts.input, {spec.name for spec in signature.inputs})
        tensors = examples.tensors(found, signature.inputs)
        return [Query(tensors, form=_Form(plans, len(found)))]

    def encode(
        self,
        queries: Sequence[Query],
        predictions: Sequence[Prediction],
        model: ReadyModel,  # noqa: ARG002 - the signature that every translator has
        *,
        latency: float,
    ) -> bytes:
        """Return the answer; the protocol has no field for `latency`. Raises `InvalidInput` for other output shapes."""
        del latency
        form: _Form = queries[0].form  # type: ignore[assignment] # `bind` sets it
        prediction = predictions[0]
        spec = messages.model_spec(prediction.model, prediction.version)
        return self._answer([_result(plan, prediction.outputs, form.rows) for plan in form.plans], form, spec)

    def _tasks(self, request: Any) -> tuple[messages.Target, list[tuple[str, str]]]:  # noqa: ANN401 - the request
        """Return the model, and the method and signature of each task."""
        target = messages.target(request, self._has_zero)
        return target, [(self._method, target.signature)]

    def _answer(self, serialized: Sequence[bytes], form: _Form, spec: bytes) -> bytes:
        """Return the response with the serialized results, one for each task, and the model's ModelSpec."""
        del form
        return protobuf.delimited(1, serialized[0]) + protobuf.delimited(2, spec)


class Classify(_Examples):
    """The messages of the method Classify."""

    _request, _method = "ClassificationRequest", CLASSIFY


class Regress(_Examples):
    """The messages of the method Regress."""

    _request, _method = "RegressionRequest", REGRESS


class MultiInference(_Examples):
    """The messages of the method MultiInference.

    TensorFlow Serving refuses two tasks with one signature. An ONNX model has only one signature, so this class refuses
    two tasks with one signature and one method.
    """

    _request = "MultiInferenceRequest"

    def _tasks(self, request: Any) -> tuple[messages.Target, list[tuple[str, str]]]:  # noqa: ANN401 - the request
        if not request.tasks:
            raise InvalidInput("tasks", got="none", expected="at least one task")
        targets = [messages.target(task, self._has_zero) for task in request.tasks]
        if len({target.name for target in targets}) > 1:
            text = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            raise RefusedInput(text, field="tasks")
        tasks: dict[tuple[str, str], None] = {}  # an ordered set
        for task, target in zip(request.tasks, targets, strict=True):
            method = task.method_name
            if method not in (CLASSIFY, REGRESS):
                raise UnsupportedOperation(f"method_name {method[:80]!r}", f"a task has {CLASSIFY} or {REGRESS}")
            if (method, target.signature) in tasks:
                raise RefusedInput(f"Duplicate evaluation of signature: {target.signature[:80]}", field="tasks")
            tasks[method, target.signature] = None
        return targets[0], list(tasks)

    def _answer(self, serialized: Sequence[bytes], form: _Form, spec: bytes) -> bytes:
        answer = []
        for result, plan in zip(serialized, form.plans, strict=True):
            field = 2 if isinstance(plan, Classifier) else 3
            answer.append(protobuf.delimited(1, protobuf.delimited(1, spec) + protobuf.delimited(field, result)))
        return b"".join(answer)


def _result(plan: Classifier | int, outputs: Sequence[np.ndarray], rows: int) -> bytes:
    """Return a serialized ClassificationResult or RegressionResult."""
    if isinstance(plan, Classifier):
        return results.classification(plan, outputs, rows)
    return results.regression(outputs[plan], rows)


def _read(message: memoryview, names: Collection[str]) -> list[Example]:
    """Return the examples of an Input, each with its own features and those of the context. Raises `InvalidInput`."""
    lists: list[memoryview] = []
    number = 0
    for part in outline.fields(message, limit=outline.FEW):
        if part.kind == protobuf.BYTES and part.number in _LISTS:
            if part.number != number:  # the fields are a oneof: another field replaces the list
                lists.clear()
            lists.append(message[part.start : part.end])
            number = part.number
    _, spans = outline.outline(_joined(lists), {_EXAMPLES, _CONTEXT}, limit=outline.MANY)
    context = _features(_joined(spans.get(_CONTEXT, [])), names, "context")
    every = spans.get(_EXAMPLES, [])
    return [ChainMap(_features(each, names, f"examples[{index}]"), context) for index, each in enumerate(every)]


def _features(message: memoryview, names: Collection[str], field: str) -> dict[str, np.ndarray]:
    """Return the features of an Example with these names. Raises `InvalidInput`."""
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
    """Count the fields of a large example, including its strings, before protobuf creates objects for them.

    `path` has the numbers of the fields to descend into at each level. `budget` is the allowed number of fields.
    Returns the rest of the budget. Raises `InvalidInput` for more fields, and for an int64_list of more than 256 KiB.
    """
    for part in outline.fields(message, limit=budget):
        budget -= 1
        if path and part.kind == protobuf.BYTES and part.number in path[0]:
            budget = _check(message[part.start : part.end], path[1:], budget)
        elif len(path) == 1 and part.number == _INT64_LIST and part.end - part.start > _MAX_LIST_BYTES:
            got = f"an int64_list of {part.end - part.start} bytes"
            raise InvalidInput("examples", got=got, expected=f"at most {_MAX_LIST_BYTES}; call Predict instead")
    return budget


def _joined(parts: Sequence[memoryview]) -> memoryview:
    """Return the parts of a message field as one: protobuf merges them."""
    return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
