"""Fixtures for the tests on a real cluster: one shared deployment that no test changes, and a namespace per module."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.functions import payment_model
from tests.e2e.namespace import Namespace, namespace

HERE = Path(__file__).parent
TEST_TIMEOUT = 600  # seconds per test; pods take tens of seconds to start, to drain and to scale to zero


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the timeout of these tests, and skip them if KUBECONFIG is not set."""
    skip = pytest.mark.skip(reason="no cluster: start one with scripts/cluster up, and run scripts/test tests/e2e")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT))
            if not os.environ.get("KUBECONFIG"):
                item.add_marker(skip)


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """The namespace of this test module."""
    with namespace(request.module.__name__.rpartition("test_")[2].replace("_", "-")) as made:
        yield made


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    """A namespace with payment-model deployed, 50 % for each of v1 and v2. Tests must not change it."""
    with namespace("payment") as made:
        made.scalezero("deploy", payment_model(tmp_path_factory.mktemp("deployed")))
        yield made
