"""Tests of the metrics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score, roc_auc_score

from runtime.optimizing.accuracy import agreement, area_under_curve, is_finite, metric_of, score

FLOATS = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], np.float32)


@pytest.mark.parametrize(
    ("expected", "output", "metric", "value"),
    [
        (np.array([1, 2, 3]), np.array([1, 2, 4], np.int64), "accuracy", 2 / 3),
        (np.array([True, False]), np.array([True, True]), "accuracy", 0.5),
        (np.array(["a", "b"], object), np.array(["a", "b"], object), "accuracy", 1.0),
        (np.array([1, 0, 0]), FLOATS, "accuracy", 2 / 3),
        (np.array([1, 0, 0]), np.array([[0.9], [0.1], [0.2]], np.float32), "auc", 1.0),
        (np.array([True, False, False]), np.array([0.15, 0.1, 0.2], np.float32), "auc", 0.5),
        (np.array([1.0, 2.0]), np.array([[1.0], [2.0]], np.float32), "r2", 1.0),
    ],
)
def test_the_metric_is_that_of_the_labels(expected: np.ndarray, output: np.ndarray, metric: str, value: float) -> None:
    found = metric_of(expected, output)
    assert found == metric
    assert score(found, expected, output) == pytest.approx(value)


@pytest.mark.parametrize(
    ("expected", "output", "text"),
    [
        (np.array([1, 2]), np.array([1, 2, 3]), "got an output of 3 rows for 2 labels"),
        (np.array([[1], [2]]), np.array([[1, 2], [3, 4]]), r"got labels of shape \[2, 1\]; expected \[2, 2\]"),
        (np.array([1, 2, 0]), FLOATS, r"got labels from 0 to 2 .*; expected 0 to 1"),
        (np.array([-1, 1, 0]), FLOATS, "got labels from -1 to 1"),
        (np.array([1, 1, 1]), FLOATS[:, 0], "got the labels 1; expected 0 and 1, each at least once"),
        (np.array([0, 1, 2]), FLOATS[:, 0], "got the labels 0, 1, 2"),
        (np.array([0.5, 0.5, 0.5]), FLOATS[:, 0], "all equal"),
        (np.array(["a", "b", "a"], object), FLOATS, r"got labels object\[3\] of an output float32\[3, 2\]"),
        (np.array([0.5, 1.5]), np.array([1, 2]), r"got labels float64\[2\] of an output int64\[2\]"),
    ],
)
def test_labels_that_do_not_fit_the_output_are_an_error(expected: np.ndarray, output: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        metric_of(expected, output)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_the_area_under_the_curve_is_that_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([label for label, _ in rows]), np.array([value for _, value in rows], np.float32)
    if len(set(labels.tolist())) == 2:
        assert area_under_curve(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_r2_is_that_of_scikit_learn() -> None:
    labels, output = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0], np.float32)
    assert score("r2", labels, output) == pytest.approx(r2_score(labels, output))


@pytest.mark.parametrize(
    ("labels", "output"),
    [
        (np.array([1.0, 2.0]), np.array([1e300, 1.0])),
        (np.array([1e-300, 2e-300]), np.array([1e300, 1.0])),
        (np.array([1.0, 2.0], np.float32), np.array([3e38, 1.0], np.float32)),
    ],
)
def test_r2_of_a_diverged_output_is_a_low_finite_number(labels: np.ndarray, output: np.ndarray) -> None:
    assert score("r2", labels, output) == -1e6


def test_r2_does_not_depend_on_the_scale_of_the_labels() -> None:
    labels, output = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    for scale in (1e300, 1e-300):
        assert score("r2", labels * scale, output * scale) == pytest.approx(r2_score(labels, output))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_output_with_nan_or_infinity_is_not_finite(value: float) -> None:
    assert not is_finite(np.array([[0.5], [value]], np.float32))
    assert is_finite(np.array([0.5], np.float32))
    assert is_finite(np.array(["text"], object))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_equal_outputs_agree_completely(values: list[float]) -> None:
    array = np.array(values, np.float32)
    assert agreement([array, array > 0], [array.copy(), array > 0]) == 1.0


@pytest.mark.parametrize(
    ("original", "candidate", "expected"),
    [
        (np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5]), 0.75),
        (np.array(["a", "b"], object), np.array(["a", "c"], object), 0.5),
        (np.array([3.0, 4.0]), np.array([3.0, 4.5]), 0.9),  # relative to the norm, 5
        (np.array([1.0]), np.array([-5.0]), 0.0),
        (np.array([0.0]), np.array([1e-9]), 0.0),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), 1.0),
        (np.array([1.0, 2.0]), np.array([1.0, np.nan]), 0.0),
        (np.array([1.0, np.inf]), np.array([1.0, 5.0]), 0.0),
        (np.array([1.0, 2.0]), np.array([1.0]), 0.0),
        (np.array([1.0]), np.array([1]), 0.0),
        (np.empty(0, np.float32), np.empty(0, np.float32), 1.0),
        (np.array([{0: 3.0, 1: 4.0}], object), np.array([{1: 4.5, 0: 3.0}], object), 0.9),
    ],
)
def test_agreement_is_the_share_of_equal_classes_or_one_minus_the_relative_error(
    original: np.ndarray, candidate: np.ndarray, expected: float
) -> None:
    assert agreement([original], [candidate]) == pytest.approx(expected)


def test_the_worst_output_counts() -> None:
    assert agreement([np.array([1.0]), np.array([1, 2])], [np.array([1.0]), np.array([1, 3])]) == 0.5


def test_values_that_are_no_numbers_agree_if_they_are_equal() -> None:
    lists = np.empty(2, object)
    lists[:] = [["a"], ["b"]]
    assert agreement([lists], [lists.copy()]) == 1.0
