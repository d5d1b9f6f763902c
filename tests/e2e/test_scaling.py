"""More pods under load, none without: bounded, and unnoticed by the callers."""

import pytest

from tests.e2e.functions import payment_model
from tests.e2e.load import load, rows
from tests.e2e.namespace import Namespace, until
from tests.e2e.test_serving import TO_ZERO, V1

MOST = 3  # pods
CALLERS = 16  # for more than MOST pods: one is worth two batches of one row, at 70 %


@pytest.fixture(scope="module")
def small(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    """The model with batches of one row, so that a handful of callers is a load."""
    model = {"batchSize: 32": "batchSize: 1"}
    function = {'value: "32"': 'value: "1"', "target: 64": "target: 2", "max: 10": f"max: {MOST}"}
    own.scalezero("deploy", payment_model(tmp_path_factory.mktemp("small"), model=model, function=function))
    return own


def test_a_burst_gets_more_pods_and_nobody_an_error_and_then_none_is_left(small: Namespace) -> None:
    def serving() -> int:
        return int(small.get("Deployment", f"{V1}-deployment")["status"].get("readyReplicas", 0))

    with load(small.url("payment-model", "v1"), callers=CALLERS, pause=0.0, body=rows(1000)) as tally:
        until(f"{MOST} pods serve", lambda: serving() == MOST, seconds=60)
        answered = len(tally.answers)
        until("they answer", lambda: len(tally.answers) >= answered + 100, seconds=30)
        assert small.wanted(V1) <= MOST
    assert tally.failures == []
    assert set(tally.by_revision()) == {V1}
    until("no pod is left", lambda: small.at_zero(V1), seconds=TO_ZERO)


def test_a_burst_from_zero_is_answered_to_the_last_request(small: Namespace) -> None:
    """All of them wait for the first pod, at the activator."""
    until("no pod is left", lambda: small.at_zero(V1), seconds=TO_ZERO)
    with load(small.url("payment-model", "v1"), callers=CALLERS, pause=0.0) as tally:
        until("everybody was answered", lambda: len(tally.answers) >= 2 * CALLERS, seconds=60)
    assert tally.failures == []
