"""TensorProto: both forms of every type, TensorFlow's rule for missing elements, and invalid tensors."""

from collections.abc import Sequence

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.errors import InvalidInput
from runtime.protobuf import delimited
from runtime.protocols import outline
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.tensorflow_serving import tensor_proto
from runtime.protocols.tensorflow_serving.signature import data_type
from runtime.tensors import STRING, Shape, TensorSpec

LIMIT = 1 << 20
PLAIN = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
NARROW = [
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e4m3fnuz,
    ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e5m2fnuz,
    ml_dtypes.float4_e2m1fn,
    ml_dtypes.int4,
    ml_dtypes.uint4,
    ml_dtypes.int2,
    ml_dtypes.uint2,
]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
FLOAT = np.dtype("f4")


def spec(dtype: object, shape: Shape | None = None) -> TensorSpec:
    return TensorSpec("x", np.dtype(dtype), shape)  # type: ignore[call-overload]


def serialized(array: np.ndarray) -> bytes:
    return b"".join(tensor_proto.write(array))


def message(dtype: int, sizes: Sequence[int], **fields: object) -> tf.TensorProto:
    shape = tf.TensorShapeProto(dim=[tf.TensorShapeProto.Dim(size=size) for size in sizes])
    return tf.TensorProto(dtype=dtype, tensor_shape=shape, **fields)  # type: ignore[arg-type]


def read(proto: object, dtype: object = FLOAT, *, limit: int = LIMIT) -> np.ndarray:
    """Read it as a message, and as a part of a large one; check that both are equal."""
    assert isinstance(proto, tf.TensorProto)
    array = tensor_proto.read("x", proto, spec(dtype), limit=limit)
    large = tensor_proto.read("x", memoryview(proto.SerializeToString()), spec(dtype), limit=limit)
    assert (large.dtype, large.shape) == (array.dtype, array.shape)
    assert large.tobytes() == array.tobytes() or array.dtype == STRING
    return array


def arrays() -> st.SearchStrategy[np.ndarray]:
    """Return a strategy for arrays of every type, with any bits."""
    plain = st.sampled_from(PLAIN).flatmap(lambda name: hnp.arrays(np.dtype(name), SHAPES))
    texts = hnp.arrays(
        object, SHAPES, elements=st.text(st.characters(exclude_categories=["Cs"]), max_size=5), fill=st.nothing()
    )
    codes = hnp.arrays(np.int8, SHAPES, elements=st.integers(0, 1))
    narrow = st.tuples(st.sampled_from(NARROW), codes).map(lambda pair: pair[1].astype(pair[0]))
    return st.one_of(plain, texts, narrow)


def assert_same(one: np.ndarray, other: np.ndarray) -> None:
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    if one.dtype == STRING:
        assert one.tolist() == other.tolist()
    else:
        assert one.tobytes() == other.tobytes()  # NaN and -0 too


@given(arrays())
def test_arrays_survive_a_round_trip_bit_by_bit(array: np.ndarray) -> None:
    proto = tf.TensorProto.FromString(serialized(array))
    assert not proto.tensor_content  # as in TensorFlow Serving: clients read the field of the type
    assert_same(read(proto, array.dtype), array)


@given(arrays())
def test_tensor_content_is_parsed(array: np.ndarray) -> None:
    if array.dtype == STRING:
        encoded = [text.encode() for text in array.reshape(-1)]
        content = b"".join([bytes([len(each)]) for each in encoded] + encoded)
    else:
        content = array.tobytes()
    proto = message(data_type(array.dtype).number, array.shape, tensor_content=content)
    assert_same(read(proto, array.dtype), array)


@given(arrays())
def test_the_elements_are_in_tensorflows_fields(array: np.ndarray) -> None:
    proto = tf.TensorProto.FromString(serialized(array))
    name = array.dtype.name
    flat = array.reshape(-1)
    if name in {"float16", "bfloat16"}:
        assert list(proto.half_val) == flat.view(np.uint16).tolist()
    elif name.startswith(("float8", "float4")):
        assert proto.float8_val == flat.tobytes()
    elif array.dtype == STRING:
        assert list(proto.string_val) == [text.encode() for text in flat]
    else:
        fields = {"float32": "float", "float64": "double", "int64": "int64", "uint32": "uint32", "uint64": "uint64"}
        values = getattr(proto, f"{fields.get(name, 'bool' if name == 'bool' else 'int')}_val")
        np.testing.assert_array_equal(np.array(values).astype(array.dtype), flat)
    assert [dim.size for dim in proto.tensor_shape.dim] == list(array.shape)
    assert proto.dtype == data_type(array.dtype).number


@pytest.mark.parametrize(
    ("given", "expected"),
    [([7.0], [[7, 7], [7, 7]]), ([1, 2], [[1, 2], [2, 2]]), ([1, 2, 3, 4], [[1, 2], [3, 4]]), ([], [[0, 0], [0, 0]])],
)
def test_the_last_element_fills_the_rest_and_missing_elements_are_zeros(given: list[float], expected: object) -> None:
    assert read(message(tf.DT_FLOAT, [2, 2], float_val=given)).tolist() == expected


def test_missing_strings_are_empty() -> None:
    assert read(message(tf.DT_STRING, [2]), object).tolist() == ["", ""]
    assert read(message(tf.DT_STRING, [2], string_val=[b"a"]), object).tolist() == ["a", "a"]


def test_missing_booleans_and_halves_are_zeros() -> None:
    assert read(message(tf.DT_BOOL, [2]), "?").tolist() == [False, False]
    assert read(message(tf.DT_HALF, [2]), "f2").tolist() == [0, 0]
    assert read(message(tf.DT_BFLOAT16, [1]), ml_dtypes.bfloat16).tolist() == [0]


def test_tensor_content_takes_precedence_over_elements() -> None:
    proto = message(tf.DT_FLOAT, [1], tensor_content=np.float32(5).tobytes(), float_val=[6])
    assert read(proto).tolist() == [5]


def test_a_scalar_needs_no_shape() -> None:
    assert read(tf.TensorProto(dtype=tf.DT_FLOAT, float_val=[2.5])).shape == ()


def test_a_boolean_is_any_byte_that_is_not_zero() -> None:
    assert read(message(tf.DT_BOOL, [3], tensor_content=b"\0\1\2"), "?").tobytes() == b"\0\1\1"


@pytest.mark.parametrize(
    ("proto", "dtype", "expected_message"),
    [
        (
            message(tf.DT_DOUBLE, [1], double_val=[1]),
            "f4",
            r"inputs.x.dtype: got DT_DOUBLE; expected DT_FLOAT, for float32",
        ),
        (message(99, [1]), "f4", "inputs.x.dtype: got data type 99; expected DT_FLOAT"),
        (message(tf.DT_FLOAT, [-1]), "f4", r"inputs.x.tensor_shape: got \[-1\]; expected sizes from 0"),
        (message(tf.DT_FLOAT, [1] * 65), "f4", "got 65 axes; expected the sizes of at most 64 axes"),
        (
            tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape=tf.TensorShapeProto(unknown_rank=True)),
            "f4",
            "got unknown_rank; expected the sizes",
        ),
        (message(tf.DT_FLOAT, [2**40]), "f4", "which needs 4398046511104 bytes; expected at most 1048576 bytes"),
        (message(tf.DT_FLOAT, [2**62, 2**62], float_val=[1]), "f4", "expected at most 1048576 bytes"),
        (message(tf.DT_FLOAT, [0, 2**62]), "f4", "expected at most 1048576 bytes"),
        (message(tf.DT_STRING, [2**18]), object, "expected at most 1048576 bytes"),
        (
            message(tf.DT_FLOAT, [2], tensor_content=b"123"),
            "f4",
            "inputs.x.tensor_content: got 3 bytes; expected 8 for 2 elements of DT_FLOAT",
        ),
        (message(tf.DT_BOOL, [2], tensor_content=b"123"), "?", "got 3 bytes; expected 2"),
        (
            message(tf.DT_FLOAT, [1], float_val=[1, 2]),
            "f4",
            "inputs.x: got 2 elements; expected at most 1, as its shape",
        ),
        (message(tf.DT_FLOAT, [1], double_val=[1]), "f4", "inputs.x: got elements in double_val; expected .*float_val"),
        (message(tf.DT_FLOAT, [1], dcomplex_val=[1]), "f4", "got elements in dcomplex_val"),
        (message(tf.DT_UINT8, [1], int_val=[256]), "u1", "inputs.x.int_val: got 256 to 256; expected 0 to 255"),
        (message(tf.DT_INT8, [2], int_val=[-129, 1]), "i1", "got -129 to 1; expected -128 to 127"),
        (message(tf.DT_INT4, [1], int_val=[8]), ml_dtypes.int4, "expected -8 to 7, for DT_INT4"),
        (
            message(tf.DT_HALF, [1], half_val=[65536]),
            "f2",
            "inputs.x.half_val: got 65536 to 65536; expected 0 to 65535",
        ),
        (
            message(tf.DT_STRING, [2], string_val=[b"a", b"\xff"]),
            object,
            r"inputs.x.string_val\[1\]: got bytes that are not",
        ),
        (message(tf.DT_STRING, [2], tensor_content=b"\1"), object, "tensor_content: got an incomplete varint"),
        (message(tf.DT_STRING, [2], tensor_content=b"\1\1a"), object, "got 3 bytes; expected 4 for strings"),
    ],
)
def test_a_tensor_that_does_not_fit_the_input_is_refused(
    proto: tf.TensorProto, dtype: object, expected_message: str
) -> None:
    for tensor in (proto, memoryview(proto.SerializeToString())):
        with pytest.raises(InvalidInput, match=expected_message):
            tensor_proto.read("x", tensor, spec(dtype), limit=LIMIT)


def test_a_large_tensor_may_have_several_parts() -> None:
    """Protobuf allows several parts of a packed field and of a message."""
    start = message(tf.DT_INT64, [5], int64_val=[1, -2]).SerializeToString()
    end = tf.TensorProto(int64_val=[300, 2**62, -(2**63)]).SerializeToString()
    array = tensor_proto.read("x", memoryview(start + end), spec("i8"), limit=LIMIT)
    assert array.tolist() == [1, -2, 300, 2**62, -(2**63)]


def test_large_tensors_of_whole_numbers_are_parsed_in_pieces() -> None:
    numbers = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 100_000)
    content = serialized(numbers)
    assert len(content) > 2 * outline._PIECE
    assert_same(tensor_proto.read("x", memoryview(content), spec("i8"), limit=LIMIT), numbers)


def test_a_few_unpacked_numbers_are_parsed() -> None:
    described = message(tf.DT_FLOAT, [2]).SerializeToString()
    single = b"\x2d" + np.float32(1).tobytes() + b"\x2d" + np.float32(2).tobytes()
    assert tensor_proto.read("x", memoryview(described + single), spec("f4"), limit=LIMIT).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("content", "expected_message"),
    [
        (b"\x2d" + np.float32(1).tobytes() + delimited(5, np.float32(1).tobytes()), "both packed and unpacked numbers"),
        (b"\x2d\0\0\0\0" * 20_000, "more than 65536 bytes besides its large"),
        (delimited(5, b"123"), "an incomplete number; expected packed float32"),
        (b"\x2a\x7f", "invalid protobuf"),
        (b"\xff" * 11, "invalid protobuf"),
        (b"\x12\x02\x12\x7f", "invalid protobuf"),
    ],
)
def test_a_part_of_a_large_message_that_is_malformed_is_refused(content: bytes, expected_message: str) -> None:
    described = message(tf.DT_FLOAT, [2]).SerializeToString()
    with pytest.raises(InvalidInput, match=expected_message):
        tensor_proto.read("x", memoryview(described + content), spec("f4"), limit=LIMIT)


def test_packed_numbers_without_an_end_are_refused() -> None:
    described = message(tf.DT_INT64, [2]).SerializeToString()
    endless = delimited(10, b"\xff" * (3 * outline._PIECE))
    with pytest.raises(InvalidInput, match="invalid protobuf"):
        tensor_proto.read("x", memoryview(described + endless), spec("i8"), limit=LIMIT)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_tensor_or_refused(content: bytes) -> None:
    try:
        array = tensor_proto.read("x", memoryview(content), spec("f4"), limit=1000)
    except InvalidInput:
        return
    assert array.nbytes <= 1000
