"""The Open Inference Protocol over REST: JSON and binary tensors, and invalid requests."""

import contextlib
from typing import Any

import ml_dtypes
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput, UnknownPath
from runtime.http.messages import Answer, Request
from runtime.model.signature import Signature
from runtime.protocols import open_inference
from runtime.protocols.open_inference import datatypes, rest
from runtime.protocols.open_inference.interface import RequestedOutput
from runtime.tensors import STRING, Query
from tests.runtime.protocols.open_inference.signatures import (
    DATATYPES,
    ONE,
    TWO,
    model,
    predicted,
    same,
    signature_of,
    tensors,
)
from tests.runtime.tensor_specs import spec

HEADER = b"inference-header-content-length"


def bound(signature: Signature, body: bytes, length: int | bytes | None = None, *, whole: bool = True) -> Query:
    headers = [] if length is None else [(HEADER, length if isinstance(length, bytes) else b"%d" % length)]
    request = Request("POST", "/", b"/", b"", headers, "1.1", body)
    request.match = type("Match", (), {"parameters": {"model": "m"}})
    translator = rest.OpenInference()
    if whole:
        return translator.bind(translator.decode(request), model(signature))[0]
    steps = translator.decode_slices(request)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return rest.bind(end.value.parts, signature)


def answer_to(query: Query, signature: Signature, *outputs: np.ndarray) -> Answer:
    return rest.OpenInference().encode([query], [predicted(*outputs)], model(signature), latency=0.0)


def as_request(answer: Answer) -> tuple[bytes, int | None]:
    """Return the answer's outputs as the inputs of a request."""
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)  # type: ignore[arg-type]
    length = dict(answer.headers).get(HEADER)
    size = len(body) if length is None else int(length)
    document = orjson.loads(body[:size])
    head = orjson.dumps({"inputs": document["outputs"], "parameters": {"binary_data_output": length is not None}})
    return head + body[size:], None if length is None else len(head)


@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize("datatype", DATATYPES)
@settings(deadline=None)
@given(data=st.data())
def test_every_datatype_survives_a_round_trip(datatype: str, *, as_bytes: bool, data: st.DataObject) -> None:
    if datatype == "BF16" and not as_bytes:
        return  # JSON has no form for it
    tensor = data.draw(tensors(datatype, finite=not as_bytes))
    signature = signature_of(spec("x", None, DATATYPES[datatype]))
    query = Query((), form=[RequestedOutput(0, as_bytes)])
    body, length = as_request(answer_to(query, signature, tensor))
    for whole in (True, False):
        (read,) = bound(signature, body, length, whole=whole).tensors
        assert same(read, tensor)


def item(name: str = "x", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"name": name, "datatype": "FP32", "shape": [1, 2], "data": [1, 2], **fields}


def body(*inputs: object, **fields: Any) -> bytes:  # noqa: ANN401
    return orjson.dumps({"inputs": inputs, **fields})


def test_inputs_may_have_any_order_and_be_flat_or_nested() -> None:
    a, b = bound(TWO, body(item("b", datatype="INT64", data=[[3, 4]]), item("a"))).tensors
    assert a.tolist() == [[1, 2]]
    assert b.tolist() == [[3, 4]]


def test_the_answer_has_the_id_and_the_requested_outputs_in_order() -> None:
    requested = [{"name": "b"}, {"name": "a", "parameters": {"binary_data": True}}]
    query = bound(TWO, body(item("a"), item("b", datatype="INT64"), id="7", outputs=requested))
    answer = answer_to(query, TWO, np.array([[1, 2]], "f4"), np.array([[3, 4]], "i8"))
    size = int(dict(answer.headers)[HEADER])
    assert isinstance(answer.body, bytes)
    assert orjson.loads(answer.body[:size]) == {
        "model_name": "m",
        "model_version": "1",
        "id": "7",
        "outputs": [
            {"name": "b", "datatype": "INT64", "shape": [1, 2], "data": [3, 4]},
            {"name": "a", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        ],
    }
    assert answer.body[size:] == np.array([1, 2], "f4").tobytes()


def test_a_body_of_only_bytes_is_the_only_input_and_has_a_binary_answer() -> None:
    query = bound(ONE, np.array([1, 2, 3, 4], "f4").tobytes(), 0)
    assert query.tensors[0].tolist() == [[1, 2], [3, 4]]
    assert query.form == [RequestedOutput(0, binary=True)]


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_of_only_bytes_may_fill_a_fixed_shape(*, whole: bool) -> None:
    fixed = signature_of(spec("x", (1, 2), "f4"))
    assert bound(fixed, b"\0" * 8, 0, whole=whole).tensors[0].shape == (1, 2)


BINARY: dict[str, Any] = {"data": None, "parameters": {"binary_data_size": 8}}


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (b"[]", "body"),
        (b"{}", "inputs"),
        (body(1), "inputs[0]"),
        (body(item("z")), "inputs[0].name"),
        (body(item(), item()), "inputs.x"),
        (body(), "inputs.x"),
        (body(item(), id=1), "id"),
        (body(item(datatype="FP64")), "inputs.x.datatype"),
        (body(item(shape=[-1, 2])), "inputs.x.shape"),
        (body(item(shape=[1, 3])), "inputs.x.shape"),
        (body(item(shape=[2])), "inputs.x.shape"),
        (body(item(shape=[1] * 1000)), "inputs.x.shape"),
        (body(item(shape=[0] + [2**62] * 2)), "inputs.x.shape"),
        (body(item(shape=[2, 2])), "inputs.x.data"),
        (body(item(data=[[1], [2]])), "inputs.x.data"),
        (body({"name": "x", "datatype": "FP32", "shape": [1, 2]}), "inputs.x.data"),
        (body(item(**BINARY)), "inputs.x"),
        (body({"name": "x", "parameters": {"binary_data_size": 8}}), "inputs.x.parameters.binary_data_size"),
        (body(item(parameters=[1])), "inputs.x.parameters"),
        (body(item(), outputs=[{"name": "z"}]), "outputs[0].name"),
        (body(item(), parameters={"binary_data_output": 1}), "parameters.binary_data_output"),
    ],
)
def test_an_error_names_the_field(sent: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        bound(ONE, sent)
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("length", [b"x", b"-1", b"3", b"9" * 5000, b""])
def test_a_wrong_header_length_is_refused(length: bytes) -> None:
    with pytest.raises(InvalidInput, match="Inference-Header-Content-Length"):
        bound(ONE, b"{}", length)


def test_an_error_names_datatypes_as_the_protocol_does() -> None:
    with pytest.raises(InvalidInput, match=r"inputs\.x\.data\[1\]: got true; expected .*FP32"):
        bound(ONE, body(item(data=[1, True])))
    with pytest.raises(InvalidInput, match=r"expected FP32\[n, 2\]$"):
        bound(ONE, body())


@pytest.mark.parametrize("name", ["shared_memory_region", "classification"])
def test_a_parameter_that_would_change_the_answer_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        bound(ONE, body(item(parameters={name: "x"})))
    with pytest.raises(InvalidInput, match=name):
        bound(ONE, body(item(), outputs=[{"name": "x", "parameters": {name: 1}}]))


def test_other_parameters_have_no_effect() -> None:
    query = bound(ONE, body(item(parameters={"mine": 1}), parameters={"priority": 3}))
    answer = answer_to(query, ONE, np.zeros((1, 2), "f4"))
    assert isinstance(answer.body, bytes)
    assert "parameters" not in orjson.loads(answer.body)


def test_an_optional_input_may_be_absent() -> None:
    signature = Signature((spec("o", None, "f4", "optional"),), (spec("y"),))
    [absent] = bound(signature, body()).tensors
    assert absent.item() is None
    [there] = bound(signature, body(item("o"))).tensors
    assert there.tolist() == [[1, 2]]


@pytest.mark.parametrize("rows", [10, 200_000])
def test_a_binary_answer_of_any_size_has_its_bytes_after_the_json(rows: int) -> None:
    array = np.random.default_rng(0).random((rows, 2), np.float32)
    answer = answer_to(Query((), form=[RequestedOutput(0, binary=True)]), ONE, array)
    content, length = as_request(answer)
    assert content[length:] == array.tobytes()


def test_extra_bytes_are_refused() -> None:
    head = body(item())
    with pytest.raises(InvalidInput, match="1 extra bytes"):
        bound(ONE, head + b"x", len(head))


@pytest.mark.parametrize("signature", [TWO, signature_of(spec("x", dtype=STRING)), signature_of(spec("x", None, "f4"))])
def test_a_body_of_only_bytes_is_refused_if_the_shape_is_unknown(signature: Signature) -> None:
    with pytest.raises(InvalidInput, match="only bytes"):
        bound(signature, b"12345678", 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\1\0", "at least"),
        (b"\5\0\0\0a", "at least"),
        (b"\1\0\0\0\xff", "UTF-8"),
        (b"\0\0\0\0" * 2, "more than 1 elements"),
    ],
)
def test_invalid_strings_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        datatypes.read("x", memoryview(data), (1,), spec("x", dtype=STRING))


def test_the_strings_of_a_tensor_are_bounded() -> None:
    """The check precedes their parsing."""
    with pytest.raises(InvalidInput, match="1000001 strings; expected at most 1000000"):
        datatypes.read("x", b"", (1_000_001,), spec("x", dtype=STRING))


def test_inputs_and_outputs_without_a_datatype_are_refused_by_name() -> None:
    sequence = spec("s", None, "f4", "sequence")
    with pytest.raises(InvalidInput, match=r"outputs\.s"):
        bound(signature_of(sequence), body(item("s")))
    with pytest.raises(InvalidInput, match=r"inputs\.s"):
        bound(Signature((sequence,), (spec("y"),)), body(item("s")))
    with pytest.raises(InvalidInput, match="BF16"):
        bound(signature_of(spec("x", dtype=ml_dtypes.bfloat16)), body(item(datatype="BF16")))


@settings(deadline=None)
@given(sent=st.binary(max_size=60), length=st.integers(0, 70))
def test_any_bytes_are_parsed_or_refused(sent: bytes, length: int) -> None:
    with contextlib.suppress(InvalidInput):
        bound(ONE, sent, length)


@settings(deadline=None)
@given(head=st.integers(0, 200), sizes=st.lists(st.integers(-5, 40), min_size=2, max_size=2), tail=st.integers(0, 30))
def test_wrong_lengths_are_refused(head: int, sizes: list[int], tail: int) -> None:
    """The two tensors have 8 and 16 bytes; all other lengths are refused."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": [1, 2], "parameters": {"binary_data_size": size}}
        for name, datatype, size in zip("ab", ("FP32", "INT64"), sizes, strict=True)
    ]
    document = orjson.dumps({"inputs": inputs})
    length = len(document) if head > 100 else head
    right = length == len(document) and sizes == [8, 16] and tail == 24
    with contextlib.nullcontext() if right else pytest.raises(InvalidInput):
        bound(TWO, document + b"\0" * tail, length)


def test_an_error_has_the_form_of_the_protocol() -> None:
    answer = open_inference.refuse(UnknownPath("/v2/x"))
    assert answer.status == 404
    assert isinstance(answer.body, bytes)
    assert set(orjson.loads(answer.body)) == {"error"}
