"""A running server whose S3 key stops working and works again: what its callers get, without a restart."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests import models
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.runtime.frontends.conftest import Served, error_of, serving, until
from tests.s3_server import S3Server

URI = "s3://rotated/m.onnx"
CALLERS = 6
AT_ONCE = 3.0  # seconds, including the response of S3; each caller may wait for a CPU, so the fastest one is compared
S3_SECONDS = 0.6  # until S3 responds, so that several callers wait for the same load
REJECTIONS = [
    ("InvalidAccessKeyId", "credentials_missing"),
    ("ExpiredToken", "credentials_missing"),
    ("AccessDenied", "access_denied"),
]


@pytest.fixture(scope="module")
def store(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> S3Server:
    """Return the real S3, which has the model."""
    s3.put(URI, models.doubling(tmp_path_factory.mktemp("rotated") / "m.onnx").read_bytes())
    return s3


def rejecting(code: str) -> Fault:
    """Return the fault of an S3 that rejects the key, until it is healed."""
    return Fault(status=403, code=code, before=lambda: time.sleep(S3_SECONDS))


def call_at_once(served: Served) -> list[tuple[httpx.Response, float]]:
    """Return the responses to concurrent callers, each with its seconds."""

    def call(_: int) -> tuple[httpx.Response, float]:
        began = time.monotonic()
        return served.predict([1, 2]), time.monotonic() - began

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(call, range(CALLERS)))


def check_refusals(served: Served, code: str, endpoint: str) -> None:
    """Check that all concurrent callers get the reason at once."""
    answers = call_at_once(served)
    for response, _ in answers:
        error = error_of(response, 503)
        assert error["code"] == code
        assert f"(at {endpoint}, with the key in AWS_ACCESS_KEY_ID)" in error["message"]
    assert min(seconds for _, seconds in answers) < AT_ONCE


@pytest.mark.parametrize(("rejection", "code"), REJECTIONS)
def test_callers_of_a_lazy_model_are_refused_at_once_until_the_key_works_again(
    store: S3Server, tmp_path: Path, rejection: str, code: str
) -> None:
    with FaultyS3(store.endpoint_url) as s3:
        env = {**store.environment(), "AWS_ENDPOINT_URL": s3.endpoint_url}
        with serving(tmp_path, URI, "--lazy", env=env) as served:
            s3.add(rejecting(rejection))
            check_refusals(served, code, s3.endpoint_url)
            check_refusals(served, code, s3.endpoint_url)
            assert len(s3.seen) < CALLERS  # callers share a load, and a rejected key is not retried
            s3.heal()
            assert [response.json()["outputs"] for response, _ in call_at_once(served)] == [[2, 4]] * CALLERS
            assert store.secret_key not in served.log.read_text()


def test_callers_of_a_prefetched_model_do_not_wait_for_its_next_attempt(store: S3Server, tmp_path: Path) -> None:
    with FaultyS3(store.endpoint_url) as s3:
        s3.add(rejecting("InvalidAccessKeyId"))
        env = {**store.environment(), "AWS_ENDPOINT_URL": s3.endpoint_url}
        with serving(tmp_path, URI, ready=False, env=env) as served:
            until(served, "/healthz/ready", status=503)
            for _ in range(3):  # the pauses between its own attempts become longer
                check_refusals(served, "credentials_missing", s3.endpoint_url)
            s3.heal()
            answers = call_at_once(served)
            assert [response.json()["outputs"] for response, _ in answers] == [[2, 4]] * CALLERS
            assert min(seconds for _, seconds in answers) < AT_ONCE
            until(served, "/healthz/ready")


def test_a_prefetched_model_recovers_without_a_request(store: S3Server, tmp_path: Path) -> None:
    with FaultyS3(store.endpoint_url) as s3:
        s3.add(Fault(status=403, code="InvalidAccessKeyId", times=2))
        env = {**store.environment(), "AWS_ENDPOINT_URL": s3.endpoint_url}
        with serving(tmp_path, URI, env=env) as served:
            assert served.predict([1, 2]).json()["outputs"] == [2, 4]


def test_a_key_that_is_replaced_in_the_credentials_file_is_read_by_the_next_request(
    store: S3Server, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    keys = "[default]\naws_access_key_id={}\naws_secret_access_key={}\n"
    file.write_text(keys.format(store.access_key, "rotated"))
    env = {
        "AWS_ENDPOINT_URL": store.endpoint_url,
        "AWS_REGION": store.region,
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    with serving(tmp_path, URI, "--lazy", env=env) as served:
        error = error_of(served.predict([1, 2]), 503)
        assert error["code"] == "credentials_missing"
        assert f"(at {store.endpoint_url}, with the credentials that boto3 finds" in error["message"]
        file.write_text(keys.format(store.access_key, store.secret_key))
        assert served.predict([1, 2]).json()["outputs"] == [2, 4]
