"""What the tests on a real cluster share: one deployment that nobody breaks, and namespaces of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.functions import payment_model
from tests.e2e.namespace import Namespace, namespace

HERE = Path(__file__).parent
LONGEST = 240  # seconds for one test: pods start, drain and go to zero in tens of seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests their own bound on time, and skip them where no cluster is named."""
    away = pytest.mark.skip(reason="no cluster: scripts/cluster up starts one, scripts/test tests/e2e runs these there")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONGEST))
            if not os.environ.get("KUBECONFIG"):
                item.add_marker(away)


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of this module alone."""
    with namespace(request.module.__name__.rpartition("test_")[2].replace("_", "-")) as made:
        yield made


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    """A namespace where `scalezero deploy` has put payment-model, v1 and v2 half and half. Ask, and change nothing."""
    with namespace("payment") as made:
        made.scalezero("deploy", payment_model(tmp_path_factory.mktemp("deployed")))
        yield made
