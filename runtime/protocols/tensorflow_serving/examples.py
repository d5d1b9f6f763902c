"""Classification and regression: examples to inputs, outputs to classes or values. For the REST and the gRPC API. Pure.

    tensors      examples -> the model's inputs: an input is the feature with its name, one row for each example
    classifier   finds the outputs with the classes, from the model's outputs only
    regressor    finds the output with the values, from the model's outputs only

TensorFlow's models parse serialized examples themselves and have signatures for both methods. An ONNX model does
neither, so the names, types and shapes of its inputs and outputs decide. If no output has a suitable form, the call is
refused, as TensorFlow Serving refuses a signature of another method.
Sources: tensorflow/core/example/example.proto; TensorFlow Serving, classifier.cc and regressor.cc.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from runtime.errors import InvalidInput
from runtime.model import elements
from runtime.tensors import STRING, TensorSpec, as_array

Example: TypeAlias = Mapping[str, np.ndarray]  # features: float, int64 or object (str), with one axis
Class: TypeAlias = tuple[str, float]  # label and score

CLASSIFY: Final = "tensorflow/serving/classify"
REGRESS: Final = "tensorflow/serving/regress"
_SCORES: Final = ("scores", "probabilities", "probability", "output_probability")  # TensorFlow's name, then skl2onnx's
_CLASSES, _OUTPUTS = "classes", "outputs"  # TensorFlow's names
_MAPS: Final = (("sequence", "map of int64"), ("sequence", "map of string"))  # the types of a ZipMap's output
_BY_CLASS: Final = 2  # axes: rows, classes
_MAX_BYTES: Final = 128 * 2**20  # of an input: four times the largest body, as two bytes of JSON can become eight


class Classifier(NamedTuple):
    """The indices of the outputs with scores and labels; at least one is not None."""

    scores: int | None  # float [rows, classes], or a map from label to score for each row
    labels: int | None  # with scores: string [rows, classes]; without: also whole numbers, and [rows]


def tensors(examples: Sequence[Example], inputs: Sequence[TensorSpec]) -> list[np.ndarray]:
    """Return one array for each input, in the order of the inputs, with a row for each example.

    An optional input is absent. Features with other names are ignored. An input of floats accepts whole numbers.
    Raises `InvalidInput` if a feature is missing, has another type or does not fill a row.
    """
    if not examples:
        raise InvalidInput("examples", got="none", expected="at least one example")
    return [as_array(None) if spec.kind == "optional" else _rows_of(examples, spec) for spec in inputs]


def classifier(outputs: Sequence[TensorSpec]) -> Classifier:
    """Find the outputs with the classes. Raises `InvalidInput` for a model that is not a classifier."""
    scores = _scores(outputs)
    if scores is None:
        labels = 0 if len(outputs) == 1 else _named(outputs, _CLASSES)
        if labels is None or not _is_label(outputs[labels]):
            raise _wrong(CLASSIFY, outputs, "float scores [rows, classes], or only labels")
        return Classifier(None, labels)
    labels = None if outputs[scores].containers else _named(outputs, _CLASSES)
    fits = labels is not None and outputs[labels].dtype == STRING and _may_have_axes(outputs[labels], _BY_CLASS)
    return Classifier(scores, labels if fits else None)


def classes(plan: Classifier, outputs: Sequence[np.ndarray], rows: int) -> list[list[Class]]:
    """Return the classes of each row, with scores rounded to float32.

    Without labels, the label of a class is its index. Without scores, its score is 0, as in TensorFlow Serving's
    messages. Raises `InvalidInput` if the outputs do not have the form that the model states.
    """
    if plan.scores is None:
        labels = _rows("classes", outputs[plan.labels], rows)  # type: ignore[index] # one of both is not None
        return [[(str(label), 0.0) for label in row] for row in labels.reshape(rows, -1).tolist()]
    scores = outputs[plan.scores]
    if scores.dtype == STRING:  # maps
        return [
            [(str(label), float(score)) for label, score in row.items()]
            for row in _rows("scores", scores, rows).tolist()
        ]
    table = _table(scores, rows)
    if plan.labels is None:
        names = [str(index) for index in range(table.shape[1])]
        return [list(zip(names, row, strict=True)) for row in table.tolist()]
    labels = _rows("classes", outputs[plan.labels], rows, axes=_BY_CLASS)
    if labels.shape != table.shape:
        got = f"classes of shape {list(labels.shape)}"
        raise InvalidInput("signature", got=got, expected=f"the shape of scores, {list(table.shape)}")
    return [list(zip(*pair, strict=True)) for pair in zip(labels.tolist(), table.tolist(), strict=True)]


def unlabelled(plan: Classifier, outputs: Sequence[np.ndarray], rows: int) -> np.ndarray | None:
    """Return the scores, float32 [rows, classes], if the labels are the indices of the classes; otherwise None.

    Raises as `classes` does.
    """
    if plan.scores is None or plan.labels is not None or outputs[plan.scores].dtype == STRING:
        return None
    return _table(outputs[plan.scores], rows)


def regressor(outputs: Sequence[TensorSpec]) -> int:
    """Return the index of the output with one value for each row. Raises `InvalidInput` if the model has none."""
    named = _named(outputs, _OUTPUTS)
    if named is not None and _is_value(outputs[named]):
        return named
    found = [place for place, spec in enumerate(outputs) if _is_value(spec)]
    if len(found) != 1:
        raise _wrong(REGRESS, outputs, "exactly one float output of shape [rows] or [rows, 1]")
    return found[0]


def values(output: np.ndarray, rows: int) -> list[float]:
    """Return the value of each row, rounded to float32. Raises `InvalidInput` for an output of another shape."""
    numbers: list[float] = column(output, rows).reshape(rows).tolist()
    return numbers


def column(output: np.ndarray, rows: int) -> np.ndarray:
    """Return the values as float32 [rows, 1]. Raises as `values` does."""
    if output.shape not in {(rows,), (rows, 1)}:
        expected = f"{[rows]} or {[rows, 1]}"
        raise InvalidInput("signature", got=f"outputs of shape {list(output.shape)}", expected=expected)
    return output.reshape(rows, 1).astype(np.float32, copy=False)


def _rows_of(examples: Sequence[Example], spec: TensorSpec) -> np.ndarray:
    return _input([_feature(index, each, spec) for index, each in enumerate(examples)], spec)


def _feature(index: int, example: Example, spec: TensorSpec) -> np.ndarray:
    feature = example.get(spec.name)
    field = f"examples[{index}].{spec.name}"
    if feature is None:
        raise InvalidInput(field, got="no such feature", expected=spec.describe())
    if spec.containers or spec.shape == ():
        got = f"an input of {spec.describe()}"
        raise InvalidInput(field, got=got, expected="a tensor of rows; call Predict for other models")
    kind = elements.kind(spec.dtype)
    allowed = {"f": "fiu", "O": "O"}.get(kind, "iu")
    if feature.dtype.kind not in allowed:
        raise InvalidInput(field, got=_kind(feature), expected=spec.describe())
    if kind in "iub":
        _check_range(field, feature, spec)
    return feature


def _input(features: Sequence[np.ndarray], spec: TensorSpec) -> np.ndarray:
    """Return the features as rows of one array. Raises `InvalidInput` if they do not fill rows of the input's shape."""
    row = tuple(size if isinstance(size, int) else -1 for size in (spec.shape or (-1, -1))[1:])
    if row.count(-1) > 1:
        got = f"an input of {spec.describe()}, with several unknown sizes in a row"
        raise InvalidInput(spec.name, got=got, expected="at most one unknown size in a row; call Predict instead")
    known = math.prod(size for size in row if size != -1)
    first = features[0].size
    for index, feature in enumerate(features):
        size = feature.size
        fits = known and not size % known and size == first if -1 in row else size == known
        if not fits:
            multiple = f"a multiple of {known}, " if known > 1 else ""
            expected = f"{multiple}the same number in each example, for {spec.describe()}" if -1 in row else f"{known}"
            raise InvalidInput(f"examples[{index}].{spec.name}", got=f"{size} values", expected=expected)
    shape = tuple(first // known if size == -1 else size for size in row)
    size = first * len(features) * spec.dtype.itemsize
    if size > _MAX_BYTES:  # each example has a copy of the features of the context
        got = f"{size} bytes in {len(features)} examples, including the features of the context"
        expected = f"at most {_MAX_BYTES} bytes; call Predict instead"
        raise InvalidInput(f"examples.{spec.name}", got=got, expected=expected)
    with np.errstate(over="ignore"):  # a number beyond the range of a narrow float becomes infinity
        return np.concatenate(features).astype(spec.dtype, copy=False).reshape(len(features), *shape)


def _check_range(field: str, feature: np.ndarray, spec: TensorSpec) -> None:
    least, most = (0, 1) if spec.dtype == np.bool_ else elements.whole_range(spec.dtype)
    if feature.size and (int(feature.min()) < least or int(feature.max()) > most):
        raise InvalidInput(field, got="a number out of range", expected=f"{least} to {most} for {spec.describe()}")


def _kind(feature: np.ndarray) -> str:
    return {"f": "a float_list", "O": "a bytes_list"}.get(feature.dtype.kind, "an int64_list")


def _scores(outputs: Sequence[TensorSpec]) -> int | None:
    """Return the index of the only output that can be scores, or of the one among several with a name of scores."""
    found = [place for place, spec in enumerate(outputs) if _is_scores(spec)]
    if len(found) == 1:
        return found[0]
    named = (place for name in _SCORES for place in found if outputs[place].name == name)
    return next(named, None)


def _is_scores(spec: TensorSpec) -> bool:
    if elements.kind(spec.dtype) != "f":
        return False
    if spec.containers:
        return spec.containers in _MAPS
    return _may_have_axes(spec, _BY_CLASS)


def _is_label(spec: TensorSpec) -> bool:
    kind = "" if spec.containers else elements.kind(spec.dtype)
    return kind in ("O", "i", "u") and (_may_have_axes(spec, 1) or _may_have_axes(spec, _BY_CLASS))


def _is_value(spec: TensorSpec) -> bool:
    if spec.containers or elements.kind(spec.dtype) != "f":
        return False
    return spec.shape is None or len(spec.shape) == 1 or (len(spec.shape) == _BY_CLASS and spec.shape[1] == 1)


def _may_have_axes(spec: TensorSpec, count: int) -> bool:
    return spec.shape is None or len(spec.shape) == count


def _named(outputs: Sequence[TensorSpec], name: str) -> int | None:
    return next((place for place, spec in enumerate(outputs) if spec.name == name), None)


def _rows(name: str, output: np.ndarray, rows: int, *, axes: int | None = None) -> np.ndarray:
    """Check that the output has a row for each example, and return it. Raises `InvalidInput`."""
    if not output.shape or len(output) != rows or (axes is not None and output.ndim != axes):
        expected = f"{rows} rows" + (" by classes" if axes else "")
        raise InvalidInput("signature", got=f"{name} of shape {list(output.shape)}", expected=expected)
    return output


def _table(scores: np.ndarray, rows: int) -> np.ndarray:
    return _rows("scores", scores, rows, axes=_BY_CLASS).astype(np.float32, copy=False)


def _wrong(method: str, outputs: Sequence[TensorSpec], expected: str) -> InvalidInput:
    described = ", ".join(f"{spec.name}: {spec.describe()}" for spec in outputs)
    return InvalidInput("signature", got=f"outputs ({described})", expected=f"outputs for {method}: {expected}")
