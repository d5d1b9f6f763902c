"""Convert an error response of S3 to the error that a caller gets. Pure.

The body of an error is XML with a code and a message; only its beginning is read.
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
MOST_ERROR_BYTES = 8 * 1024  # of an error's body: S3's own are far shorter
ERROR_SECONDS = 2.0  # for all of it
MOST_CHARACTERS = 200  # of the store's message that an error shows
REDIRECTS = range(300, 400)
NOT_FOUND = {
    "NoSuchBucket": "there is no such bucket",
    "NoSuchVersion": "there is no such version of the object",
}
Judgement = tuple[type[ModelUnavailable], str]  # the error and its reason
BY_STATUS: dict[int, Judgement] = {
    404: (ArtifactMissing, "there is no such object"),
    412: (ArtifactChanged, "the object was replaced while it was read"),
    416: (InvalidModel, "the object is empty"),
}
ANONYMOUS = (
    "reading it needs credentials, and none were found: "
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a web identity"
)

_CODE = re.compile(r"<Code>([^<]{1,200})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,4000})</Message>")
_REGION = re.compile(r"<Region>([0-9a-z-]{1,63})</Region>")
_ENDPOINT = re.compile(r"<Endpoint>([^<]{1,300})</Endpoint>")
_AWS_HOST = re.compile(r"(?:^|\.)s3[.-]([a-z]{2}(?:-[a-z]+)+-[0-9]+)\.amazonaws\.com")


class Answer(NamedTuple):
    """What is known about a failed request."""

    status: int | None = None
    code: str = ""
    message: str = ""
    region: str | None = None  # the bucket's region, as the store states it
    elsewhere: str | None = None  # the host that it redirects to
    timed_out: bool = False
    about_credentials: bool = False  # the request went to a provider of credentials, not to S3

    @property
    def summary(self) -> str:
        """A short description of the response."""
        if self.status is None:
            return self.message
        return " ".join(
            word for word in (str(self.status), self.code, f"({self.message})" if self.message else "") if word
        )


def read_answer(head: Head, body: bytes, *, secrets: Iterable[str | None] = ()) -> Answer:
    """Read an error's head and the beginning of its body; `secrets` that the body echoes are removed."""
    text = body.decode("utf-8", "replace")
    for secret in secrets:
        if secret:
            text = text.replace(secret, "...")
    code, message, endpoint, region = (each.search(text) for each in (_CODE, _MESSAGE, _ENDPOINT, _REGION))
    elsewhere = _host(head.headers.get("location", "")) or (_host(f"//{endpoint[1]}") if endpoint else None)
    return Answer(
        status=head.status,
        code=_shown(code[1]) if code else "",
        message=_shown(message[1]) if message else "",
        region=head.headers.get("x-amz-bucket-region") or (region[1] if region else _region_of(elsewhere)),
        elsewhere=elsewhere,
    )


def translate(
    uri: str, answer: Answer, *, anonymous: bool = False, region: str | None = None, tried: str | None = None
) -> ModelUnavailable:
    """Choose the error for a failed request about the object at `uri`; the code says more than the status.

    `region` is the one that the request was signed for, `tried` says where and with which credentials.
    """
    error, reason = _by_code(answer, region) or _by_status(answer, anonymous=anonymous)
    return error(uri, f"{reason} ({tried})" if tried else reason)


def _by_code(answer: Answer, region: str | None) -> Judgement | None:
    said = f"the store answered {answer.summary}"
    if answer.about_credentials:
        return CredentialsMissing, f"the credentials cannot be obtained: {answer.summary}"
    if answer.code in BAD_CREDENTIALS:
        return CredentialsMissing, f"the credentials do not work: {said}"
    if answer.code in WRONG_REGION or answer.status in REDIRECTS:
        return AccessDenied, f"{_where(answer, region)}: {said}"
    if answer.code in NOT_FOUND:
        return ArtifactMissing, NOT_FOUND[answer.code]
    return (StoreStalled, said) if answer.code == "RequestTimeout" else None


def _where(answer: Answer, region: str | None) -> str:
    """Say where the bucket is, and what to set. Redirects are not followed: the target would get the session token."""
    if answer.region is not None and answer.region != region:
        asked = f", not in {region}" if region else ""
        return f"the bucket is in the region {_shown(answer.region)}{asked}; set AWS_REGION={_shown(answer.region)}"
    if answer.code in WRONG_REGION:
        return "the bucket is in another region than AWS_REGION"
    host = f" to {answer.elsewhere}" if answer.elsewhere else ""
    return f"the store redirects{host}; redirects are not followed; set AWS_ENDPOINT_URL to the store's own address"


def _host(url: str) -> str | None:
    try:
        return _shown(urlsplit(url).hostname or "") or None
    except ValueError:
        return None


def _region_of(host: str | None) -> str | None:
    match = _AWS_HOST.search(host or "")
    return match[1] if match else None


def _shown(text: str) -> str:
    """Make a store's text safe for an error: printable, and truncated."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[:MOST_CHARACTERS])
    return line if len(text) <= MOST_CHARACTERS else f"{line}..."


def _by_status(answer: Answer, *, anonymous: bool) -> Judgement:
    said = f"the store answered {answer.summary}"
    match answer.status:
        case 401 | 403:
            return _refused(answer, said, anonymous=anonymous)
        case None if answer.timed_out:
            return StoreStalled, "the store sent nothing for too long"
        case None:
            return StoreUnreachable, f"the store cannot be reached: {answer.message}"
        case status:
            return BY_STATUS.get(status, (StoreUnreachable, said))


def _refused(answer: Answer, said: str, *, anonymous: bool) -> Judgement:
    if anonymous:
        return CredentialsMissing, ANONYMOUS
    if answer.status == 401:  # noqa: PLR2004 - the number is the HTTP status
        return CredentialsMissing, f"the credentials do not work: {said}"
    # Without the permission to list the bucket, S3 answers 403 for a missing object too.
    hint = (
        "; without permission to list the bucket, a missing object gives the same answer"
        if answer.code == "AccessDenied"
        else ""
    )
    return AccessDenied, said + hint
