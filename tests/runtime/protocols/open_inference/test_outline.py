"""Large messages are split without protobuf, and the size of their rest is bounded."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.protobuf import delimited
from runtime.protocols.open_inference import outline
from runtime.protocols.protos import open_inference_pb2 as pb


def split(message: bytes) -> tuple[pb.ModelInferRequest, list[bytes], dict[int, list[bytes]]]:
    rest, raw, typed = outline.outline(memoryview(message))
    contents = {number: [bytes(each) for each in spans] for number, spans in typed.items()}
    return pb.ModelInferRequest.FromString(rest), [bytes(each) for each in raw], contents


@st.composite
def requests(draw: st.DrawFn) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=draw(st.text(max_size=9)), id=draw(st.text(max_size=9)))
    for each in draw(st.lists(st.tuples(st.text(max_size=9), st.lists(st.integers(0, 9), max_size=3)), max_size=3)):
        item = request.inputs.add(name=each[0], shape=each[1])
        if draw(st.booleans()):
            item.contents.fp32_contents.extend(draw(st.lists(st.floats(width=32, allow_nan=False), max_size=3)))
    request.raw_input_contents.extend(draw(st.lists(st.binary(max_size=9), max_size=3)))
    request.outputs.extend(
        pb.ModelInferRequest.InferRequestedOutputTensor(name=each) for each in draw(st.lists(st.text(max_size=5)))
    )
    return request


@settings(deadline=None)
@given(requests())
def test_the_parts_together_are_the_whole_message(request: pb.ModelInferRequest) -> None:
    rest, raw, typed = split(request.SerializeToString())
    rest.raw_input_contents.extend(raw)
    for number, spans in typed.items():
        for span in spans:
            rest.inputs[number].contents.MergeFromString(span)
    assert rest == request


def test_contents_in_several_parts_are_merged() -> None:
    one, two = (pb.InferTensorContents(fp32_contents=[each]).SerializeToString() for each in (1, 2))
    message = delimited(5, b"") + delimited(5, delimited(5, one) + delimited(1, b"x") + delimited(5, two))
    request, _, typed = split(message)
    assert [each.name for each in request.inputs] == ["", "x"]
    assert typed == {1: [one, two]}


def test_unknown_fields_are_omitted() -> None:
    assert split(b"\x78\x01" + delimited(99, b"?") + delimited(1, b"m"))[0] == pb.ModelInferRequest(model_name="m")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (delimited(5, b"") * 5000, "more than 4096 fields"),
        (delimited(5, delimited(3, b"") * 5000), "more than 4096 fields"),
        (b"\x78\x01" * 5000, "more than 4096 fields"),
        (delimited(1, b"m" * 70_000), "names, shapes and parameters"),
        (delimited(5, delimited(3, b"\1" * 70_000)), "names, shapes and parameters"),
        (delimited(7, b"x" * 100)[:-1], "does not fit"),
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "incomplete varint"),
        (b"\x3b", "wire type 3"),
    ],
)
def test_invalid_and_oversized_messages_are_refused(message: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        split(message)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_split_or_refused(message: bytes) -> None:
    with suppress(InvalidInput):
        outline.outline(memoryview(message))
