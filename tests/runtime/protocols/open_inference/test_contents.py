"""Packed varints, decoded with NumPy, in one piece or in several."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.protobuf import delimited, varint
from runtime.protocols.open_inference import contents, interface
from tests.runtime.protocols.open_inference.signatures import signature_of
from tests.runtime.tensor_specs import spec

NUMBERS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 200), max_size=50)
X = interface.of(signature_of(spec("x", None, "u8"))).inputs["x"]


def read(*packs: bytes, count: int) -> np.ndarray:
    spans = [memoryview(delimited(5, each)) for each in packs]
    return contents.read_large(spans, X, (count,))


@settings(deadline=None)
@given(NUMBERS)
def test_packed_numbers_survive_a_round_trip(numbers: list[int]) -> None:
    packed = b"".join(map(varint, numbers))
    assert contents.varints(memoryview(packed)).tolist() == numbers


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=3))
def test_several_packs_are_one_list(packs: list[list[int]]) -> None:
    flat = [number for pack in packs for number in pack]
    assert read(*(b"".join(map(varint, pack)) for pack in packs), count=len(flat)).tolist() == flat


def test_a_long_pack_is_decoded_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_STEP", 16)
    numbers = [2**60, 1, 300, 2**63] * 20
    assert read(b"".join(map(varint, numbers)), count=len(numbers)).tolist() == numbers


@pytest.mark.parametrize("pack", [b"\x80", b"\1\x80", b"\xff" * 11 + b"\1", b"\xff" * 40, b"\1" + b"\xff" * 40 + b"\1"])
@pytest.mark.parametrize("step", [16, 1024])
def test_numbers_without_an_end_are_refused(pack: bytes, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_STEP", step)
    with pytest.raises(InvalidInput, match="invalid packed numbers"):
        read(pack, count=1)


def test_truncated_floats_are_refused() -> None:
    floats = interface.of(signature_of(spec("x", None, "f4"))).inputs["x"]
    with pytest.raises(InvalidInput, match="invalid packed numbers"):
        contents.read_large([memoryview(delimited(6, b"\0" * 7))], floats, (2,))


def test_invalid_contents_are_refused() -> None:
    with pytest.raises(InvalidInput, match="invalid protobuf"):
        contents.read_large([memoryview(b"\x2a\x05")], X, (1,))


def test_lists_of_other_kinds_are_ignored() -> None:
    span = memoryview(delimited(3, b"\x09") + delimited(5, b"\x07"))
    assert contents.read_large([span], X, (1,)).tolist() == [7]


@pytest.mark.parametrize("field", [b"\x78\x01", delimited(8, b"")])
def test_the_fields_of_a_tensor_are_bounded(field: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MANY", 10)
    strings = interface.of(signature_of(spec("x", None, object))).inputs["x"]
    with pytest.raises(InvalidInput, match="more than 10 fields"):
        contents.read_large([memoryview(field * 11)], strings, (11,))


def test_an_empty_tensor_needs_no_list() -> None:
    assert contents.read_large([memoryview(b"")], X, (0,)).shape == (0,)
