"""The user's manifests, deployed: answers from zero, over every protocol of the port, split and named as declared."""

from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from math import comb

import httpx
import pytest

from tests.e2e.load import BODY, PATH, asked, client
from tests.e2e.namespace import Namespace, until

V1, V2 = "payment-model-v1", "payment-model-v2"
TO_ZERO = 90.0  # seconds: the autoscaler's window and grace are 6 s each, an activator and a drain come on top
SURENESS = 0.999


def binomial_bounds(count: int, sureness: float) -> tuple[int, int]:
    """The numbers of heads between which `count` throws of a fair coin end, as surely as that."""
    tail = (1 - sureness) / 2
    below = accumulate(comb(count, heads) / 2**count for heads in range(count + 1))
    least = next(heads for heads, chance in enumerate(below) if chance > tail)
    return least, count - least


def test_the_bounds_are_those_of_a_table() -> None:
    assert binomial_bounds(400, SURENESS) == (167, 233)


def test_what_the_users_manifests_declare_is_there_and_ready(deployed: Namespace) -> None:
    for kind, name in [("Service", "payment-model"), ("Revision", V1), ("Revision", V2), ("Route", "payment-model-ab")]:
        assert deployed.condition(kind, name, "Ready")["status"] == "True"
    assert "payment-model" in deployed.scalezero("status")


def test_knatives_own_command_shows_it(deployed: Namespace) -> None:
    assert deployed.url("payment-model") in deployed.kn("service", "list")
    revisions = deployed.kn("revision", "list")
    assert V1 in revisions
    assert V2 in revisions
    assert "50%" in deployed.kn("route", "describe", "payment-model-ab")


@pytest.mark.parametrize("name", ["payment-model", "payment-model-ab"])
def test_400_requests_part_half_and_half_and_each_names_its_revision(deployed: Namespace, name: str) -> None:
    """Both are ways to the same split: the Service's own URL, and that of the user's A/B resource."""
    url = deployed.get("Route", name)["status"]["url"]
    tally = asked(url, 400)
    assert tally.failures == []
    least, most = binomial_bounds(400, SURENESS)
    shares = tally.by_revision()
    assert set(shares) == {V1, V2}
    assert least <= shares[V1] <= most


@pytest.mark.parametrize(("tag", "revision", "version"), [("v1", V1, "1.0.0"), ("v2", V2, "2.0.0")])
def test_the_url_of_a_tag_leads_to_its_revision_alone(
    deployed: Namespace, tag: str, revision: str, version: str
) -> None:
    with client() as session:
        for _ in range(10):
            answer = session.post(deployed.url("payment-model", tag) + PATH, json=BODY)
            assert answer.headers["x-revision"] == revision
            assert answer.json()["model_version"] == version


def test_the_authors_function_answers_at_the_root_over_both_versions_of_http(deployed: Namespace) -> None:
    payment = {"amount": 912.5, "merchant_category": "electronics", "hour": 3, "weekday": 6}
    for http2 in (False, True):
        with client(http2=http2) as session:
            answer = session.post(deployed.url("payment-model"), json=payment)
            assert answer.status_code == 200
            assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert set(answer.json()) == {"decision", "fraud_score", "model_version"}


def test_what_the_model_refuses_comes_through_as_it_is(deployed: Namespace) -> None:
    with client() as session:
        answer = session.post(deployed.url("payment-model") + PATH, json={"inputs": [1]})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_input"


def test_a_body_larger_than_every_window_on_the_way_is_answered(deployed: Namespace) -> None:
    rows = [[0.25] * 30] * 5000  # some 900 kB up, and as many answers down
    with client() as session:
        answer = session.post(deployed.url("payment-model", "v1") + PATH, json={"inputs": rows})
    assert answer.status_code == 200
    assert len(answer.json()["outputs"]) == 5000


def test_a_pod_answers_more_requests_than_one_connection_carries(deployed: Namespace) -> None:
    """queue-proxy sends them all through one HTTP/2 connection, which our server has to replace under way."""
    tally = asked(deployed.url("payment-model", "v1"), 5000, callers=16)
    assert tally.failures == []
    assert tally.by_revision() == {V1: 5000}


def test_the_first_request_after_zero_is_answered_over_both_versions_of_http(deployed: Namespace) -> None:
    """0 -> 1 -> 0, as the API server tells it."""

    def from_zero(revision: str, tag: str, *, http2: bool) -> httpx.Response:
        url = deployed.url("payment-model", tag)
        until(f"{revision} is at zero", lambda: deployed.at_zero(revision), seconds=TO_ZERO)
        with client(http2=http2) as session:
            answer = session.post(url + PATH, json=BODY)
        assert deployed.wanted(revision) == len(deployed.pods(revision)) == 1
        until(f"{revision} is at zero again", lambda: deployed.at_zero(revision), seconds=TO_ZERO)
        return answer

    with ThreadPoolExecutor(2) as both:
        over = [both.submit(from_zero, V1, "v1", http2=False), both.submit(from_zero, V2, "v2", http2=True)]
        for answer, version in zip([each.result() for each in over], ["HTTP/1.1", "HTTP/2"], strict=True):
            assert answer.status_code == 200
            assert answer.http_version == version
