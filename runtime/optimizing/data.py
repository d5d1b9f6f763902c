"""Calibration and evaluation data: arrays by the names of the model's inputs and, as labels, of an output.

The rows of all inputs are along the first axis. An input that fixes its first axis to another size than 1, or has no
axes, is one sample: its array has one more axis in front, along which the samples are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from runtime.model.signature import Signature, fits
from runtime.optimizing.reasons import one_line
from runtime.optimizing.values import BadData, Data
from runtime.tensors import STRING, TensorSpec

_LABEL_KINDS: Final = "biufUSO"  # bool, integers, floats and strings


def signature_of(path: Path, *, name: str) -> Signature:
    """Open a model, and return its inputs and outputs. Raises `InvalidModel`."""
    from runtime.model.session import Session

    return Session(path, uri=str(path), name=name, threads=1).signature


def read_data(path: Path, signature: Signature) -> Data:
    """Read an .npz file. Raises `BadData` for a file that is none, and as `data_from`."""
    source = str(path)
    try:
        arrays = _arrays(path)
    except Exception as error:  # numpy, zipfile and zlib raise many kinds of errors for a damaged file
        reason = one_line(str(error)) or type(error).__name__
        raise BadData(source, "the file", got=reason, expected="an .npz file without Python objects") from error
    if arrays is None:
        raise BadData(source, "the file", got="a single array", expected="an .npz file, as numpy.savez writes")
    return data_from(arrays, signature, source=source)


def _arrays(path: Path) -> Mapping[str, np.ndarray] | None:
    """Return the arrays of a file by their names; None: it is a single array."""
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        return {name: archive[name] for name in archive.files} if isinstance(archive, np.lib.npyio.NpzFile) else None


def data_from(arrays: Mapping[str, np.ndarray], signature: Signature, *, source: str = "data") -> Data:
    """Check arrays against the model's inputs and outputs. Raises `BadData` with the array and what is expected.

    `source` is where the data comes from, for the error.
    """
    inputs = {spec.name: _input(arrays, spec, source) for spec in signature.inputs}
    counts = {name: len(array) for name, array in inputs.items()}
    if not counts:
        raise BadData(source, "inputs", got="a model without inputs", expected="a model with at least one input")
    if len(set(counts.values())) > 1:
        got = ", ".join(f"{count} rows in {name}" for name, count in counts.items())
        raise BadData(source, "inputs", got=got, expected="as many rows in each input")
    rows = next(iter(counts.values()))
    outputs = {spec.name: spec for spec in signature.outputs}
    others = {name: array for name, array in arrays.items() if name not in inputs}
    for name in others:
        if name not in outputs:
            known = ", ".join([*inputs, *outputs])
            raise BadData(source, name, got="an unknown name", expected=f"inputs and outputs of the model: {known}")
    if len(others) > 1:
        got = f"labels of {' and '.join(others)}"
        raise BadData(source, "outputs", got=got, expected="labels of one output, by which a variant is judged")
    return Data(inputs, {name: _label(np.asarray(array), name, rows, source) for name, array in others.items()})


def is_sample(spec: TensorSpec) -> bool:
    """Return whether the input has no axis of rows, so that data has one more axis."""
    return spec.shape is not None and not spec.holds_rows


def rows_between(signature: Signature, tensors: Sequence[np.ndarray], start: int, end: int) -> list[np.ndarray]:
    """Return the inputs of a run with these rows of data, whose arrays are in the order of the inputs."""
    return [
        np.asarray(each[start] if is_sample(spec) else each[start:end], order="C")  # a scalar stays one
        for spec, each in zip(signature.inputs, tensors, strict=True)
    ]


def _input(arrays: Mapping[str, np.ndarray], spec: TensorSpec, source: str) -> np.ndarray:
    if spec.containers:
        raise BadData(source, spec.name, got=f"an input of type {spec.datatype}", expected="a model with tensors only")
    if spec.name not in arrays:
        got = f"no array of this name, only {', '.join(map(repr, arrays)) or 'none'}"
        raise BadData(source, spec.name, got=got, expected=spec.describe())
    array = _of_type(np.asarray(arrays[spec.name]), spec, source)
    shape, first = (array.shape[1:], 0) if is_sample(spec) else (array.shape, 1)
    if not array.ndim or not fits(spec, shape, first):
        samples = ", and one more axis in front: the samples" if is_sample(spec) else ""
        raise BadData(source, spec.name, got=f"shape {list(array.shape)}", expected=spec.describe() + samples)
    if not len(array):
        raise BadData(source, spec.name, got="no rows", expected="at least one row")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row_number = int(np.argwhere(~np.isfinite(array))[0][0])
        raise BadData(source, spec.name, got=f"NaN or infinity in row {row_number}", expected="finite numbers")
    return array


def _of_type(array: np.ndarray, spec: TensorSpec, source: str) -> np.ndarray:
    """Return the array in the input's element type. Only strings are converted, as .npz has them in another form."""
    if spec.dtype == STRING and array.dtype.kind in "US":
        return _texts(array, spec.name, source)
    if array.dtype != spec.dtype:
        raise BadData(source, spec.name, got=f"element type {array.dtype.name}", expected=spec.describe())
    return array


def _label(array: np.ndarray, name: str, rows: int, source: str) -> np.ndarray:
    if not array.ndim or len(array) != rows:
        raise BadData(source, name, got=f"shape {list(array.shape)}", expected=f"one label for each of {rows} rows")
    if array.dtype.kind not in _LABEL_KINDS:
        raise BadData(source, name, got=f"element type {array.dtype.name}", expected="numbers, booleans or strings")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadData(source, name, got="NaN or infinity", expected="finite labels")
    return _texts(array, name, source) if array.dtype.kind in "US" else array


def _texts(array: np.ndarray, name: str, source: str) -> np.ndarray:
    try:
        return array.astype(str).astype(object)
    except UnicodeDecodeError as error:
        raise BadData(source, name, got="bytes that are not ASCII", expected="an array of str, or of ASCII") from error
