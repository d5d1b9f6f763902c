"""From S3's answers to errors, where the answer is one that a loopback S3 does not give."""

from pathlib import Path

import pytest

from runtime.artifacts.access import s3_access
from runtime.artifacts.faults import Answer, read_answer, translate
from runtime.artifacts.http1 import Head
from runtime.errors import (
    AccessDenied,
    ArtifactMissing,
    CredentialsMissing,
    ModelUnavailable,
    StoreStalled,
    StoreUnreachable,
)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=400, code="ExpiredToken"), CredentialsMissing),
        (Answer(status=401), CredentialsMissing),
        (Answer(status=403, code="InvalidAccessKeyId"), CredentialsMissing),
        (Answer(status=403, code="RequestTimeTooSkewed"), AccessDenied),
        (Answer(status=400, code="AuthorizationHeaderMalformed"), AccessDenied),
        (Answer(status=400, code="RequestTimeout"), StoreStalled),
        (Answer(status=404, code="NoSuchVersion"), ArtifactMissing),
        (Answer(status=429), StoreUnreachable),
        (Answer(status=400, code="InvalidRequest"), StoreUnreachable),
        (Answer(message="connection refused"), StoreUnreachable),
        (Answer(timed_out=True), StoreStalled),
        (Answer(status=500, about_credentials=True), CredentialsMissing),
    ],
)
def test_each_answer_has_its_error(answer: Answer, error: type[ModelUnavailable]) -> None:
    told = translate("s3://b/k", answer)
    assert type(told) is error
    assert told.details["uri"] == "s3://b/k"
    assert answer.code in str(told) or answer.code == "NoSuchVersion"


def test_a_refusal_without_credentials_says_how_to_give_some() -> None:
    assert "AWS_ACCESS_KEY_ID" in str(translate("s3://b/k", Answer(status=403), anonymous=True))


def test_the_facts_are_read_from_head_and_body() -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>"
    assert read_answer(Head(403, {}), body) == Answer(status=403, code="AccessDenied", message="No.")
    assert read_answer(Head(500, {}), b"\xff\x00 no XML") == Answer(status=500)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (Head(301, {"x-amz-bucket-region": "eu-west-1"}), ""),
        (Head(301, {}), "<Code>PermanentRedirect</Code><Endpoint>models.s3.eu-west-1.amazonaws.com</Endpoint>"),
        (Head(307, {"location": "https://models.s3-eu-west-1.amazonaws.com/m.onnx"}), "<Code>TemporaryRedirect</Code>"),
        (Head(400, {}), "<Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region>"),
    ],
)
def test_a_bucket_in_another_region_is_named_with_what_to_set(head: Head, body: str) -> None:
    told = translate("s3://models/m.onnx", read_answer(head, body.encode()), region="us-east-1")
    assert type(told) is AccessDenied
    assert "in the region eu-west-1, not in us-east-1; set AWS_REGION=eu-west-1" in str(told)


@pytest.mark.parametrize(
    "location", ["http://elsewhere.example/m.onnx", "http://u:secret@elsewhere.example/m?k=secret"]
)
def test_a_redirect_to_another_host_is_told_with_that_host_alone(location: str) -> None:
    told = translate("s3://b/k", read_answer(Head(302, {"location": location}), b""), region="us-east-1")
    assert type(told) is AccessDenied
    assert "redirects to elsewhere.example; redirects are not followed; set AWS_ENDPOINT_URL" in str(told)
    assert "secret" not in str(told)


@pytest.mark.parametrize("location", ["", "/relative", "http://[::1", "http://"])
def test_a_redirect_to_nowhere_is_told_too(location: str) -> None:
    told = translate("s3://b/k", read_answer(Head(302, {"location": location}), b""))
    assert "the store redirects; redirects are not followed" in str(told)


def test_a_region_that_is_the_one_asked_for_is_no_advice() -> None:
    answer = Answer(status=400, code="AuthorizationHeaderMalformed", region="us-east-1")
    assert "in another region than AWS_REGION" in str(translate("s3://b/k", answer, region="us-east-1"))
    assert "set AWS_REGION=eu-west-1" in str(translate("s3://b/k", answer._replace(region="eu-west-1")))


def test_what_a_store_says_is_cut_and_printable() -> None:
    body = f"<Code>{'C' * 200}</Code><Message>a\x1b[31m{'m' * 3000}</Message>".encode()
    told = str(translate("s3://b/k", read_answer(Head(500, {}), body)))
    assert len(told) < 600
    assert told.isprintable()


def test_an_error_says_where_and_with_which_credentials_without_a_secret() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://s3:8333", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hush"}
    tried = s3_access(environ, home=Path("/none")).tried
    error = translate("s3://b/m.onnx", Answer(status=404), tried=tried)
    for fact in ("s3://b/m.onnx", "http://s3:8333", "AWS_ACCESS_KEY_ID"):
        assert fact in str(error)
    assert "hush" not in str(error)
