"""A message is parsed in the same way with and without the cache."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import protobuf
from runtime.errors import InvalidInput
from runtime.model.signature import Signature
from runtime.protocols.open_inference import messages, repeated
from runtime.protocols.open_inference.repeated import Memory
from runtime.protocols.protos import open_inference_pb2 as pb
from tests.runtime.protocols.open_inference.signatures import model, signature_of
from tests.runtime.tensor_specs import spec

VECTOR = signature_of(spec("x", ("batch", 2), np.float32))
PAIR = signature_of(spec("x", ("batch", 2), np.float32), spec("y", ("batch", 2), np.float32))
RAW = 7  # the number of raw_input_contents


def tensor(name: str = "x", shape: Sequence[int] = (1, 2), datatype: str = "FP32") -> bytes:
    item = pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    return protobuf.delimited(5, item.SerializeToString())


def message(*numbers: float, fields: bytes = tensor()) -> bytes:
    raw = np.array(numbers, np.float32).tobytes()
    return protobuf.delimited(1, b"m") + fields + protobuf.delimited(RAW, raw)


def outcome(method: messages.ModelInfer, text: bytes | memoryview, signature: Signature) -> Any:  # noqa: ANN401
    """Return the result of the message, or the message of its error."""
    try:
        call = method.decode(text)
        [query] = method.bind(call, model(signature))
    except InvalidInput as fault:
        return fault.message
    arrays = [(each.dtype, each.shape, each.tobytes()) for each in query.tensors]
    return call.model, call.version, arrays, query.form, query.id, query.deadline


def memory() -> Memory:
    return Memory(partial(messages.parsed, "ModelInferRequest"))


def is_cached(found: Memory, text: bytes) -> bool:
    """Parse the message, and return whether it is cached."""
    found.keep(text, pb.ModelInferRequest.FromString(text))
    return found.find(text) is not None


FIELDS = st.sampled_from(
    [
        protobuf.delimited(1, b"m"),
        protobuf.delimited(2, b"1"),
        protobuf.delimited(3, b"id"),
        tensor(),
        tensor(shape=(2, 1)),
        tensor("y"),
        tensor(datatype="FP64"),
        protobuf.delimited(6, b"\x0a\x01z"),  # an unknown output
        protobuf.delimited(RAW, bytes(8)),
        protobuf.delimited(RAW, b"\x3a\x02ab\x3a\x02ab"),  # looks like two more tensors
        protobuf.delimited(RAW, b"ab"),
        protobuf.delimited(15, protobuf.delimited(RAW, bytes(8))),  # an unknown field that looks like a tensor
        b"\x78\x01",  # an unknown field with a number
    ]
)
TEXTS = st.lists(FIELDS, max_size=6).map(b"".join)


@given(texts=st.lists(TEXTS, min_size=1, max_size=4), cut=st.integers(0, 3), signature=st.sampled_from([VECTOR, PAIR]))
def test_earlier_messages_do_not_change_the_result(texts: list[bytes], cut: int, signature: Signature) -> None:
    method = messages.ModelInfer()
    for text in [*texts, *texts, *(each[: len(each) - cut] for each in texts), *texts]:
        assert outcome(method, text, signature) == outcome(messages.ModelInfer(), text, signature)
        assert outcome(method, memoryview(text), signature) == outcome(messages.ModelInfer(), text, signature)


def test_only_the_numbers_of_a_repeated_message_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    method = messages.ModelInfer()
    assert outcome(method, message(1, 2), VECTOR) == outcome(messages.ModelInfer(), message(1, 2), VECTOR)
    expected = outcome(messages.ModelInfer(), message(3, 4), VECTOR)
    monkeypatch.setattr(messages, "parsed", None)
    outcome_of_first = outcome(method, message(5, 6), VECTOR)  # binds it
    monkeypatch.setattr(messages, "_inputs", None)
    assert outcome(method, message(3, 4), VECTOR) == expected != outcome_of_first


def test_another_signature_of_the_model_is_bound_again() -> None:
    method = messages.ModelInfer()
    for signature in (VECTOR, VECTOR, signature_of(spec("x", ("batch", 3), np.float32)), PAIR, VECTOR):
        assert outcome(method, message(1, 2), signature) == outcome(messages.ModelInfer(), message(1, 2), signature)


@pytest.mark.parametrize(
    "text",
    [
        message(1, 2, fields=tensor() + protobuf.delimited(3, b"id")),
        message(1, 2, fields=tensor() + protobuf.delimited(RAW, bytes(8))),
        message(1, 2, fields=tensor() + protobuf.delimited(4, b"\x0a\x01a")),
        message(1, 2, fields=tensor("x" * 2000)),
        message(1, 2) + b"\x78\x01",
        message(1, 2) + protobuf.delimited(15, protobuf.delimited(RAW, bytes(8))),
        protobuf.delimited(RAW, b"ab") + protobuf.delimited(15, protobuf.delimited(RAW, b"ab")),
        b"",
    ],
    ids=[
        "id",
        "two tensors",
        "parameters",
        "long",
        "a number after",
        "a field after",
        "only a field after",
        "empty",
    ],
)
def test_a_message_that_others_cannot_repeat_is_not_cached(text: bytes) -> None:
    assert not is_cached(memory(), text)


def test_an_unknown_field_that_looks_like_a_tensor_is_not_cached() -> None:
    """The last field is unknown. It is as long as the head of a tensor and a tensor, and has equal bytes."""
    text = protobuf.delimited(RAW, b"ab") + b"\x79" + b"zzzz" + protobuf.delimited(RAW, b"ab")  # 64 bits of field 15
    assert not is_cached(memory(), text)


def test_the_number_of_cached_messages_is_bounded() -> None:
    found = memory()
    texts = [message(*range(count)) for count in range(1, 2 * repeated._MAX_MESSAGES)]
    for text in texts:
        assert is_cached(found, text)
        assert len(found._known) <= repeated._MAX_MESSAGES
    assert found.find(texts[0]) is None
