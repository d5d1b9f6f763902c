"""ModelInfer's messages: raw and typed tensors, and invalid requests."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.model.signature import Signature
from runtime.protocols.open_inference import contents, datatypes, interface, messages, outline
from runtime.protocols.open_inference.interface import RequestedOutput
from runtime.protocols.protos import open_inference_pb2 as pb
from runtime.tensors import Query
from tests.runtime.protocols.open_inference.signatures import (
    DATATYPES,
    ONE,
    TWO,
    model,
    predicted,
    same,
    signature_of,
    tensors,
)
from tests.runtime.tensor_specs import spec

BIG = outline.SMALL  # bytes; protobuf does not parse a longer message at once


def bound(signature: Signature, request: pb.ModelInferRequest | bytes) -> Query:
    message = request if isinstance(request, bytes) else request.SerializeToString()
    method = messages.ModelInfer()
    [query] = method.bind(method.decode(message), model(signature))
    return query


def refused(signature: Signature, request: pb.ModelInferRequest | bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        bound(signature, request)
    return raised.value


def encoded(query: Query, signature: Signature, *outputs: np.ndarray) -> pb.ModelInferResponse:
    pieces = messages.ModelInfer().encode([query], [predicted(*outputs)], model(signature), latency=0.0)
    return pb.ModelInferResponse.FromString(b"".join(pieces))


def item(name: str = "x", datatype: str = "FP32", shape: Iterable[int] = (1, 2), **fields: Any) -> Any:  # noqa: ANN401
    return pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape, **fields)


def infer_request(*inputs: Any, **fields: Any) -> pb.ModelInferRequest:  # noqa: ANN401
    return pb.ModelInferRequest(model_name="m", inputs=inputs, **fields)


def typed(datatype: str, tensor: np.ndarray) -> Any:  # noqa: ANN401
    flat = tensor.reshape(-1).tolist()
    values = [text.encode() for text in flat] if datatype == "BYTES" else flat
    return item("x", datatype, tensor.shape, contents={contents.PLACES[datatype].name: values})


@pytest.mark.parametrize("datatype", DATATYPES)
@settings(deadline=None)
@given(data=st.data())
def test_the_tensor_of_a_response_is_valid_in_a_request(datatype: str, data: st.DataObject) -> None:
    tensor = data.draw(tensors(datatype))
    signature = signature_of(spec("x", None, DATATYPES[datatype]))
    answer = encoded(Query((), form=[RequestedOutput(0, binary=True)], id="7"), signature, tensor)
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "1", "7")
    [output] = answer.outputs
    request = infer_request(item("x", output.datatype, output.shape), raw_input_contents=answer.raw_output_contents)
    assert same(bound(signature, request).tensors[0], tensor)


@pytest.mark.parametrize("datatype", contents.PLACES)
@settings(deadline=None)
@given(data=st.data())
def test_typed_contents_survive_a_round_trip(datatype: str, data: st.DataObject) -> None:
    tensor = data.draw(tensors(datatype))
    signature = signature_of(spec("x", None, DATATYPES[datatype]))
    request = infer_request(typed(datatype, tensor))
    assert same(bound(signature, request).tensors[0], tensor)
    tensor_, known = request.inputs[0], interface.of(signature)
    span = memoryview(tensor_.contents.SerializeToString())
    assert same(contents.read_large([span], known.inputs["x"], tensor.shape), tensor)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("datatype", contents.PLACES)
def test_large_tensors_are_parsed_like_small_ones(datatype: str, *, raw: bool) -> None:
    random = np.random.default_rng(0)
    count = 300_000
    if datatype == "BYTES":
        tensor = np.array([str(each) for each in random.integers(0, 10**6, count)], object)
    else:
        bits = 8 * DATATYPES[datatype].itemsize
        tensor = random.integers(0, 2**bits - 1, count, np.uint64).astype(DATATYPES[datatype])
    signature = signature_of(spec("x", None, DATATYPES[datatype]))
    request = typed(datatype, tensor)
    if raw:
        request = item("x", datatype, tensor.shape)
    message = infer_request(request, id="9", raw_input_contents=[bytes(datatypes.write(tensor))] if raw else [])
    query = bound(signature, message)
    assert same(query.tensors[0], tensor)
    assert query.id == "9"
    assert query.tensors[0].flags.aligned
    answer = encoded(query, signature, tensor)
    assert answer.raw_output_contents[0] == bytes(datatypes.write(tensor))


def test_inputs_and_outputs_are_found_by_name() -> None:
    a, b = np.array([[1, 2]], "f4"), np.array([[3, 4]], "i8")
    request = infer_request(
        item("b", "INT64"),
        item("a"),
        raw_input_contents=[b.tobytes(), a.tobytes()],
        outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in "ba"],
    )
    query = bound(TWO, request)
    assert [each.tolist() for each in query.tensors] == [a.tolist(), b.tolist()]
    answer = encoded(query, TWO, a, b)
    assert [each.name for each in answer.outputs] == ["b", "a"]
    assert list(answer.raw_output_contents) == [b.tobytes(), a.tobytes()]
    assert not answer.id


def test_an_optional_input_may_be_absent() -> None:
    signature = Signature((spec("o", None, "f4", "optional"),), (spec("y"),))
    [absent] = bound(signature, infer_request()).tensors
    assert absent.item() is None
    [present] = bound(signature, infer_request(item("o"), raw_input_contents=[b"\0" * 8])).tensors
    assert present.tolist() == [[0, 0]]


def parameters(**values: int) -> dict[str, Any]:
    return {name: pb.InferParameter(int64_param=value) for name, value in values.items()}


ZEROS = [b"\0" * 8]
FLOATS = {"fp32_contents": [1, 2]}


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (infer_request(item("z"), raw_input_contents=ZEROS), "inputs[0].name"),
        (infer_request(item(datatype="FP64"), raw_input_contents=ZEROS), "inputs.x.datatype"),
        (infer_request(item(shape=(1, 3)), raw_input_contents=ZEROS), "inputs.x.shape"),
        (infer_request(item(shape=(-1, 2)), raw_input_contents=ZEROS), "inputs.x.shape"),
        (infer_request(item(shape=(2, 2)), raw_input_contents=ZEROS), "inputs.x"),
        (infer_request(item(), item(), raw_input_contents=ZEROS * 2), "inputs.x"),
        (infer_request(item(), raw_input_contents=ZEROS * 2), "raw_input_contents"),
        (infer_request(item(contents=FLOATS), raw_input_contents=ZEROS), "inputs.x"),
        (infer_request(item(shape=(2, 2), contents=FLOATS)), "inputs.x.contents.fp32_contents"),
        (infer_request(item(contents={"fp64_contents": [1, 2]})), "inputs.x.contents.fp32_contents"),
        (infer_request(item()), "inputs.x.contents.fp32_contents"),
        (infer_request(), "inputs.x"),
        (
            infer_request(item(parameters=parameters(shared_memory_region=1))),
            "inputs.x.parameters.shared_memory_region",
        ),
        (
            infer_request(item(contents=FLOATS), outputs=[{"name": "x", "parameters": parameters(classification=1)}]),
            "outputs[0].parameters.classification",
        ),
        (infer_request(item(contents=FLOATS), outputs=[{"name": "z"}]), "outputs[0].name"),
        (infer_request(item(contents=FLOATS), outputs=[{"name": "x"}] * 2), "outputs[1].name"),
        (b"\x0a\x05m", "message"),
    ],
)
def test_an_error_names_the_field(sent: pb.ModelInferRequest | bytes, field: str) -> None:
    assert refused(ONE, sent).details["field"] == field


def test_numbers_beyond_the_datatype_are_refused() -> None:
    signature = signature_of(spec("x", ("n",), "i1"))
    error = refused(signature, infer_request(item("x", "INT8", (3,), contents={"int_contents": [127, -129, 0]})))
    assert str(error) == "inputs.x.contents.int_contents: got -129 at 1; expected numbers of INT8"


def test_strings_that_are_not_utf_8_are_refused() -> None:
    signature = signature_of(spec("x", ("n",), object))
    error = refused(signature, infer_request(item("x", "BYTES", (2,), contents={"bytes_contents": [b"a", b"\xff"]})))
    assert error.details["field"] == "inputs.x.contents.bytes_contents[1]"


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_halves_are_raw_only(datatype: str) -> None:
    signature = signature_of(spec("x", ("n",), DATATYPES[datatype]))
    assert "there are no typed contents" in str(
        refused(signature, infer_request(item("x", datatype, (2,), contents=FLOATS)))
    )


def test_an_output_without_a_datatype_is_refused_unless_only_others_are_requested() -> None:
    signature = Signature((spec("x"),), (spec("y"), spec("s", None, "f4", "sequence")))
    request = infer_request(item(contents=FLOATS))
    assert "request only y" in str(refused(signature, request))
    request.outputs.add(name="y")
    assert bound(signature, request).form == [RequestedOutput(0, binary=True)]
    nothing = Signature((spec("x"),), (spec("s", None, "f4", "sequence"),))
    assert "use the predict API for this model" in str(refused(nothing, infer_request(item(contents=FLOATS))))


def test_a_message_is_built_from_dictionaries_and_names() -> None:
    config = {"name": "m", "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1]}]}
    message = pb.ModelConfigResponse.FromString(messages.serialized("ModelConfigResponse", config=config))
    assert [each.data_type for each in message.config.input] == [11]
    assert messages.parsed("ModelConfigResponse", message.SerializeToString()) == message


@pytest.mark.parametrize("datatype", ["BOOL", "BYTES", "FP32"])
def test_a_shape_that_numpy_does_not_support_is_refused(datatype: str) -> None:
    signature = signature_of(spec("x", None, DATATYPES[datatype]))
    for shape in ((0, 2**62, 2**62), (1,) * 65):
        error = refused(signature, infer_request(item("x", datatype, shape), raw_input_contents=[b""]))
        assert error.details["field"] == "inputs.x.shape"


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_or_refused(message: bytes) -> None:
    with suppress(InvalidInput):
        bound(ONE, message)


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(-3, 2**63 - 1) | st.integers(0, 3), max_size=70),
    size=st.integers(0, 40),
    datatype=st.sampled_from(sorted(DATATYPES)),
)
def test_shapes_that_do_not_fit_the_bytes_are_refused(shape: list[int], size: int, datatype: str) -> None:
    signature = signature_of(spec("x", None, DATATYPES[datatype]))
    with suppress(InvalidInput):
        query = bound(signature, infer_request(item("x", datatype, shape), raw_input_contents=[b"\0" * size]))
        assert list(query.tensors[0].shape) == shape
