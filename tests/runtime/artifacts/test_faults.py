"""Tests of the errors for responses that the local S3 does not send."""

from pathlib import Path

import pytest

from runtime.artifacts.access import s3_access
from runtime.artifacts.faults import ErrorResponse, parse_error_response, translate
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
    ("response", "error"),
    [
        (ErrorResponse(status=400, code="ExpiredToken"), CredentialsMissing),
        (ErrorResponse(status=401), CredentialsMissing),
        (ErrorResponse(status=403, code="InvalidAccessKeyId"), CredentialsMissing),
        (ErrorResponse(status=403, code="RequestTimeTooSkewed"), AccessDenied),
        (ErrorResponse(status=400, code="AuthorizationHeaderMalformed"), AccessDenied),
        (ErrorResponse(status=400, code="RequestTimeout"), StoreStalled),
        (ErrorResponse(status=404, code="NoSuchVersion"), ArtifactMissing),
        (ErrorResponse(status=429), StoreUnreachable),
        (ErrorResponse(status=400, code="InvalidRequest"), StoreUnreachable),
        (ErrorResponse(message="connection refused"), StoreUnreachable),
        (ErrorResponse(timed_out=True), StoreStalled),
    ],
)
def test_each_response_has_its_error(response: ErrorResponse, error: type[ModelUnavailable]) -> None:
    raised = translate("s3://b/k", response)
    assert type(raised) is error
    assert raised.details["uri"] == "s3://b/k"
    assert response.code in str(raised) or response.code == "NoSuchVersion"


def test_the_error_for_missing_credentials_says_what_to_set() -> None:
    assert "AWS_ACCESS_KEY_ID" in str(translate("s3://b/k", ErrorResponse(status=403), anonymous=True))


def test_the_head_and_the_body_of_an_error_are_parsed() -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>"
    assert parse_error_response(Head(403, {}), body) == ErrorResponse(status=403, code="AccessDenied", message="No.")
    assert parse_error_response(Head(500, {}), b"\xff\x00 no XML") == ErrorResponse(status=500)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (Head(301, {"x-amz-bucket-region": "eu-west-1"}), ""),
        (Head(301, {}), "<Code>PermanentRedirect</Code><Endpoint>models.s3.eu-west-1.amazonaws.com</Endpoint>"),
        (Head(307, {"location": "https://models.s3-eu-west-1.amazonaws.com/m.onnx"}), "<Code>TemporaryRedirect</Code>"),
        (Head(400, {}), "<Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region>"),
    ],
)
def test_the_error_for_another_region_says_what_to_set(head: Head, body: str) -> None:
    raised = translate("s3://models/m.onnx", parse_error_response(head, body.encode()), region="us-east-1")
    assert type(raised) is AccessDenied
    assert "in the region eu-west-1, not in us-east-1; set AWS_REGION=eu-west-1" in str(raised)


@pytest.mark.parametrize("location", ["http://target.example/m.onnx", "http://u:secret@target.example/m?k=secret"])
def test_the_error_for_a_redirect_contains_only_the_host_of_its_target(location: str) -> None:
    raised = translate("s3://b/k", parse_error_response(Head(302, {"location": location}), b""), region="us-east-1")
    assert type(raised) is AccessDenied
    assert "redirects to target.example; redirects are not followed; set AWS_ENDPOINT_URL" in str(raised)
    assert "secret" not in str(raised)


@pytest.mark.parametrize("location", ["", "/relative", "http://[::1", "http://"])
def test_a_redirect_without_a_valid_target_is_an_error(location: str) -> None:
    raised = translate("s3://b/k", parse_error_response(Head(302, {"location": location}), b""))
    assert "the store redirects; redirects are not followed" in str(raised)


def test_the_error_does_not_suggest_the_region_of_the_request() -> None:
    response = ErrorResponse(status=400, code="AuthorizationHeaderMalformed", region="us-east-1")
    assert "in another region than AWS_REGION" in str(translate("s3://b/k", response, region="us-east-1"))
    assert "set AWS_REGION=eu-west-1" in str(translate("s3://b/k", response._replace(region="eu-west-1")))


def test_the_text_of_a_store_is_truncated_and_printable() -> None:
    body = f"<Code>{'C' * 200}</Code><Message>a\x1b[31m{'m' * 3000}</Message>".encode()
    raised = str(translate("s3://b/k", parse_error_response(Head(500, {}), body)))
    assert len(raised) < 600
    assert raised.isprintable()


def test_an_error_names_the_endpoint_and_the_source_of_the_credentials_but_no_secret() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://s3:8333", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hush"}
    description = s3_access(environ, home=Path("/none")).description
    error = translate("s3://b/m.onnx", ErrorResponse(status=404), access_description=description)
    for fact in ("s3://b/m.onnx", "http://s3:8333", "AWS_ACCESS_KEY_ID"):
        assert fact in str(error)
    assert "hush" not in str(error)
