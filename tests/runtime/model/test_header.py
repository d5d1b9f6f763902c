"""The header of a model file equals what the onnx package reads."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.model.header import ModelHeader, header_of, read_header, read_version
from runtime.protobuf import delimited


def made(*weights: np.ndarray, domains: dict[str, int]) -> onnx.ModelProto:
    """Return a model with these weights and operator sets."""
    values = [numpy_helper.from_array(each, f"w{index}") for index, each in enumerate(weights)]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        values,
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="p", producer_version="1.2")


def test_the_header_has_the_versions_and_the_producer() -> None:
    header = header_of(made(np.ones(3, np.float32), domains={"": 17, "ai.onnx.ml": 3}).SerializeToString())
    assert header == ModelHeader("onnx", 9, {"ai.onnx": 17, "ai.onnx.ml": 3}, "p", "1.2", "float32")
    assert header.opset == 17


def test_other_fields_are_skipped() -> None:
    model = made(domains={"": 17})
    model.domain = "com.example"
    unknown = delimited(8, b"\x10\x11" + delimited(99, b"later"))  # an operator set with a further field
    assert header_of(model.SerializeToString() + unknown).domains == {"ai.onnx": 17}


def test_a_model_without_standard_operators_has_no_opset() -> None:
    assert header_of(made(domains={"ai.onnx.ml": 3}).SerializeToString()).opset is None


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((), None),
        ((np.ones(100, np.int64),), None),
        ((np.ones((10, 10), np.int8), np.ones(10, np.float32)), "int8"),
        ((np.ones((5, 5), np.int8), np.ones(10, np.float32)), "float32"),
        ((np.float16(1).reshape(()),), "float16"),
    ],
)
def test_the_weights_have_the_element_type_with_the_most_bytes(
    weights: tuple[np.ndarray, ...], expected: str | None
) -> None:
    assert header_of(made(*weights, domains={"": 17}).SerializeToString()).weights == expected


def test_weights_in_another_file_are_counted_too(tmp_path: Path) -> None:
    model = made(np.ones((64, 64), np.int8), np.ones(8, np.float32), domains={"": 17})
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="w", size_threshold=0)
    assert read_header(tmp_path / "m.onnx").weights == "int8"


def test_dimensions_may_be_packed() -> None:
    packed = delimited(1, b"\x03\x04") + b"\x10\x03"  # dims [3, 4] in one field, int8
    single = b"\x08\x02\x10\x01"  # dims [2], float32
    assert header_of(delimited(7, delimited(5, packed) + delimited(5, single))).weights == "int8"


def test_onnx_runtimes_format_has_only_its_name() -> None:
    assert header_of(b"\0\0\0\0ORTM" + b"\0" * 8) == ModelHeader("ort")


@pytest.mark.parametrize("content", [b"\xff" * 20, b"\x3a\xff\x01"])
def test_other_bytes_are_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        header_of(content)


@pytest.mark.parametrize(("stated", "expected"), [(7, 7), (0, None)])
def test_the_version_of_the_model_is_read_if_it_is_stated(tmp_path: Path, stated: int, expected: int | None) -> None:
    model = made(np.ones(3, np.float32), domains={"": 17})
    model.model_version = stated
    onnx.save(model, tmp_path / "m.onnx")
    assert read_version(tmp_path / "m.onnx") == expected


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x18\x00\x00\x00ORTM"])
def test_a_file_that_is_not_read_here_has_no_version(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert read_version(tmp_path / "m.onnx") is None
