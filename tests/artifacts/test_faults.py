"""From S3's answers to errors, where the answer is one that a loopback S3 does not give."""

import pytest

from runtime.artifacts.faults import Answer, read_answer, translate
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


def test_the_facts_are_read_from_the_clients_message() -> None:
    text = (
        "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 1ms - Server returned "
        "non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code><Message>No.</Message></Error>"
        "\n\nDebug source:\n..."
    )
    assert read_answer(text) == Answer(status=403, code="AccessDenied", message="No.", about_credentials=True)
    refused = 'Os {\n code: 111,\n kind: ConnectionRefused,\n message: "Connection refused",\n}'
    assert read_answer(f"Generic S3 error: x - error sending request\n\nDebug source:\n{refused}") == Answer(
        message="error sending request (Connection refused)"
    )
    assert read_answer("") == Answer(message="no reason given")
