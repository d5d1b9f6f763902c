"""The body of a predict request to tensors.

    {"instances": [VALUE, ...]}                    row form, one input
    {"instances": [{"a": VALUE, "b": VALUE}, ...]} row form, inputs by name
    {"inputs": VALUE}                              columnar form, one input
    {"inputs": {"a": VALUE, "b": VALUE}}           columnar form, inputs by name

`signature_name` is optional; other keys are ignored.
Source: tensorflow_serving/util/json_tensor.cc, FillPredictRequestFromJson.
"""

from collections.abc import Sequence
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.errors import RefusedInput
from runtime.model.signature import Signature
from runtime.protocols.tensorflow_serving import signature as tensorflow
from runtime.protocols.tensorflow_serving.json_body import Document
from runtime.protocols.tensorflow_serving.json_tensor import is_base64, is_clean, tensor
from runtime.protocols.tensorflow_serving.json_text import malformed
from runtime.tensors import TensorSpec, as_array

INSTANCES: Final = "instances"
INPUTS: Final = "inputs"
SIGNATURE_NAME: Final = "signature_name"
_NEEDS_OBJECT: Final = "as multiple input tensors required as per tensorinfo_map"


class Body(NamedTuple):
    """A parsed body."""

    document: dict[str, Any]
    special: bool  # as in `json_body.Document`
    raw: bytes | None  # the text of a small body

    def is_clean(self, *, keys: int) -> bool:
        """Return whether the body is small and has no strings except that many keys, and no true, false or null."""
        return self.raw is not None and is_clean(self.raw, keys=keys)


def check(parsed: Document, raw: bytes | None) -> Body:
    """Check what does not depend on the model. Raises `RefusedInput`."""
    document = parsed.value
    if not isinstance(document, dict):
        raise malformed(document, "Is not object")
    if not isinstance(document.get(SIGNATURE_NAME, ""), str):
        raise malformed(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return Body(document, parsed.special, raw)


def check_signature(body: Body, text: str = 'Serving signature name: "{}" not found in signature def') -> None:
    """Check that the body names no signature or `serving_default`. Raises `RefusedInput` with this text."""
    name = body.document.get(SIGNATURE_NAME) or tensorflow.DEFAULT
    if name != tensorflow.DEFAULT:
        raise RefusedInput(text.format(name[:256]))


def tensors(body: Body, signature: Signature) -> tuple[list[np.ndarray], bool]:
    """Return one array per input, in the signature's order, and whether the request has the row form.

    Raises `RefusedInput`.
    """
    document = body.document
    specs = named_inputs(signature)
    if INSTANCES in document and INPUTS in document:
        raise malformed(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if INSTANCES in document:
        return in_order(_rows(document, specs, body), signature), True
    if INPUTS in document:
        return in_order(_columns(document[INPUTS], specs, body), signature), False
    raise RefusedInput("Missing 'inputs' or 'instances' key")


def named_inputs(signature: Signature) -> list[TensorSpec]:
    """Return the inputs that are tensors. Raises `RefusedInput` if there is none, or another input is not optional."""
    specs = tensorflow.tensors(signature.inputs)
    others = len(signature.inputs) - len(specs)
    if not specs or others != sum(spec.kind == "optional" for spec in signature.inputs):
        raise RefusedInput("Failed to get input map for signature: DEFAULT")
    return specs


def in_order(found: Sequence[np.ndarray], signature: Signature) -> list[np.ndarray]:
    """Return the arrays of the named inputs with an absent value for each optional input, in the signature's order."""
    arrays = iter(found)
    return [as_array(None) if spec.containers else next(arrays) for spec in signature.inputs]


def _rows(document: dict[str, Any], specs: list[TensorSpec], body: Body) -> list[np.ndarray]:
    instances = document[INSTANCES]
    if not isinstance(instances, (list, np.ndarray)):
        raise malformed(document, "Expecting 'instances' to be an list/array")
    if not len(instances):
        raise malformed(document, "No values in 'instances' array")
    first = instances[0]
    if isinstance(first, dict) and not is_base64(first):
        return _records(instances, specs, body)
    if len(specs) > 1:
        raise RefusedInput(f"instances is a plain list, but expecting list of objects {_NEEDS_OBJECT}")
    clean = body.is_clean(keys=len(document) + (SIGNATURE_NAME in document))
    try:
        return [tensor(instances, specs[0], clean=clean, special=body.special)]
    except RefusedInput:
        if isinstance(instances, np.ndarray):  # of a large body: the error names the value already
            raise
        raise _wrong_instance(instances, specs[0], body) from None


def one_row(body: Body, signature: Signature) -> np.ndarray | None:
    """Return a single row of numbers as the read-only tensor of the only input: a fast path for the common request.

    Return None for any other request.
    """
    instances = body.document.get(INSTANCES)
    if signature.packer is None or len(body.document) > 1 or type(instances) is not list or len(instances) != 1:
        return None
    row = instances[0]
    if type(row) is not list or body.special or not body.is_clean(keys=1):
        return None
    try:
        return np.frombuffer(signature.packer.pack(*row), signature.inputs[0].dtype)[np.newaxis]
    except (StructError, OverflowError):
        return None


def _wrong_instance(instances: list[Any], spec: TensorSpec, body: Body) -> RefusedInput:
    """Return the error about the first instance that does not fit, or differs in shape from the first one."""
    mixed = next(
        (index for index, each in enumerate(instances) if isinstance(each, dict) and not is_base64(each)), None
    )
    if mixed is not None:
        return RefusedInput(f"Expecting value/list but got object at item {mixed} of input list")
    return _wrong_element(instances, spec, body, key="")


def _wrong_element(values: list[Any], spec: TensorSpec, body: Body, *, key: str) -> RefusedInput:
    """Return the error about the first value that does not fit, or differs in shape from the first one.

    There must be such a value. This is a binary search: to check each value alone takes much longer than all together.
    """
    first, end = 0, len(values)
    while end - first > 1:
        middle = (first + end) // 2
        try:
            tensor([values[0], *values[first:middle]], spec, clean=False, special=body.special)
        except RefusedInput:
            end = middle
        else:
            first = middle
    where = f"Failed to process element: {first}{key} of 'instances' list."
    return RefusedInput(f"{where} Error: INVALID_ARGUMENT: {_reason(values[0], values[first], spec, body)}")


def _reason(first: object, value: object, spec: TensorSpec, body: Body) -> str:
    """Return why a value does not fit, or how its shape differs from that of the first one."""
    try:
        expected, got = (tensor(each, spec, clean=False, special=body.special) for each in (first, value))
    except RefusedInput as fault:
        return fault.message
    if got.size != expected.size:
        return f"Expecting tensor size: {expected.size} but got: {got.size}"
    return f"Expecting shape {_sizes(expected.shape)} but got: {_sizes(got.shape)}"


def _records(records: Sequence[Any] | np.ndarray, specs: list[TensorSpec], body: Body) -> list[np.ndarray]:
    names = {spec.name for spec in specs}
    for index, record in enumerate(records):
        if not isinstance(record, dict) or is_base64(record):
            raise RefusedInput(f"Expecting object but got list at item {index} of input list")
        if record.keys() != names:
            raise _other_keys(index, record, names)
    clean = body.is_clean(keys=len(body.document) + (SIGNATURE_NAME in body.document) + len(records) * len(specs))
    return [_field(records, spec, body, clean=clean) for spec in specs]


def _other_keys(index: int, record: dict[str, Any], names: set[str]) -> RefusedInput:
    element = f"Failed to process element: {index}"
    unknown = next((key for key in record if key not in names), None)
    if unknown is not None:
        reason = f"JSON object: does not have named input: {unknown[:256]}"
        return RefusedInput(f"{element} key: {unknown[:256]} of 'instances' list. Error: INVALID_ARGUMENT: {reason}")
    text = malformed(record, f"keys must be equal to: {','.join(sorted(names))}").message.removeprefix("JSON Value: ")
    return RefusedInput(f"{element} of 'instances' list. JSON object: {text}")


def _field(records: Sequence[Any] | np.ndarray, spec: TensorSpec, body: Body, *, clean: bool) -> np.ndarray:
    """Return one input of all records."""
    values = [record[spec.name] for record in records]
    try:
        return tensor(values, spec, clean=clean, special=body.special)
    except RefusedInput:
        raise _wrong_element(values, spec, body, key=f" key: {spec.name}") from None


def _sizes(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _columns(value: Any, specs: list[TensorSpec], body: Body) -> list[np.ndarray]:  # noqa: ANN401 - any JSON value
    keys = len(body.document) + (SIGNATURE_NAME in body.document)
    if not isinstance(value, dict) or is_base64(value):
        if len(specs) > 1:
            raise RefusedInput(f"inputs is a plain value/list, but expecting an object {_NEEDS_OBJECT}")
        return [tensor(value, specs[0], clean=body.is_clean(keys=keys), special=body.special)]
    clean = body.is_clean(keys=keys + len(value))
    arrays = []
    for spec in specs:
        if spec.name not in value:
            raise RefusedInput(f"Missing named input: {spec.name} in 'inputs' object.")
        arrays.append(tensor(value[spec.name], spec, clean=clean, special=body.special))
    return arrays
