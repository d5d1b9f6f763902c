"""Tests of the user's deployed manifests: cold starts, HTTP/1.1 and HTTP/2, the declared split, tags and names."""

from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from math import comb

import httpx
import pytest

from tests.e2e.load import BODY, PATH, client, send_requests
from tests.e2e.namespace import Namespace, wait_until

V1, V2 = "payment-model-v1", "payment-model-v2"
TO_ZERO = 180.0  # seconds; the autoscaler's window and grace period are 6 s each, plus the activator and the drain
CONFIDENCE = 0.999999  # an equal split fails the test once in a million times


def binomial_bounds(count: int, confidence: float) -> tuple[int, int]:
    """Return the range of the number of heads in `count` throws of a fair coin, with this confidence."""
    tail = (1 - confidence) / 2
    below = accumulate(comb(count, heads) / 2**count for heads in range(count + 1))
    least = next(heads for heads, chance in enumerate(below) if chance > tail)
    return least, count - least


def test_the_bounds_match_a_published_table() -> None:
    assert binomial_bounds(400, 0.999) == (167, 233)


def test_the_objects_of_the_users_manifests_are_ready(deployed: Namespace) -> None:
    for kind, name in [("Service", "payment-model"), ("Revision", V1), ("Revision", V2), ("Route", "payment-model-ab")]:
        assert deployed.condition(kind, name, "Ready")["status"] == "True"
    assert "payment-model" in deployed.scalezero("status")


def test_kn_shows_the_function(deployed: Namespace) -> None:
    assert deployed.url("payment-model") in deployed.kn("service", "list")
    revisions = deployed.kn("revision", "list")
    assert V1 in revisions
    assert V2 in revisions
    assert "50%" in deployed.kn("route", "describe", "payment-model-ab")


@pytest.mark.parametrize("name", ["payment-model", "payment-model-ab"])
def test_400_requests_are_split_equally_and_each_answer_has_its_revision(deployed: Namespace, name: str) -> None:
    """The Service's own URL and that of the user's A/B resource have the same split."""
    url = deployed.get("Route", name)["status"]["url"]
    tally = send_requests(url, 400)
    assert tally.failures == []
    least, most = binomial_bounds(400, CONFIDENCE)
    shares = tally.by_revision()
    assert set(shares) == {V1, V2}
    assert least <= shares[V1] <= most


@pytest.mark.parametrize(("tag", "revision", "version"), [("v1", V1, "1.0.0"), ("v2", V2, "2.0.0")])
def test_the_url_of_a_tag_leads_only_to_its_revision(
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


def test_an_error_of_the_model_reaches_the_caller_unchanged(deployed: Namespace) -> None:
    with client() as session:
        answer = session.post(deployed.url("payment-model") + PATH, json={"inputs": [1]})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_input"


def test_a_body_larger_than_all_flow_control_windows_is_answered(deployed: Namespace) -> None:
    rows = [[0.25] * 30] * 5000  # about 900 kB in the request
    with client() as session:
        answer = session.post(deployed.url("payment-model", "v1") + PATH, json={"inputs": rows})
    assert answer.status_code == 200
    assert len(answer.json()["outputs"]) == 5000


def test_a_pod_answers_more_requests_than_one_connection_carries(deployed: Namespace) -> None:
    """queue-proxy sends all of them over one HTTP/2 connection, which our server must replace meanwhile."""
    tally = send_requests(deployed.url("payment-model", "v1"), 5000, callers=16)
    assert tally.failures == []
    assert tally.by_revision() == {V1: 5000}


def test_the_first_request_after_zero_is_answered_over_both_versions_of_http(deployed: Namespace) -> None:
    """The API server reports 0, 1 and 0 pods."""

    def from_zero(revision: str, tag: str, *, http2: bool) -> httpx.Response:
        url = deployed.url("payment-model", tag)
        wait_until(f"{revision} is at zero", lambda: deployed.is_at_zero(revision), seconds=TO_ZERO)
        with client(http2=http2) as session:
            answer = session.post(url + PATH, json=BODY)
        assert deployed.replicas(revision) == len(deployed.pods(revision)) == 1
        wait_until(f"{revision} is at zero again", lambda: deployed.is_at_zero(revision), seconds=TO_ZERO)
        return answer

    with ThreadPoolExecutor(2) as both:
        over = [both.submit(from_zero, V1, "v1", http2=False), both.submit(from_zero, V2, "v2", http2=True)]
        for answer, version in zip([each.result() for each in over], ["HTTP/1.1", "HTTP/2"], strict=True):
            assert answer.status_code == 200
            assert answer.http_version == version
