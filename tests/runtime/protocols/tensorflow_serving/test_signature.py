"""A model's signature in TensorFlow's terms."""

import numpy as np

from runtime.model import elements
from runtime.protocols.protos import tensorflow_pb2
from runtime.protocols.tensorflow_serving import signature
from runtime.tensors import STRING, TensorSpec

FLOAT = np.dtype(np.float32)
ROWS = TensorSpec("x", FLOAT, ("batch", 3))
MAPS = TensorSpec("probabilities", FLOAT, None, ("sequence", "map of int64"))


def test_every_element_type_of_onnx_has_the_name_and_number_of_the_enum() -> None:
    names = dict(tensorflow_pb2.DataType.items())
    for word in elements._NUMPY | elements._NARROW:
        spec = elements.spec_of("x", f"tensor({word})", [], scalar=True, uri="m.onnx")
        found = signature.data_type(spec.dtype)
        assert names[found.name] == found.number


def test_an_error_names_float16_and_strings_as_tensorflow_does() -> None:
    assert signature.data_type(np.dtype(np.float16)).word == "half"
    assert signature.data_type(STRING).word == "string"


def test_a_dynamic_axis_is_minus_one_and_an_unknown_rank_is_none() -> None:
    assert signature.dimensions(ROWS) == [-1, 3]
    assert signature.dimensions(ROWS._replace(shape=())) == []
    assert signature.dimensions(ROWS._replace(shape=None)) is None


def test_other_values_than_tensors_are_omitted() -> None:
    assert signature.tensors([ROWS, MAPS]) == [ROWS]


def test_a_signature_has_the_form_of_protobufs_json() -> None:
    assert signature.signature_def([ROWS], [MAPS, TensorSpec("label", np.dtype(np.int64), None)]) == {
        "inputs": {
            "x": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {
                    "dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}],
                    "unknown_rank": False,
                },
                "name": "x",
            }
        },
        "outputs": {
            "label": {"dtype": "DT_INT64", "tensor_shape": {"dim": [], "unknown_rank": True}, "name": "label"},
        },
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
