"""The predict API, `POST /api/v1/models/{model_name}/predict`, as the user's APIDefinition ml-inference-api has it.

    {"inputs": [0.1, 0.2, ...]}             one row            -> "outputs": [0.93]
    {"inputs": [[0.1, ...], [0.7, ...]]}    rows               -> "outputs": [[0.93], [0.02]]
    {"inputs": {"a": ..., "b": ...}}        tensors by name    -> "outputs": {"score": ...}
    {"inputs": [{"a": ..., "b": ...}, ...]} records            -> "outputs": {"score": ...}

The answer mirrors the form of the request. A model with several outputs answers by name in every form. `row_forms`
lists the forms that a tensor may have.
"""

import difflib
from collections.abc import Generator, Iterable, Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.errors import InvalidInput
from runtime.http.messages import Answer, Request
from runtime.model.signature import Signature, check_sizes
from runtime.predictor import ReadyModel
from runtime.protocols import row_forms
from runtime.protocols.json import containers as json_containers
from runtime.protocols.json import slices, writer
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.tensors import STRING, Call, Prediction, Query, TensorSpec

NAME: Final = "predict"
_MANY: Final = 5000  # numbers: as JSON about as much as may be written at once
_ECHOED: Final = 60  # characters of a name that an error repeats
_LISTED: Final = 20  # names that an error lists


class Form(NamedTuple):
    """How to write the answer."""

    one_row: bool  # the request left out the first axis
    by_name: bool


_ROW, _ROWS = Form(one_row=True, by_name=False), Form(one_row=False, by_name=False)
_NAMED_ROW, _NAMED_ROWS = Form(one_row=True, by_name=True), Form(one_row=False, by_name=True)


class PredictApi:
    """The translator of the predict API."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Read a small body. Raises `InvalidInput`."""
        return Call(request.parameters["model"], None, (json_tensors.load(request.body), request.body))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Read a body of any size. Raises `InvalidInput`."""
        document = yield from slices.parse(request.body)
        return Call(request.parameters["model"], None, (document, None))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query. Raises `InvalidInput`."""
        document, body = call.parts
        return [bind(document, model.signature, body=body)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The answer, in pieces where it is large; `latency` in seconds."""
        prediction = predictions[0]
        document = answer(queries[0], prediction, model.signature, latency=latency)
        if _is_large(prediction.outputs):
            return Answer(200, writer.dump(document))
        return Answer(200, json_tensors.dump(document))


def parse(body: bytes, signature: Signature) -> Query:
    """Read a request body. Raises `InvalidInput` naming the field, what came and what would be right."""
    document = json_tensors.load(body)
    return bind(document, signature, body=body)


def bind(document: object, signature: Signature, *, body: bytes | None = None) -> Query:
    """The query of a parsed body, whose large arrays may be NumPy's already; `body` allows for quicker looks.

    Raises `InvalidInput` as `parse` does.
    """
    inputs = _inputs_of(document)
    if isinstance(inputs, dict):
        return _named(inputs, signature, body)
    if not isinstance(inputs, (list, np.ndarray)):
        raise InvalidInput("inputs", got=show(inputs), expected="a list, or an object of named tensors")
    if len(inputs) and type(inputs[0]) is dict and _takes_records(signature):
        return _records(inputs, signature)
    if len(signature.inputs) != 1:
        names = _list(spec.name for spec in signature.inputs)
        why = f"this model has several inputs: {names}" if names else "this model has no input"
        raise InvalidInput("inputs", got="a list", expected=f"an object or a list of objects, as {why}")
    spec = signature.inputs[0]
    numbers_only = body is not None and json_tensors.numbers_only(body, keys=1)
    if numbers_only and signature.packer is not None and (row := _packed(inputs, signature.packer, spec)) is not None:
        return Query((row,), form=_ROW)
    tensor, rows = _tensor("inputs", inputs, spec, numbers_only=numbers_only)
    return Query((tensor,), form=_ROW if row_forms.one_row((rows,), inputs=1) else _ROWS)


def _packed(inputs: Any, packer: Struct, spec: TensorSpec) -> np.ndarray | None:  # noqa: ANN401 - a list or an array
    """A row of numbers as the one row of a tensor, read-only; None where it is anything else."""
    try:
        return np.frombuffer(packer.pack(*inputs), spec.dtype)[np.newaxis]
    except (StructError, OverflowError):  # rows, null, another length, or a number beyond the element type's range
        return None


def render(query: Query, prediction: Prediction, signature: Signature, *, latency: float) -> bytes:
    """The answer's body; `latency` in seconds."""
    return json_tensors.dump(answer(query, prediction, signature, latency=latency))


def answer(query: Query, prediction: Prediction, signature: Signature, *, latency: float) -> dict[str, Any]:
    """The answer as a document of JSON values and arrays; `latency` in seconds."""
    return {
        "model_name": prediction.model,
        "model_version": prediction.version,
        "outputs": _outputs(query, prediction.outputs, signature),
        "latency_ms": round(latency * 1e6) / 1e3,
    }


def _outputs(query: Query, outputs: Sequence[np.ndarray], signature: Signature) -> Any:  # noqa: ANN401 - any JSON value
    """The outputs in the form of the request."""
    form: Form = query.form  # type: ignore[assignment] # what `bind` has set
    one_row = form.one_row
    if len(outputs) == 1 and not form.by_name:
        array = outputs[0]  # a row of a rank-1 output is a number, and answered as a list of it
        return json_tensors.plain(_row(array, signature.row_outputs[0]) if one_row and array.ndim > 1 else array)
    rows = map(_row, outputs, signature.row_outputs) if one_row else outputs
    return {spec.name: json_tensors.plain(each) for spec, each in zip(signature.outputs, rows, strict=True)}


def _is_large(outputs: Sequence[np.ndarray]) -> bool:
    """Whether writing the answer at once would hold the event loop; strings may be of any length."""
    for each in outputs:  # noqa: SIM110 - a generator costs more than all that is looked at
        if each.size > _MANY or (each.dtype is STRING and writer.size_hint(each) > writer.PIECE):
            return True
    return False


def _row(array: np.ndarray, per_row: bool) -> Any:  # noqa: ANN401, FBT001 - an array, or an element of one; for `map`
    """The one row without its first axis, where the output has one row for each row of the inputs, and exactly one."""
    return array[0] if per_row and array.ndim and len(array) == 1 else array


def _inputs_of(document: object) -> object:
    if isinstance(document, dict) and "inputs" in document and len(document) == 1:
        return document["inputs"]
    if not isinstance(document, dict):
        raise InvalidInput("body", got=show(document), expected='an object with "inputs"')
    other = next((name for name in document if name != "inputs"), None)
    if "inputs" not in document:
        came = "an empty object" if other is None else f"an object with {show(other)}"
        raise InvalidInput("inputs", got=came, expected='an object with "inputs"')
    raise InvalidInput(str(other)[:_ECHOED], got="an unknown field", expected='"inputs" alone')


def _named(inputs: dict[str, Any], signature: Signature, body: bytes | None) -> Query:
    _check_names(inputs, signature, "inputs")
    numbers_only = body is not None and json_tensors.numbers_only(body, keys=1 + len(inputs))
    tensors, forms = [], []
    for spec in signature.inputs:
        field = f"inputs.{spec.name}"
        tensor, rows = _tensor(field, inputs.get(spec.name), spec, numbers_only=numbers_only)
        tensors.append(tensor)
        forms.append(rows)
    return Query(tensors, form=_NAMED_ROW if row_forms.one_row(forms, inputs=len(forms)) else _NAMED_ROWS)


def _tensor(field: str, value: object, spec: TensorSpec, *, numbers_only: bool) -> tuple[np.ndarray, row_forms.Rows]:
    if spec.containers:
        return json_containers.read(field, value, spec), None
    if isinstance(value, np.ndarray):  # of a large body: its sizes first, or millions are converted in vain
        value, rows = row_forms.in_rows(field, value, spec)
        check_sizes(spec, value.shape, 1)
        return json_tensors.tensor(field, value, spec), rows
    array = json_tensors.tensor(field, value, spec, numbers_only=numbers_only)
    return row_forms.in_rows(field, array, spec)


def _takes_records(signature: Signature) -> bool:
    return all(spec.holds_rows for spec in signature.inputs)


def _records(records: Sequence[Any] | np.ndarray, signature: Signature) -> Query:
    """One object per row, as pandas writes a table with `orient="records"`."""
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise InvalidInput(f"inputs[{index}]", got=show(record), expected="an object, as inputs[0] is")
        _check_names(record, signature, f"inputs[{index}]")
    tensors = []
    for spec in signature.inputs:
        column = [record[spec.name] for record in records]
        array = json_tensors.tensor("inputs", column, spec, behind_first=f".{spec.name}")
        tensors.append(row_forms.in_records(f"inputs[0].{spec.name}", array, spec))
    return Query(tensors, form=_NAMED_ROWS)


def _check_names(inputs: dict[str, Any], signature: Signature, field: str) -> None:
    """Every input must be there, but for an optional one, and nothing else."""
    missing = next((each for each in signature.inputs if each.name not in inputs and each.kind != "optional"), None)
    if missing is None and len(inputs) == len(signature.inputs):
        return
    known = [spec.name for spec in signature.inputs]
    unknown = next((name for name in inputs if name not in known), None)
    if unknown is not None:
        nearest = difflib.get_close_matches(unknown[:_ECHOED], known, 1)
        hint = f", perhaps {nearest[0]}" if nearest else ""
        expected = f"one of {_list(known)}{hint}" if known else "no input"
        raise InvalidInput(f"{field}.{unknown[:_ECHOED]}", got="an unknown input", expected=expected)
    if missing is not None:
        raise InvalidInput(f"{field}.{missing.name}", got="nothing", expected=missing.describe())


def _list(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more
