"""A message that repeats an earlier one means what it would mean without that one."""

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
from tests.runtime.protocols.open_inference.signatures import model, signature_of, spec

VECTOR = signature_of(spec("x", np.float32, ("batch", 2)))
PAIR = signature_of(spec("x", np.float32, ("batch", 2)), spec("y", np.float32, ("batch", 2)))
RAW = 7  # the number of raw_input_contents


def tensor(name: str = "x", shape: Sequence[int] = (1, 2), datatype: str = "FP32") -> bytes:
    item = pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    return protobuf.delimited(5, item.SerializeToString())


def message(*numbers: float, fields: bytes = tensor()) -> bytes:
    raw = np.array(numbers, np.float32).tobytes()
    return protobuf.delimited(1, b"m") + fields + protobuf.delimited(RAW, raw)


def outcome(method: messages.ModelInfer, text: bytes | memoryview, signature: Signature) -> Any:  # noqa: ANN401
    """What the message means, or the words in which it is refused."""
    try:
        call = method.decode(text)
        [query] = method.bind(call, model(signature))
    except InvalidInput as fault:
        return fault.message
    arrays = [(each.dtype, each.shape, each.tobytes()) for each in query.tensors]
    return call.model, call.version, arrays, query.form, query.id, query.deadline


def memory() -> Memory:
    return Memory(partial(messages.parsed, "ModelInferRequest"))


def kept(found: Memory, text: bytes) -> bool:
    """Whether the message is remembered once it was read."""
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
        protobuf.delimited(6, b"\x0a\x01z"),  # an output that is not there
        protobuf.delimited(RAW, bytes(8)),
        protobuf.delimited(RAW, b"\x3a\x02ab\x3a\x02ab"),  # which looks like two more tensors
        protobuf.delimited(RAW, b"ab"),
        protobuf.delimited(15, protobuf.delimited(RAW, bytes(8))),  # a field that is not known, and looks like a tensor
        b"\x78\x01",  # likewise, a number
    ]
)
TEXTS = st.lists(FIELDS, max_size=6).map(b"".join)


@given(texts=st.lists(TEXTS, min_size=1, max_size=4), cut=st.integers(0, 3), signature=st.sampled_from([VECTOR, PAIR]))
def test_what_came_before_changes_no_meaning(texts: list[bytes], cut: int, signature: Signature) -> None:
    method = messages.ModelInfer()
    for text in [*texts, *texts, *(each[: len(each) - cut] for each in texts), *texts]:
        assert outcome(method, text, signature) == outcome(messages.ModelInfer(), text, signature)
        assert outcome(method, memoryview(text), signature) == outcome(messages.ModelInfer(), text, signature)


def test_only_the_numbers_of_a_repeated_message_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    method = messages.ModelInfer()
    assert outcome(method, message(1, 2), VECTOR) == outcome(messages.ModelInfer(), message(1, 2), VECTOR)
    expected = outcome(messages.ModelInfer(), message(3, 4), VECTOR)
    monkeypatch.setattr(messages, "parsed", None)
    outcome_of_first = outcome(method, message(5, 6), VECTOR)  # binds it
    monkeypatch.setattr(messages, "_inputs", None)
    assert outcome(method, message(3, 4), VECTOR) == expected != outcome_of_first


def test_another_signature_of_the_model_is_looked_at() -> None:
    method = messages.ModelInfer()
    for signature in (VECTOR, VECTOR, signature_of(spec("x", np.float32, ("batch", 3))), PAIR, VECTOR):
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
        "a number behind",
        "a field behind",
        "only a field behind",
        "empty",
    ],
)
def test_what_the_next_message_would_not_repeat_is_not_kept(text: bytes) -> None:
    assert not kept(memory(), text)


def test_a_tensor_that_looks_like_one_behind_another_is_not_kept() -> None:
    """The last field is unknown, as long as the prefix of a tensor and a tensor, and holds those of the one before."""
    text = protobuf.delimited(RAW, b"ab") + b"\x79" + b"zzzz" + protobuf.delimited(RAW, b"ab")  # 64 bits of field 15
    assert not kept(memory(), text)


def test_as_many_messages_are_kept_as_are_bounded() -> None:
    found = memory()
    texts = [message(*range(count)) for count in range(1, 2 * repeated._MOST)]
    for text in texts:
        assert kept(found, text)
        assert len(found._known) <= repeated._MOST
    assert found.find(texts[0]) is None
