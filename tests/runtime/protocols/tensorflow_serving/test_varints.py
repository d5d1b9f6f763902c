"""Whole numbers as packed varints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.protobuf import delimited
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.tensorflow_serving.varints import packed


@given(
    st.sampled_from([("i4", "int_val"), ("i8", "int64_val"), ("u4", "uint32_val"), ("u8", "uint64_val")]).flatmap(
        lambda pair: st.tuples(hnp.arrays(np.dtype(pair[0]), st.integers(1, 30)), st.just(pair[1]))
    )
)
def test_protobuf_packs_the_same(pair: tuple[np.ndarray, str]) -> None:
    numbers, field = pair
    content = packed(numbers)
    assert tf.TensorProto(**{field: numbers.tolist()}).SerializeToString()[-len(content) :] == content
    number = tf.TensorProto.DESCRIPTOR.fields_by_name[field].number
    read = tf.TensorProto.FromString(delimited(number, content))
    assert list(getattr(read, field)) == numbers.tolist()


@pytest.mark.parametrize("largest", [1, 127, 128, 2**40])
def test_many_numbers_are_packed_like_a_few(largest: int) -> None:
    numbers = np.arange(200_000) % (largest + 1)
    assert packed(numbers) == b"".join(packed(part) for part in np.array_split(numbers, 7))


def test_an_empty_array_is_empty_bytes() -> None:
    assert packed(np.empty(0, np.int64)) == b""
