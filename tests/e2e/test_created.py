"""Tests of a function of `scalezero init` with an additional package: answer, logs, a deploy without changes."""

import resource

import httpx
import pytest

from tests.e2e.created import FOLDER
from tests.e2e.load import ANSWER_TIMEOUT
from tests.e2e.namespace import Namespace

SECONDS_UNCHANGED = 3.0  # of the CPU, for a deploy that changes nothing: it neither trains nor publishes


@pytest.fixture(scope="module")
def created(own: Namespace) -> Namespace:
    """The namespace in which the function is deployed."""
    own.scalezero("deploy", FOLDER)
    return own


def test_its_answer_uses_the_package(created: Namespace) -> None:
    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
    answer = httpx.post(created.url("my-function"), json={"rows": rows}, timeout=ANSWER_TIMEOUT)
    assert answer.json() == {"rows": "2", "species": ["setosa", "virginica"]}


def test_its_logs_are_read_by_the_models_name(created: Namespace) -> None:
    httpx.get(f"{created.url('my-function')}/healthz/live", timeout=ANSWER_TIMEOUT)  # starts a pod
    assert '"message":"model ready"' in created.scalezero("logs", "my-function", "--revision", "v1")


def test_a_deploy_without_changes_is_fast(created: Namespace) -> None:
    before = seconds_of_children()
    output = created.scalezero("deploy", FOLDER)
    assert seconds_of_children() - before < SECONDS_UNCHANGED
    assert "revision/my-function-v1: unchanged" in output
    assert ": created" not in output


def seconds_of_children() -> float:
    """Return the seconds of the CPU that the commands of this process have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
