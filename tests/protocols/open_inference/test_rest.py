"""The Open Inference Protocol over REST: JSON and binary tensors, and what is refused."""

import contextlib
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtime.errors import InvalidInput, UnknownPath
from runtime.http.messages import Answer, Request
from runtime.model.signature import Signature
from runtime.protocols import open_inference
from runtime.protocols.open_inference import datatypes, rest
from runtime.tensors import STRING, Prediction, Query, Shape, TensorSpec

HEADER = b"inference-header-content-length"
DATATYPES = {
    "BOOL": np.dtype(bool),
    **{f"INT{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    "FP16": np.dtype("f2"),
    "FP32": np.dtype("f4"),
    "FP64": np.dtype("f8"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "BYTES": STRING,
}


def spec(name: str, dtype: Any = "f4", shape: Shape | None = ("n", 2), *containers: str) -> TensorSpec:  # noqa: ANN401
    return TensorSpec(name, np.dtype(dtype), shape, containers)


def signature_of(*inputs: TensorSpec) -> Signature:
    return Signature(inputs, inputs)


ONE = signature_of(spec("x"))
TWO = signature_of(spec("a"), spec("b", "i8"))


def _model(signature: Signature) -> Any:  # noqa: ANN401 - only its signature is read
    return SimpleNamespace(signature=signature)


def bound(signature: Signature, body: bytes, length: int | bytes | None = None, *, whole: bool = True) -> Query:
    headers = [] if length is None else [(HEADER, length if isinstance(length, bytes) else b"%d" % length)]
    request = Request("POST", "/", b"/", b"", headers, "1.1", body)
    request.match = type("Match", (), {"parameters": {"model": "m"}})
    translator = rest.OpenInference()
    if whole:
        return translator.bind(translator.decode(request), _model(signature))[0]
    steps = translator.decode_slices(request)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return rest.bind(end.value.parts, signature)


def answered(query: Query, signature: Signature, *outputs: np.ndarray) -> Answer:
    made = Prediction(outputs, model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)
    return rest.OpenInference().encode([query], [made], _model(signature), latency=0.0)


def as_request(answer: Answer) -> tuple[bytes, int | None]:
    """The answer's outputs, as the inputs of a request."""
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)  # type: ignore[arg-type]
    length = dict(answer.headers).get(HEADER)
    size = len(body) if length is None else int(length)
    document = orjson.loads(body[:size])
    head = orjson.dumps({"inputs": document["outputs"], "parameters": {"binary_data_output": length is not None}})
    return head + body[size:], None if length is None else len(head)


def tensor_of(datatype: str) -> st.SearchStrategy[np.ndarray]:
    shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
    if datatype == "BYTES":
        return arrays.arrays(STRING, shapes, elements=st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
    if datatype == "BF16":
        return arrays.arrays(np.uint16, shapes).map(lambda each: each.view(ml_dtypes.bfloat16))
    finite = {"allow_nan": False, "allow_infinity": False} if datatype.startswith("FP") else None
    return arrays.arrays(DATATYPES[datatype], shapes, elements=finite)


@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize("datatype", DATATYPES)
@given(data=st.data())
def test_every_datatype_reads_back_as_it_was_written(datatype: str, *, as_bytes: bool, data: st.DataObject) -> None:
    if datatype == "BF16" and not as_bytes:
        return  # has no JSON form
    tensor = data.draw(tensor_of(datatype))
    signature = signature_of(spec("x", DATATYPES[datatype], None))
    query = Query((), form=[rest.Wanted(0, as_bytes)])
    body, length = as_request(answered(query, signature, tensor))
    for whole in (True, False):
        (read,) = bound(signature, body, length, whole=whole).tensors
        assert read.dtype == tensor.dtype
        assert read.shape == tensor.shape
        if tensor.dtype == STRING:
            assert read.tolist() == tensor.tolist()
        else:
            assert read.tobytes() == tensor.tobytes()


def item(name: str = "x", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"name": name, "datatype": "FP32", "shape": [1, 2], "data": [1, 2], **fields}


def body(*inputs: object, **fields: Any) -> bytes:  # noqa: ANN401
    return orjson.dumps({"inputs": inputs, **fields})


def test_inputs_come_in_any_order_flat_or_nested() -> None:
    a, b = bound(TWO, body(item("b", datatype="INT64", data=[[3, 4]]), item("a"))).tensors
    assert a.tolist() == [[1, 2]]
    assert b.tolist() == [[3, 4]]


def test_the_id_and_the_outputs_asked_for_come_back_in_order() -> None:
    asked = [{"name": "b"}, {"name": "a", "parameters": {"binary_data": True}}]
    query = bound(TWO, body(item("a"), item("b", datatype="INT64"), id="7", outputs=asked))
    answer = answered(query, TWO, np.array([[1, 2]], "f4"), np.array([[3, 4]], "i8"))
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


def test_bytes_alone_are_the_one_input_and_answered_as_bytes() -> None:
    query = bound(ONE, np.array([1, 2, 3, 4], "f4").tobytes(), 0)
    assert query.tensors[0].tolist() == [[1, 2], [3, 4]]
    assert query.form == [rest.Wanted(0, binary=True)]


@pytest.mark.parametrize("whole", [True, False])
def test_bytes_alone_fill_a_shape_that_the_model_fixes(*, whole: bool) -> None:
    fixed = signature_of(spec("x", "f4", (1, 2)))
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
def test_a_refusal_names_the_field(sent: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        bound(ONE, sent)
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("length", [b"x", b"-1", b"3"])
def test_a_wrong_header_length_is_refused(length: bytes) -> None:
    with pytest.raises(InvalidInput, match="Inference-Header-Content-Length"):
        bound(ONE, b"{}", length)


def test_bytes_behind_the_stated_ones_are_refused() -> None:
    head = body(item())
    with pytest.raises(InvalidInput, match="1 bytes too many"):
        bound(ONE, head + b"x", len(head))


@pytest.mark.parametrize("signature", [TWO, signature_of(spec("x", STRING)), signature_of(spec("x", "f4", None))])
def test_bytes_alone_are_refused_where_the_shape_is_open(signature: Signature) -> None:
    with pytest.raises(InvalidInput, match="bytes alone"):
        bound(signature, b"12345678", 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"\1\0", "at least"), (b"\5\0\0\0a", "at least"), (b"\1\0\0\0\xff", "UTF-8"), (b"\0\0\0\0" * 2, "2 elements")],
)
def test_broken_strings_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        datatypes.read("x", memoryview(data), (1,), spec("x", STRING))


def test_what_is_no_tensor_is_refused_by_name() -> None:
    sequence = spec("s", "f4", None, "sequence")
    with pytest.raises(InvalidInput, match=r"outputs\.s"):
        bound(signature_of(sequence), body(item("s")))
    with pytest.raises(InvalidInput, match=r"inputs\.s"):
        bound(Signature((sequence,), (spec("y"),)), body(item("s")))
    with pytest.raises(InvalidInput, match="BF16"):
        bound(signature_of(spec("x", ml_dtypes.bfloat16)), body(item(datatype="BF16")))


@given(sent=st.binary(max_size=60), length=st.integers(0, 70))
def test_any_bytes_are_read_or_refused(sent: bytes, length: int) -> None:
    with contextlib.suppress(InvalidInput):
        bound(ONE, sent, length)


def test_an_error_has_the_form_of_the_protocol() -> None:
    answer = open_inference.refuse(UnknownPath("/v2/x"))
    assert answer.status == 404
    assert isinstance(answer.body, bytes)
    assert set(orjson.loads(answer.body)) == {"error"}
