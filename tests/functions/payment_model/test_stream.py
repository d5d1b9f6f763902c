"""The synthetic stream has the documented properties, and all its payments are valid requests."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from functions.payment_model.features import FEATURES, ScoreRequest
from functions.payment_model.stream import FRAUD_RATE, Stream, draw
from functions.payment_model.train import sample


@pytest.fixture(scope="module")
def stream() -> Stream:
    """Generate a stream that is large enough to check its rates."""
    return draw(20_000, seed=1)


def test_the_same_seed_generates_the_same_payments_and_a_different_seed_does_not() -> None:
    first, again, other = draw(50, seed=1), draw(50, seed=1), draw(50, seed=2)
    assert first.payments == again.payments
    assert first.fraud.tolist() == again.fraud.tolist()
    assert first.payments != other.payments


def test_about_two_percent_are_fraud(stream: Stream) -> None:
    assert stream.fraud.mean() == pytest.approx(FRAUD_RATE, abs=0.004)


def test_counts_sums_and_times_are_consistent(stream: Stream) -> None:
    for payment in stream.payments:
        assert payment["count_24h"] >= payment["count_1h"]
        assert payment["sum_24h"] >= payment["sum_1h"] - 0.01
        assert (payment["sum_1h"] > 0) == (payment["count_1h"] > 0)
        assert payment["count_1h"] == 0 or payment["minutes_since_last"] <= 60


def test_no_single_field_detects_fraud() -> None:
    """The best single feature has a much lower score than the models."""
    drawn = sample(20_000, seed=1)
    alone = [roc_auc_score(drawn.fraud, drawn.features[:, index]) for index in range(len(FEATURES))]
    assert max(max(auc, 1 - auc) for auc in alone) < 0.85


def test_training_and_the_function_compute_the_same_rows() -> None:
    """No train/serve skew: the training row equals, bit for bit, the row of the same payment sent as JSON."""
    drawn = sample(500, seed=1)
    scoring = ScoreRequest.read(json.dumps(draw(500, seed=1).payments).encode())
    assert np.array_equal(drawn.features, np.array(scoring.rows, np.float32))
    assert drawn.features.shape == (500, 30)
