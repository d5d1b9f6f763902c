"""Messages are read without loading them, and invalid messages are rejected."""

import pytest
from onnx import TensorProto

from runtime.protobuf import BYTES, VARINT, Field, Part, delimited, length_delimited, number, parts, varint

MIXED = b"\x08\x96\x01" + b"\x12\x02ab" + b"\x1d\x00\x00\x00\x00" + b"\x21" + bytes(8) + b"\x08\x07"


def test_length_delimited_fields_are_found_among_all_kinds() -> None:
    assert list(length_delimited(MIXED, 0, len(MIXED))) == [Field(2, 5, 7)]


def test_the_last_value_of_a_field_counts() -> None:
    assert number(MIXED, 0, len(MIXED), 1) == 7
    assert number(MIXED, 0, 3, 1) == 150
    assert number(MIXED, 0, len(MIXED), 9) is None


def test_a_message_written_by_onnx_is_read() -> None:
    tensor = TensorProto(name="scale", data_type=TensorProto.FLOAT, raw_data=b"1234").SerializeToString()
    assert number(tensor, 0, len(tensor), 2) == TensorProto.FLOAT
    assert {tensor[each.start : each.end] for each in length_delimited(tensor, 0, len(tensor))} == {b"scale", b"1234"}


@pytest.mark.parametrize("content", [b"\x12\x05ab", b"\x0b", b"\xff" * 11, b"\x1d\x00", b"\x12"])
def test_an_invalid_message_is_rejected(content: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        list(length_delimited(content, 0, len(content)))


def test_all_fields_are_found_with_their_start_and_content() -> None:
    found = list(parts(MIXED))
    assert found[0] == Part(1, VARINT, 0, 1, 3)
    assert found[1] == Part(2, BYTES, 3, 5, 7)
    assert [part.number for part in found] == [1, 2, 3, 4, 1]
    assert b"".join(MIXED[part.begin : part.end] for part in found) == MIXED


@pytest.mark.parametrize(
    "content", [b"\x12\x05ab", b"\x0b", b"\xff" * 11, b"\x1d\x00", b"\x12", b"\x00\x01", b"\x19\x00\x00"]
)
def test_bytes_without_valid_fields_are_rejected(content: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        list(parts(content))


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**63])
def test_a_written_varint_is_read_as_the_same_number(value: int) -> None:
    assert number(b"\x08" + varint(value), 0, 1 + len(varint(value)), 1) == value


def test_onnx_reads_a_written_message() -> None:
    name = "n" * 200
    assert TensorProto.FromString(delimited(8, name.encode())).name == name
