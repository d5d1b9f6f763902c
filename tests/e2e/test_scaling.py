"""Tests of scaling: more pods under load, within the maximum, no pods without load, and no failed request."""

import pytest

from tests.e2e.functions import payment_model
from tests.e2e.load import load, rows
from tests.e2e.namespace import Namespace, wait_until
from tests.e2e.test_serving import TO_ZERO, V1

MAX_PODS = 3
CALLERS = 16  # enough for more than MAX_PODS pods: the target of a pod is two batches of one row, at 70 %


@pytest.fixture(scope="module")
def small(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    """The model with batches of one row, so that a few callers are enough to scale out."""
    model = {"batchSize: 32": "batchSize: 1"}
    function = {'value: "32"': 'value: "1"', "target: 64": "target: 2", "max: 10": f"max: {MAX_PODS}"}
    own.scalezero("deploy", payment_model(tmp_path_factory.mktemp("small"), model=model, function=function))
    return own


def test_a_burst_scales_out_without_errors_and_then_to_zero(small: Namespace) -> None:
    def ready_replicas() -> int:
        return int(small.get("Deployment", f"{V1}-deployment")["status"].get("readyReplicas", 0))

    with load(small.url("payment-model", "v1"), callers=CALLERS, pause=0.0, body=rows(1000)) as tally:
        wait_until(f"{MAX_PODS} pods are ready", lambda: ready_replicas() == MAX_PODS, seconds=120)
        answered = len(tally.answers)
        wait_until("they answer", lambda: len(tally.answers) >= answered + 100, seconds=180)
        assert small.replicas(V1) <= MAX_PODS
    assert tally.failures == []
    assert set(tally.by_revision()) == {V1}
    wait_until("there are no pods", lambda: small.is_at_zero(V1), seconds=TO_ZERO)


def test_all_requests_of_a_burst_from_zero_are_answered(small: Namespace) -> None:
    """The requests wait for the first pod in the activator."""
    wait_until("there are no pods", lambda: small.is_at_zero(V1), seconds=TO_ZERO)
    with load(small.url("payment-model", "v1"), callers=CALLERS, pause=0.0) as tally:
        wait_until("all callers have answers", lambda: len(tally.answers) >= 2 * CALLERS, seconds=120)
    assert tally.failures == []
