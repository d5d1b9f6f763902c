"""Error responses of S3, and their conversion to the errors that callers get. Pure.

The body of an error is XML with a code and a message. Only the start of the body is read.
Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
Redirects: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from runtime.artifacts.http1 import Head
from runtime.errors import (
    AccessDenied,
    ArtifactChanged,
    ArtifactMissing,
    CredentialsMissing,
    InvalidModel,
    ModelUnavailable,
    StoreStalled,
    StoreUnreachable,
)

BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
WRONG_REGION = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"})
MAX_ERROR_BYTES = 8 * 1024  # read from the body of an error; those of S3 are much shorter
ERROR_SECONDS = 2.0  # time limit for reading them
MAX_MESSAGE_CHARACTERS = 200  # of the store's message in an error
REDIRECTS = range(300, 400)
NOT_FOUND = {
    "NoSuchBucket": "there is no such bucket",
    "NoSuchVersion": "there is no such version of the object",
}
ErrorWithReason = tuple[type[ModelUnavailable], str]  # the error and its reason
BY_STATUS: dict[int, ErrorWithReason] = {
    404: (ArtifactMissing, "there is no such object"),
    412: (ArtifactChanged, "the object was replaced while it was read; try again"),
    416: (InvalidModel, "the object is empty"),
}
BAD_REQUEST = 400
EXPECTS_TLS = (  # in the body of a 400: the answers of servers to plain HTTP at a port for TLS
    "HTTP request to an HTTPS server",  # Go
    "plain HTTP request was sent to HTTPS port",  # nginx
    "speaking plain HTTP to an SSL-enabled server port",  # Apache
    "combination of host and port requires TLS",  # Tomcat
)
ANONYMOUS = (
    "the store requires credentials, and none were found; "
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a web identity"
)

_CODE = re.compile(r"<Code>([^<]{1,200})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,4000})</Message>")
_REGION = re.compile(r"<Region>([0-9a-z-]{1,63})</Region>")
_ENDPOINT = re.compile(r"<Endpoint>([^<]{1,300})</Endpoint>")
_AWS_HOST = re.compile(r"(?:^|\.)s3[.-]([a-z]{2}(?:-[a-z]+)+-[0-9]+)\.amazonaws\.com")


class ErrorResponse(NamedTuple):
    """The facts about a failed request."""

    status: int | None = None
    code: str = ""
    message: str = ""
    region: str | None = None  # the bucket's region, as the store states it
    redirect_host: str | None = None  # the target of a redirect
    timed_out: bool = False

    @property
    def summary(self) -> str:
        """A short description of the response."""
        if self.status is None:
            return self.message
        return " ".join(
            word for word in (str(self.status), self.code, f"({self.message})" if self.message else "") if word
        )


def parse_error_response(
    head: Head, body: bytes, *, secrets: Iterable[str | None] = (), https_advice: str | None = None
) -> ErrorResponse:
    """Parse an error's head and the start of its body. If the body repeats one of the `secrets`, it is removed.

    `https_advice` is the next step if the server expects TLS; None: the request used it.
    """
    text = body.decode("utf-8", "replace")
    expects_tls = head.status == BAD_REQUEST and any(sentence in text for sentence in EXPECTS_TLS)
    if expects_tls and https_advice is not None:
        return ErrorResponse(status=head.status, message=f"its port expects TLS; {https_advice}")
    for secret in secrets:
        if secret:
            text = text.replace(secret, "...")
    code, message, endpoint, region = (each.search(text) for each in (_CODE, _MESSAGE, _ENDPOINT, _REGION))
    redirect_host = _host_of(head.headers.get("location", "")) or (_host_of(f"//{endpoint[1]}") if endpoint else None)
    return ErrorResponse(
        status=head.status,
        code=_printable(code[1]) if code else "",
        message=_printable(message[1]) if message else "",
        region=head.headers.get("x-amz-bucket-region") or (region[1] if region else _region_of(redirect_host)),
        redirect_host=redirect_host,
    )


def translate(
    uri: str,
    response: ErrorResponse,
    *,
    anonymous: bool = False,
    region: str | None = None,
    access_description: str | None = None,
) -> ModelUnavailable:
    """Return the error for a failed request for the object at `uri`. S3's error code takes precedence over the status.

    `region` is the region of the signature. `access_description` names the endpoint and the source of the credentials.
    """
    error, reason = _by_code(response, region) or _by_status(response, anonymous=anonymous)
    return error(uri, f"{reason} ({access_description})" if access_description else reason)


def _by_code(response: ErrorResponse, region: str | None) -> ErrorWithReason | None:
    received = f"the store answered {response.summary}"
    if response.code in BAD_CREDENTIALS:
        return CredentialsMissing, f"the store rejected the credentials: {received}"
    if response.code in WRONG_REGION or response.status in REDIRECTS:
        return AccessDenied, f"{_location_hint(response, region)}: {received}"
    if response.code in NOT_FOUND:
        return ArtifactMissing, NOT_FOUND[response.code]
    return (StoreStalled, received) if response.code == "RequestTimeout" else None


def _location_hint(response: ErrorResponse, region: str | None) -> str:
    """Return where the bucket is and what to set. Redirects are not followed: their target would get the token."""
    if response.region is not None and response.region != region:
        actual = _printable(response.region)
        signed_for = f", not in {region}" if region else ""
        return f"the bucket is in the region {actual}{signed_for}; set AWS_REGION={actual}"
    if response.code in WRONG_REGION:
        return "the bucket is in another region than AWS_REGION; set AWS_REGION to the region of the bucket"
    host = f" to {response.redirect_host}" if response.redirect_host else ""
    return f"the store redirects{host}; redirects are not followed; set AWS_ENDPOINT_URL to the store's own address"


def _host_of(url: str) -> str | None:
    try:
        return _printable(urlsplit(url).hostname or "") or None
    except ValueError:
        return None


def _region_of(host: str | None) -> str | None:
    match = _AWS_HOST.search(host or "")
    return match[1] if match else None


def _printable(text: str) -> str:
    """Return a store's text in a form that is safe in an error: printable and truncated."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[:MAX_MESSAGE_CHARACTERS])
    return line if len(text) <= MAX_MESSAGE_CHARACTERS else f"{line}..."


def _by_status(response: ErrorResponse, *, anonymous: bool) -> ErrorWithReason:
    received = f"the store answered {response.summary}"
    match response.status:
        case 401 | 403:
            return _access_denied(response, received, anonymous=anonymous)
        case None if response.timed_out:
            return StoreStalled, "the store sent no data before the timeout"
        case None:
            return StoreUnreachable, f"the store cannot be reached: {response.message}"
        case status:
            return BY_STATUS.get(status, (StoreUnreachable, received))


def _access_denied(response: ErrorResponse, received: str, *, anonymous: bool) -> ErrorWithReason:
    if anonymous:
        return CredentialsMissing, ANONYMOUS
    if response.status == 401:  # noqa: PLR2004 - the number is the HTTP status
        return CredentialsMissing, f"the store rejected the credentials: {received}"
    # S3 also answers 403 for a missing object if the credentials may not list the bucket.
    hint = (
        "; the object may also be missing: without permission to list the bucket, the store answers the same"
        if response.code == "AccessDenied"
        else ""
    )
    return AccessDenied, received + hint
