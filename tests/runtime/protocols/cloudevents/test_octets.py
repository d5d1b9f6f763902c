"""One tensor as the bytes of an event's data."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BadEvent, InvalidInput
from runtime.model.signature import Signature
from runtime.protocols.cloudevents import Event, data
from runtime.tensors import STRING, Query
from tests import strategies
from tests.runtime.protocols.cloudevents.events import finish
from tests.runtime.tensor_specs import spec

OUTPUT = (spec("y", ("batch", 1)),)
ONE = Signature((spec("x", ("batch", 3)),), OUTPUT)
TWO = Signature((spec("a", ("batch", 2)), spec("b", ("batch",), "i8")), OUTPUT)
OPTIONAL = Signature((spec("mask", None, "i8", "optional"), spec("x", ("batch", 3))), OUTPUT)
DYNAMIC = Signature((spec("x", ("batch", "length")),), OUTPUT)
FIXED = Signature((spec("x", (2, 3)),), OUTPUT)
ONE_ROW_ONLY = Signature((spec("x", (1, 3)),), OUTPUT)
SCALAR = Signature((spec("x", ()),), OUTPUT)
OPEN = Signature((spec("x", None),), OUTPUT)
FLAGS = Signature((spec("x", ("batch", 2), "?"),), OUTPUT)
BYTES = np.arange(6, dtype="<f4").tobytes()


def event(octets: bytes = BYTES, content_type: str = "application/octet-stream", **attributes: str) -> Event:
    return Event("1", "/s", "t", attributes, content_type, octets)


def bind(given: Event, signature: Signature = ONE) -> Query:
    loaded = data.load(given)
    assert finish(data.load_slices(given)) == loaded
    return data.bind(loaded, signature)


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "Application/Octet-Stream; a=b", "binary/octet-stream"]
)
def test_bytes_are_as_many_rows_as_they_have(content_type: str) -> None:
    query = bind(event(content_type=content_type))
    np.testing.assert_array_equal(query.tensors[0], [[0, 1, 2], [3, 4, 5]])
    assert query.form == (False, False)  # rows, not by name


ALL = {"tensorname": "x", "tensordatatype": "FP32", "tensorshape": "2,3"}


@pytest.mark.parametrize("attributes", [ALL, {**ALL, "tensordatatype": "float32"}, {"tensorshape": "2,3"}])
@pytest.mark.parametrize(
    "signature", [ONE, OPTIONAL, DYNAMIC, FIXED, OPEN], ids=["1", "optional", "dynamic", "fixed", "open"]
)
@pytest.mark.parametrize("content_type", ["application/octet-stream", "application/x-tensor", None])
def test_attributes_describe_the_tensor(
    attributes: Mapping[str, str], signature: Signature, content_type: str | None
) -> None:
    tensor = bind(Event("1", "/s", "t", attributes, content_type, BYTES), signature).tensors[-1]
    np.testing.assert_array_equal(tensor, [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("signature", [ONE, DYNAMIC, ONE_ROW_ONLY], ids=["rows", "dynamic", "one row"])
def test_one_row_can_omit_the_first_axis(signature: Signature) -> None:
    query = bind(event(BYTES[:12], tensorshape="3"), signature)
    np.testing.assert_array_equal(query.tensors[0], [[0, 1, 2]])
    assert query.form.one_row  # type: ignore[attr-defined] # a Form


def test_a_scalar_and_a_fixed_shape_need_no_attribute() -> None:
    assert bind(event(BYTES[4:8]), SCALAR).tensors[0] == 1
    assert bind(event(BYTES[4:8], tensorshape=""), SCALAR).tensors[0].shape == ()
    np.testing.assert_array_equal(bind(event(), FIXED).tensors[0], [[0, 1, 2], [3, 4, 5]])


def test_any_byte_but_zero_is_true() -> None:
    np.testing.assert_array_equal(bind(event(b"\0\1\2\0"), FLAGS).tensors[0], [[False, True], [True, False]])


@pytest.mark.parametrize(
    ("given", "signature", "message"),
    [
        (event(BYTES[:-1]), ONE, "inputs.x: got 23 bytes; expected a multiple of 12 bytes for float32[batch, 3]"),
        (event(BYTES[:8]), ONE, "inputs.x: got 8 bytes; expected a multiple of 12"),
        (event(BYTES * 2), FIXED, "inputs.x: got 48 bytes; expected 24 bytes for float32[2, 3]"),
        (event(), DYNAMIC, "inputs.x: got 24 bytes; expected the attribute tensorshape"),
        (event(), OPEN, "expected the attribute tensorshape"),
        (event(tensorshape="3,3"), ONE, "inputs.x: got 24 bytes; expected 36 bytes for shape [3, 3] of float32"),
        (event(tensorshape="1,2,3"), ONE, "inputs.x: got shape [1, 2, 3]"),
        (event(tensorshape="2x3"), ONE, "event tensorshape: got '2x3'; expected sizes with commas between them"),
        (event(tensorshape="-2,3"), ONE, "event tensorshape"),
        (event(tensorshape="1," * 64 + "1"), ONE, "event tensorshape: got 65 axes; expected at most 64"),
        (event(tensorname="z"), ONE, "event tensorname: got 'z'; expected one of x"),
        (event(tensorname="mask"), OPTIONAL, "data: got the bytes of one tensor; expected JSON with all inputs: x"),
        (event(tensordatatype="FP64"), ONE, 'event tensordatatype: got "FP64"; expected float32 or FP32'),
        (event(), TWO, "data: got the bytes of one tensor; expected JSON with all inputs: a, b"),
        (event(tensorname="a"), TWO, "expected JSON with all inputs: a, b"),
        (event(), Signature((spec("t", ("n",), STRING),), OUTPUT), "inputs.t: got bytes; expected string[n] as JSON"),
        (event(), Signature((spec("s", None, "f4", "sequence"),), OUTPUT), "expected sequence(float32) as JSON"),
        (event(), Signature((spec("x", ("n", 0)),), OUTPUT), "inputs.x: got 24 bytes"),
    ],
)  # fmt: skip
def test_an_error_says_what_is_wrong(given: Event, signature: Signature, message: str) -> None:
    with pytest.raises((BadEvent, InvalidInput)) as refused:
        bind(given, signature)
    assert message in str(refused.value)


@given(strategies.tensors_of_one_input().filter(lambda each: each[1].dtype != STRING))
def test_a_tensor_is_read_as_it_was_written(given_: tuple[Signature, np.ndarray]) -> None:
    signature, array = given_
    described = event(array.tobytes(), tensorshape=",".join(map(str, array.shape)), tensordatatype=array.dtype.name)
    for each in (described, event(array.tobytes())):
        tensor = bind(each, signature).tensors[0]
        assert tensor.dtype == array.dtype
        np.testing.assert_array_equal(tensor, array)


@given(st.binary(min_size=1, max_size=30), st.dictionaries(st.sampled_from([*ALL]), st.text(max_size=5)))
def test_any_bytes_and_attributes_are_read_or_refused(octets: bytes, attributes: dict[str, str]) -> None:
    for signature in (ONE, TWO, DYNAMIC, SCALAR, FLAGS):
        try:
            bind(event(octets, **attributes), signature)
        except (BadEvent, InvalidInput):
            continue
