"""NaN in the weights of a model file is found, in every form in which ONNX stores a tensor."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.model.weights import weight_with_nan

TYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def save(folder: Path, *tensors: onnx.TensorProto, external: bool = False) -> Path:
    """Save a model with these initializers."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([], "g", [value], [value], list(tensors))
    path = folder / "m.onnx"
    onnx.save(helper.make_model(graph), path, save_as_external_data=external, location="w", size_threshold=0)
    return path


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_a_weight_with_nan_is_named(tmp_path: Path, dtype: type[np.generic], *, external: bool) -> None:
    good = np.array([1, -1, np.inf, -np.inf], np.float32).astype(dtype)
    bad = good.copy()
    bad[2] = dtype(np.nan)
    finite = numpy_helper.from_array(good, "finite")
    assert weight_with_nan(save(tmp_path, finite, external=external)) is None
    tensors = (finite, numpy_helper.from_array(bad, "diverged"), finite)
    (tmp_path / "w").unlink(missing_ok=True)
    assert weight_with_nan(save(tmp_path, *tensors, external=external)) == "diverged"


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_typed_fields_are_read_too(tmp_path: Path, kind: int) -> None:
    assert weight_with_nan(save(tmp_path, helper.make_tensor("w", kind, [2], [1.0, np.nan]))) == "w"
    assert weight_with_nan(save(tmp_path, helper.make_tensor("w", kind, [2], [1.0, 2.0]))) is None


def test_integers_are_not_weights(tmp_path: Path) -> None:
    assert weight_with_nan(save(tmp_path, numpy_helper.from_array(np.full(8, -1, np.int32), "w"))) is None


def test_all_blocks_are_read(tmp_path: Path) -> None:
    values = np.zeros(3_000_001, np.float32)
    values[-1] = np.nan
    assert weight_with_nan(save(tmp_path, numpy_helper.from_array(values, "w"))) == "w"


@pytest.mark.parametrize("content", [b"\0\0\0\0ORTM" + b"\xff" * 8, b"\xff" * 20])
def test_a_format_that_cannot_be_read_has_no_weights(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    assert weight_with_nan(tmp_path / "m") is None
