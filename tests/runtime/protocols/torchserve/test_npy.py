"""NumPy's file format: the header is checked against the bytes."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.protocols.torchserve import npy


def saved(array: object, *, allow_pickle: bool = False) -> bytes:
    with io.BytesIO() as file:
        np.save(file, np.asarray(array), allow_pickle=allow_pickle)
        return file.getvalue()


def with_header(text: str, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    head = text.encode() + b"\n"
    size = len(head).to_bytes(2 if version == b"\1\0" else 4, "little")
    return npy.MAGIC + version + size + head + content


FOUR = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s)}"


def test_the_array_is_a_view_of_the_bytes() -> None:
    data = memoryview(saved(np.arange(6.0)))
    array = npy.read("x", data)
    assert array.tolist() == [0, 1, 2, 3, 4, 5]
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_both_versions_of_the_format_are_parsed() -> None:
    header = FOUR % "1,"
    for version in (b"\1\0", b"\2\0"):
        assert npy.read("x", memoryview(with_header(header, b"\0\0\x80?", version))).tolist() == [1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        npy.MAGIC,
        npy.MAGIC + b"\3\0" + b"\0" * 8,
        with_header("{'descr': "),
        with_header("__import__('os')"),
        with_header(FOUR % "-1, -1", b"\0" * 4),
        with_header(FOUR % "True, ", b"\0" * 4),
        with_header("{'descr': '<f4'}"),
        with_header(FOUR % "2, " + " " * 20_000, b"\0" * 8),
        with_header(FOUR % f"{10**12}, "),
        with_header(FOUR % "2, ", b"\0" * 9),
        with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\0" * 8),
        with_header("{'descr': '|V4', 'fortran_order': False, 'shape': (1,)}", b"\0" * 4),
        with_header("{'descr': '<U0', 'fortran_order': False, 'shape': (1,)}"),
        with_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", b"\0" * 4),
        with_header("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}", b"\0" * 8),
        saved(np.array([{"a": 1}], object), allow_pickle=True),
        saved([1j]),
    ],
    ids=repr,
)
def test_a_file_without_an_array_of_numbers_or_strings_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^x: got "):
        npy.read("x", memoryview(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    for each in (data, npy.MAGIC + b"\1\0" + data, with_header(FOUR % "1, ", data)):
        with contextlib.suppress(InvalidInput):
            assert npy.read("x", memoryview(each)).dtype.kind in "biufUS"
