"""Results of Classify and Regress, as protobuf parses them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.protocols.protos import tensorflow_serving_pb2 as pb
from runtime.protocols.tensorflow_serving import examples, results
from runtime.protocols.tensorflow_serving.examples import Classifier
from runtime.tensors import as_array

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)
SCORES = Classifier(0, None)


def read(content: bytes) -> list[list[tuple[str, float]]]:
    result = pb.ClassificationResult.FromString(content)
    return [[(each.label, each.score) for each in row.classes] for row in result.classifications]


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(0, 150)), elements=FLOATS))
def test_scores_without_labels_have_the_classes_of_examples(scores: np.ndarray) -> None:
    content = results.classification(SCORES, [scores], len(scores))
    assert read(content) == examples.classes(SCORES, [scores], len(scores))


@pytest.mark.parametrize(
    ("plan", "outputs"),
    [
        (Classifier(0, 1), [np.array([[0.5, 1]], np.float32), np.array([["b", "a"]], object)]),
        (Classifier(0, None), [as_array([{"ham": 0.5, "spam": 0.25}])]),
        (Classifier(None, 0), [np.array([3])]),
        (Classifier(0, None), [np.array([[0.5, 0.25]], np.float16)]),
        (Classifier(0, None), [np.array([[0.1, 0.9]])]),
    ],
)
def test_classes_are_those_of_examples(plan: Classifier, outputs: list[np.ndarray]) -> None:
    assert read(results.classification(plan, outputs, 1)) == examples.classes(plan, outputs, 1)


@given(hnp.arrays(np.float32, st.integers(1, 9), elements=FLOATS))
def test_a_regression_has_the_value_of_each_row(values: np.ndarray) -> None:
    result = pb.RegressionResult.FromString(results.regression(values, len(values)))
    assert [each.value for each in result.regressions] == values.tolist()
