"""Tests of the check of calibration and evaluation data."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from runtime.model.signature import Signature
from runtime.optimizing import BadData, data_from, read_data
from runtime.tensors import STRING, TensorSpec

FLOAT = np.dtype(np.float32)
SCORES = Signature(
    (TensorSpec("x", FLOAT, ("batch", 3)), TensorSpec("ids", np.dtype(np.int64), ("batch", "tokens"))),
    (TensorSpec("label", np.dtype(np.int64), ("batch",)), TensorSpec("scores", FLOAT, ("batch", 2))),
)
X = np.ones((4, 3), np.float32)
IDS = np.ones((4, 7), np.int64)


def one(spec: TensorSpec) -> Signature:
    return Signature((spec,), (TensorSpec("y", FLOAT, ("batch",)),))


def test_arrays_by_the_names_of_the_inputs_are_the_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=X, ids=IDS)
    data = read_data(tmp_path / "rows.npz", SCORES)
    assert data.rows == 4
    assert list(data.inputs) == ["x", "ids"]
    assert np.array_equal(data.inputs["x"], X)
    assert not data.expected


def test_an_array_by_the_name_of_an_output_is_its_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=X, ids=IDS, label=np.array([0, 1, 2, 3]))
    assert read_data(tmp_path / "rows.npz", SCORES).expected["label"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"x": X}, "rows: ids: got no array of this name, only 'x'; expected int64[batch, tokens]"),
        ({}, "rows: x: got no array of this name, only none; expected float32[batch, 3]"),
        ({"x": X[:, :2], "ids": IDS}, "rows: x: got shape [4, 2]; expected float32[batch, 3]"),
        ({"x": X[0], "ids": IDS}, "rows: x: got shape [3]; expected float32[batch, 3]"),
        ({"x": X.astype(np.float64), "ids": IDS}, "rows: x: got element type float64; expected float32[batch, 3]"),
        ({"x": X[:0], "ids": IDS[:0]}, "rows: x: got no rows; expected at least one row"),
        ({"x": X[:3], "ids": IDS}, "rows: inputs: got 3 rows in x, 4 rows in ids; expected as many rows in each input"),
        (
            {"x": np.where(np.eye(4, 3) > 0, np.nan, X).astype(np.float32), "ids": IDS},
            "rows: x: got NaN or infinity in row 0; expected finite numbers",
        ),
        (
            {"x": X, "ids": IDS, "y": X},
            "rows: y: got an unknown name; expected inputs and outputs of the model: x, ids, label, scores",
        ),
        (
            {"x": X, "ids": IDS, "label": np.zeros(4), "scores": np.zeros(4)},
            (
                "rows: outputs: got labels of label and scores; "
                "expected labels of one output, by which a variant is judged"
            ),
        ),
        (
            {"x": X, "ids": IDS, "label": np.zeros(3)},
            "rows: label: got shape [3]; expected one label for each of 4 rows",
        ),
        (
            {"x": X, "ids": IDS, "label": np.zeros(4, np.complex64)},
            "rows: label: got element type complex64; expected numbers, booleans or strings",
        ),
        (
            {"x": X, "ids": IDS, "scores": np.full((4, 2), np.nan)},
            "rows: scores: got NaN or infinity; expected finite labels",
        ),
    ],
)
def test_arrays_that_do_not_fit_the_model_are_an_error(arrays: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(BadData) as caught:
        data_from(arrays, SCORES, source="rows")
    assert str(caught.value) == text


def test_a_model_with_a_fixed_first_axis_gets_samples_along_one_more_axis() -> None:
    signature = one(TensorSpec("x", FLOAT, (4, 3)))
    assert data_from({"x": np.ones((10, 4, 3), np.float32)}, signature).rows == 10
    with pytest.raises(BadData, match="one more axis in front: the samples"):
        data_from({"x": X}, signature)


def test_an_input_without_axes_gets_samples_along_its_only_axis() -> None:
    assert data_from({"x": np.ones(5, np.float32)}, one(TensorSpec("x", FLOAT, ()))).rows == 5


def test_an_input_of_unknown_rank_accepts_rows_of_any_shape() -> None:
    assert data_from({"x": np.ones((2, 5, 6), np.float32)}, one(TensorSpec("x", FLOAT, None))).rows == 2


def test_strings_are_accepted_as_numpy_stores_them_without_objects(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", text=np.array(["a", "bc"]))
    data = read_data(tmp_path / "rows.npz", one(TensorSpec("text", STRING, ("batch",))))
    assert (data.inputs["text"].dtype, data.inputs["text"].tolist()) == (STRING, ["a", "bc"])


def test_a_model_with_containers_or_without_inputs_has_no_data() -> None:
    with pytest.raises(BadData, match="expected a model with tensors only"):
        data_from({}, one(TensorSpec("x", FLOAT, None, ("sequence",))))
    with pytest.raises(BadData, match="expected a model with at least one input"):
        data_from({}, Signature((), ()))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text"])
def test_a_file_that_is_no_npz_is_an_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.npz"
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"rows\.npz: the file: got .*; expected an \.npz file"):
        read_data(path, SCORES)


def damaged(path: Path, *, header: bytes | None = None) -> Path:
    """Write an archive with one compressed array, whose data is damaged, or whose header of 128 bytes is replaced."""
    array = io.BytesIO()
    np.save(array, np.zeros(4096, np.float32))
    content = array.getvalue()
    if header is not None:
        content = content[:10] + header.ljust(117) + b"\n" + content[128:]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    if header is None:
        body = bytearray(path.read_bytes())
        body[40:60] = b"\xff" * 20
        path.write_bytes(body)
    return path


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (4096,",
        b"{'descr': (",
    ],
)
def test_a_damaged_archive_is_an_error_with_its_name(tmp_path: Path, header: bytes | None) -> None:
    with pytest.raises(BadData, match=r"rows\.npz: the file: got .*; expected an \.npz file"):
        read_data(damaged(tmp_path / "rows.npz", header=header), SCORES)


def test_bytes_that_are_not_ascii_are_an_error() -> None:
    text = one(TensorSpec("text", STRING, ("batch",)))
    with pytest.raises(BadData, match="rows: text: got bytes that are not ASCII; expected an array of str"):
        data_from({"text": np.array([b"\xc3\xa9"])}, text, source="rows")
    with pytest.raises(BadData, match="rows: label: got bytes that are not ASCII"):
        data_from({"x": X, "ids": IDS, "label": np.array([b"\xe9"] * 4)}, SCORES, source="rows")


def test_a_single_array_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", X)
    with pytest.raises(BadData, match="got a single array"):
        read_data(tmp_path / "rows.npy", SCORES)


def test_python_objects_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.array([{}], object), ids=IDS)
    with pytest.raises(BadData, match="without Python objects"):
        read_data(tmp_path / "rows.npz", SCORES)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="No such file"):
        read_data(tmp_path / "rows.npz", SCORES)
