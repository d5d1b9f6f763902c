"""Models trained on few payments, so that the tests are fast."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from functions.payment_model.train import RECIPES, TrainedModel, train

PAYMENTS = 4_000


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TrainedModel]:
    """Train both versions, each with its metrics."""
    out: Path = tmp_path_factory.mktemp("models")
    return {version: train(version, out, payments=PAYMENTS) for version in RECIPES}
