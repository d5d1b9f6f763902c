"""The model as `scalezero publish` takes it, and the package that answers in the same way."""

import pytest
from magika import Magika

from functions.file_type.train import VERSION, TrainedModel, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Return the model, with its metrics and data."""
    return train(VERSION, tmp_path_factory.mktemp("file_type"))


@pytest.fixture(scope="session")
def original() -> Magika:
    """Return the package's own implementation."""
    return Magika()
