"""ModelInfer's messages: raw and typed tensors, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.model.signature import Signature
from runtime.protocols.open_inference import contents, messages, outline
from runtime.protocols.protos import open_inference_pb2 as pb
from runtime.tensors import Query
from tests.protocols.open_inference.signatures import (
    DATATYPES,
    model,
    predicted,
    same,
    signature_of,
    spec,
    tensors,
)

BIG = outline.SMALL  # bytes; a longer message is not given to protobuf whole


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


def item(name: str = "x", datatype: str = "FP32", shape: tuple[int, ...] = (1, 2), **fields: Any) -> Any:  # noqa: ANN401
    return pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape, **fields)


def asked(*inputs: Any, **fields: Any) -> pb.ModelInferRequest:  # noqa: ANN401
    return pb.ModelInferRequest(model_name="m", inputs=inputs, **fields)


def typed(datatype: str, tensor: np.ndarray) -> Any:  # noqa: ANN401
    flat = tensor.reshape(-1).tolist()
    values = [text.encode() for text in flat] if datatype == "BYTES" else flat
    return item("x", datatype, tensor.shape, contents={contents.PLACES[datatype].name: values})


@pytest.mark.parametrize("datatype", DATATYPES)
@given(data=st.data())
def test_a_response_read_back_as_a_request_gives_the_same_tensor(datatype: str, data: st.DataObject) -> None:
    tensor = data.draw(tensors(datatype))
    signature = signature_of(spec("x", DATATYPES[datatype], None))
    answer = encoded(Query((), form=[messages.Wanted(0, binary=True)], id="7"), signature, tensor)
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "1", "7")
    [output] = answer.outputs
    request = asked(item("x", output.datatype, output.shape), raw_input_contents=answer.raw_output_contents)
    assert same(bound(signature, request).tensors[0], tensor)


@pytest.mark.parametrize("datatype", contents.PLACES)
@given(data=st.data())
def test_typed_contents_are_read_as_they_were_written(datatype: str, data: st.DataObject) -> None:
    tensor = data.draw(tensors(datatype))
    signature = signature_of(spec("x", DATATYPES[datatype], None))
    request = asked(typed(datatype, tensor))
    assert same(bound(signature, request).tensors[0], tensor)
    tensor_, known = request.inputs[0], messages.interface.of(signature)
    span = memoryview(tensor_.contents.SerializeToString())
    assert same(contents.read_large([span], known.inputs["x"], tensor.shape), tensor)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("datatype", contents.PLACES)
def test_large_tensors_are_read_as_small_ones_are(datatype: str, *, raw: bool) -> None:
    random = np.random.default_rng(0)
    count = 300_000
    if datatype == "BYTES":
        tensor = np.array([str(each) for each in random.integers(0, 10**6, count)], object)
    else:
        bits = 8 * DATATYPES[datatype].itemsize
        tensor = random.integers(0, 2**bits - 1, count, np.uint64).astype(DATATYPES[datatype])
    signature = signature_of(spec("x", DATATYPES[datatype], None))
    request = typed(datatype, tensor)
    if raw:
        request = item("x", datatype, tensor.shape)
    message = asked(request, id="9", raw_input_contents=[bytes(messages.datatypes.write(tensor))] if raw else [])
    query = bound(signature, message)
    assert same(query.tensors[0], tensor)
    assert query.id == "9"
    assert query.tensors[0].flags.aligned
    answer = encoded(query, signature, tensor)
    assert answer.raw_output_contents[0] == bytes(messages.datatypes.write(tensor))
