"""The messages of ModelStreamInfer, parsed by protobuf with the public names and numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.protocols.open_inference import stream
from runtime.protocols.protos import open_inference_pb2 as pb

FAULT = InvalidInput("inputs", got="\ud800", expected="ä")


def check_final(response: pb.ModelInferResponse) -> None:
    assert {name: value.bool_param for name, value in response.parameters.items()} == {"triton_final_response": True}


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.binary()), st.booleans())
def test_an_answer_has_the_response_and_is_marked_as_final(id: str, raw: list[bytes], view: bool) -> None:  # noqa: A002, FBT001 - the field's name
    response = pb.ModelInferResponse(model_name="m", id=id, raw_output_contents=raw)
    content = response.SerializeToString()
    message = pb.ModelStreamInferResponse.FromString(stream.succeeded(memoryview(content) if view else content))
    check_final(message.infer_response)
    del message.infer_response.parameters["triton_final_response"]
    assert (message.error_message, message.infer_response) == ("", response)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.binary(max_size=100)))
def test_an_error_has_its_message_and_the_id_of_the_request(id: str, raw: list[bytes]) -> None:  # noqa: A002 - the field's name
    request = pb.ModelInferRequest(model_name="m", id=id, raw_input_contents=raw).SerializeToString()
    message = pb.ModelStreamInferResponse.FromString(stream.failed(FAULT, memoryview(request)))
    assert message.error_message == "inputs: got \\ud800; expected ä"
    assert message.infer_response.id == id
    check_final(message.infer_response)


@pytest.mark.parametrize("request_", [b"", b"\xff", b"\x1a\x05ab", b"\x1a\x02\xff\xff"])
def test_the_error_of_an_invalid_request_has_no_id(request_: bytes) -> None:
    message = pb.ModelStreamInferResponse.FromString(stream.failed(FAULT, request_))
    assert message.infer_response.id == ""
    assert message.error_message
