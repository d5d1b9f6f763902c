"""The model that the tests train once, as `scalezero publish` does."""

import pytest

from functions.digits.train import VERSION, TrainedModel, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Train the model, with its metrics."""
    return train(VERSION, tmp_path_factory.mktemp("digits"))
