"""Examples: the models that classify or regress, the rows of their inputs, and the results of their outputs."""

from collections.abc import Sequence

import numpy as np
import pytest

from runtime.errors import InvalidInput
from runtime.protocols.tensorflow_serving import examples
from runtime.protocols.tensorflow_serving.examples import Classifier, Example
from runtime.tensors import Shape, TensorSpec, as_array

FLOAT, DOUBLE, INT, TEXT = np.dtype("f4"), np.dtype("f8"), np.dtype("i8"), np.dtype(object)


def spec(
    name: str, dtype: np.dtype[np.generic] = FLOAT, shape: Shape | None = ("n", 2), containers: tuple[str, ...] = ()
) -> TensorSpec:
    return TensorSpec(name, dtype, shape, containers)


def floats(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def texts(*values: str) -> np.ndarray:
    return np.array(values, object)


ZIPMAP = spec("output_probability", shape=None, containers=("sequence", "map of string"))
MAP = spec("m", shape=None, containers=("map of string",))
SCORES, LABEL = spec("probabilities"), spec("label", INT, ("n",))
VALUE, COLUMN = spec("v", shape=("n",)), spec("c", shape=("n", 1))


@pytest.mark.parametrize(
    ("dtype", "shape", "features", "expected"),
    [
        (FLOAT, ("n", 2), [floats(1, 2), floats(3, 4)], [[1, 2], [3, 4]]),
        (FLOAT, ("n", 2), [ints(1, 2), floats(3.5, 4)], [[1, 2], [3.5, 4]]),
        (DOUBLE, ("n",), [floats(0.5)], [0.5]),
        (FLOAT, ("n", 2, 1), [floats(1, 2)], [[[1], [2]]]),
        (FLOAT, ("n", None), [floats(1, 2, 3), floats(4, 5, 6)], [[1, 2, 3], [4, 5, 6]]),
        (FLOAT, ("n", "k", 2), [floats(1, 2, 3, 4)], [[[1, 2], [3, 4]]]),
        (FLOAT, ("n", 0), [floats()], [[]]),
        (FLOAT, None, [floats(1, 2)], [[1, 2]]),
        (FLOAT, (1, 2), [floats(1, 2)], [[1, 2]]),
        (INT, ("n", 1), [ints(7), ints(-8)], [[7], [-8]]),
        (np.dtype(bool), ("n", 2), [ints(0, 1)], [[False, True]]),
        (np.dtype("u1"), ("n",), [ints(255)], [255]),
        (TEXT, ("n", 1), [texts("é")], [["é"]]),
        (np.dtype("f2"), ("n",), [floats(1e6)], [np.inf]),
    ],
)
def test_an_input_has_a_row_for_each_example(
    dtype: np.dtype[np.generic], shape: Shape | None, features: Sequence[np.ndarray], expected: object
) -> None:
    [array] = examples.tensors([{"x": each, "other": texts("ignored")} for each in features], [spec("x", dtype, shape)])
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.array(expected, dtype))


def test_an_optional_input_is_absent() -> None:
    absent, x = examples.tensors([{"x": floats(1, 2)}], [spec("o", shape=None, containers=("optional",)), spec("x")])
    assert absent.item() is None
    assert x.tolist() == [[1, 2]]


def test_inputs_are_in_the_order_of_the_model() -> None:
    both: Example = {"b": floats(3, 4), "a": floats(1, 2)}
    first, second = examples.tensors([both], [spec("a"), spec("b")])
    assert (first.tolist(), second.tolist()) == ([[1, 2]], [[3, 4]])


@pytest.mark.parametrize(
    ("of", "sent", "message"),
    [
        (spec("x"), [], "examples: got none; expected at least one example"),
        (spec("x"), [{"x": floats(1, 2)}, {}], r"examples\[1\].x: got no such feature; expected float32\[n, 2\]"),
        (spec("x"), [{"x": texts("a", "b")}], r"examples\[0\].x: got a bytes_list; expected float32\[n, 2\]"),
        (spec("x", INT), [{"x": floats(1, 2)}], r"examples\[0\].x: got a float_list; expected int64\[n, 2\]"),
        (spec("x", TEXT), [{"x": ints(1, 2)}], r"examples\[0\].x: got an int64_list; expected string\[n, 2\]"),
        (spec("x", np.dtype("u1")), [{"x": ints(0, 256)}], "got a number out of range; expected 0 to 255"),
        (spec("x", np.dtype("u1")), [{"x": ints(-1, 0)}], "got a number out of range; expected 0 to 255"),
        (spec("x", np.dtype(bool)), [{"x": ints(2, 0)}], "got a number out of range; expected 0 to 1"),
        (spec("x"), [{"x": floats(1, 2)}, {"x": floats(1)}], r"examples\[1\].x: got 1 values; expected 2"),
        (
            spec("x", shape=("n", None)),
            [{"x": floats(1, 2)}, {"x": floats(1)}],
            r"examples\[1\].x: got 1 values; expected the same number in each example",
        ),
        (
            spec("x", shape=("n", None, 2)),
            [{"x": floats(1)}],
            r"examples\[0\].x: got 1 values; expected a multiple of 2, the same",
        ),
        (
            spec("x", shape=("n", None, 0)),
            [{"x": floats(1)}],
            r"examples\[0\].x: got 1 values; expected the same number",
        ),
        (spec("x", shape=("n", "a", "b")), [{"x": floats(1)}], "x: got .* with several unknown sizes in a row"),
        (spec("x", shape=()), [{"x": floats(1)}], r"got an input of float32\[\]; expected a tensor of rows"),
        (MAP, [{"m": floats(1)}], r"got an input of map\(string, float32\); expected a tensor of rows"),
    ],
)
def test_a_feature_that_does_not_fill_its_row_is_named(of: TensorSpec, sent: list[Example], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        examples.tensors(sent, [of])


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([SCORES], Classifier(0, None)),
        ([LABEL, SCORES], Classifier(1, None)),
        ([LABEL, ZIPMAP], Classifier(1, None)),
        ([spec("anything", DOUBLE, None)], Classifier(0, None)),
        ([spec("classes", TEXT), spec("scores")], Classifier(1, 0)),
        (
            [spec("classes", TEXT, ("n",)), spec("scores")],
            Classifier(1, None),
        ),  # the label of the row, not of each score
        ([spec("classes", INT), spec("scores")], Classifier(1, None)),
        ([spec("classes", TEXT), ZIPMAP], Classifier(1, None)),
        ([spec("embedding"), SCORES], Classifier(1, None)),
        ([SCORES, spec("scores")], Classifier(1, None)),
        ([LABEL], Classifier(None, 0)),
        ([spec("label", TEXT)], Classifier(None, 0)),
        ([VALUE, spec("classes", TEXT)], Classifier(None, 1)),
    ],
)
def test_the_outputs_of_a_classifier_are_found(outputs: list[TensorSpec], expected: Classifier) -> None:
    assert examples.classifier(outputs) == expected


@pytest.mark.parametrize(
    "outputs",
    [
        [VALUE],
        [MAP],
        [spec("a"), spec("b")],
        [spec("image", shape=("n", 3, 4, 4))],
        [VALUE, LABEL],
        [spec("classes"), spec("b")],
        [spec("s", shape=None, containers=("sequence",))],
    ],
)
def test_a_model_with_other_outputs_is_not_a_classifier(outputs: list[TensorSpec]) -> None:
    with pytest.raises(
        InvalidInput, match=r"signature: got outputs \(.*expected outputs for tensorflow/serving/classify"
    ):
        examples.classifier(outputs)


def test_without_labels_the_label_is_the_index_of_the_class() -> None:
    scores = np.array([[0.25, 0.75], [1, 0]], DOUBLE)
    assert examples.classes(Classifier(0, None), [scores], 2) == [[("0", 0.25), ("1", 0.75)], [("0", 1), ("1", 0)]]


def test_scores_are_rounded_to_float32() -> None:
    [[(_, score)]] = examples.classes(Classifier(0, None), [np.array([[0.1]])], 1)
    assert score == float(np.float32(0.1))


def test_scores_have_the_labels_of_the_output_classes() -> None:
    labels, scores = np.array([["b", "a"]], object), np.array([[0.5, 0.25]], FLOAT)
    assert examples.classes(Classifier(1, 0), [labels, scores], 1) == [[("b", 0.5), ("a", 0.25)]]


def test_a_map_has_labels_and_scores() -> None:
    maps = as_array([{"ham": 0.5, "spam": 0.25}, {1: 1.0}])
    assert examples.classes(Classifier(0, None), [maps], 2) == [[("ham", 0.5), ("spam", 0.25)], [("1", 1.0)]]


@pytest.mark.parametrize("labels", [np.array([3, 4]), np.array([["3"], ["4"]], object)])
def test_the_score_of_a_label_without_scores_is_zero(labels: np.ndarray) -> None:
    assert examples.classes(Classifier(None, 0), [labels], 2) == [[("3", 0.0)], [("4", 0.0)]]


@pytest.mark.parametrize(
    ("plan", "outputs", "message"),
    [
        (Classifier(0, None), [np.zeros((3, 2))], r"got scores of shape \[3, 2\]; expected 2 rows by classes"),
        (Classifier(0, None), [np.zeros(2)], r"got scores of shape \[2\]; expected 2 rows by classes"),
        (Classifier(0, None), [np.zeros(())], r"got scores of shape \[\]"),
        (Classifier(None, 0), [np.zeros(3)], r"got classes of shape \[3\]; expected 2 rows"),
        (
            Classifier(0, 1),
            [np.zeros((2, 3)), np.zeros((2, 2), object)],
            r"got classes of shape \[2, 2\]; expected .*3",
        ),
    ],
)
def test_outputs_of_another_shape_than_the_model_states_are_refused(
    plan: Classifier, outputs: list[np.ndarray], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        examples.classes(plan, outputs, 2)


@pytest.mark.parametrize(
    ("outputs", "place"),
    [
        ([VALUE], 0),
        ([LABEL, COLUMN], 1),
        ([spec("v", shape=None)], 0),
        ([VALUE, COLUMN, spec("outputs", shape=("n",))], 2),
        ([VALUE, spec("outputs")], 0),
    ],
)
def test_an_output_of_one_float_per_row_is_a_regression(outputs: list[TensorSpec], place: int) -> None:
    assert examples.regressor(outputs) == place


@pytest.mark.parametrize("outputs", [[SCORES], [LABEL], [VALUE, COLUMN], [ZIPMAP], [spec("v", shape=())]])
def test_a_model_with_other_outputs_is_not_a_regressor(outputs: list[TensorSpec]) -> None:
    with pytest.raises(InvalidInput, match="expected outputs for tensorflow/serving/regress: exactly one float output"):
        examples.regressor(outputs)


def test_each_row_has_its_value() -> None:
    assert examples.values(np.array([0.5, 2], FLOAT), 2) == [0.5, 2]
    assert examples.values(np.array([[0.5], [2]], DOUBLE), 2) == [0.5, 2]


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_values_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"got outputs of shape .* expected \[2\] or \[2, 1\]"):
        examples.values(np.zeros(shape), 2)


def test_the_copies_of_the_context_have_a_limit() -> None:
    """Otherwise a small request could use any amount of memory."""
    context = np.zeros(2**20, np.float32)
    with pytest.raises(InvalidInput, match="expected at most 134217728 bytes"):
        examples.tensors([{"x": context}] * 33, [spec("x", shape=("n", "m"))])
