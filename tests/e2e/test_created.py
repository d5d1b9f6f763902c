"""A function that `scalezero init` wrote, with a package of its own: its answer, its logs, a deploy without changes."""

import time

import httpx
import pytest

from tests.e2e.created import FOLDER
from tests.e2e.namespace import Namespace

SECONDS_UNCHANGED = 3.0  # for a deploy that changes nothing


@pytest.fixture(scope="module")
def created(own: Namespace) -> Namespace:
    """Where it is deployed."""
    own.scalezero("deploy", FOLDER)
    return own


def test_it_answers_with_what_the_package_does(created: Namespace) -> None:
    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
    answer = httpx.post(created.url("my-function"), json={"rows": rows}, timeout=60)
    assert answer.json() == {"rows": "2", "species": ["setosa", "virginica"]}


def test_its_logs_are_read_by_the_models_name(created: Namespace) -> None:
    httpx.get(f"{created.url('my-function')}/healthz/live", timeout=60)  # there is a pod
    assert '"message":"model ready"' in created.scalezero("logs", "my-function", "--revision", "v1")


def test_deploying_again_with_nothing_changed_is_quick(created: Namespace) -> None:
    began = time.monotonic()
    said = created.scalezero("deploy", FOLDER)
    assert time.monotonic() - began < SECONDS_UNCHANGED
    assert "revision/my-function-v1: unchanged" in said
    assert ": created" not in said
