"""From what an S3 answered to the error that a caller is told. Pure: the fast client hands its errors over as text.

Its message holds the request, the HTTP status and the XML of S3's own error, or else the kind of the broken connection.
Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import re
from typing import NamedTuple

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
NOT_FOUND = {
    "NoSuchBucket": "there is no such bucket",
    "NoSuchVersion": "there is no such version of the object",
}
Judgement = tuple[type[ModelUnavailable], str]  # the error and its reason
BY_STATUS: dict[int, Judgement] = {
    301: (AccessDenied, "the bucket is in another region than AWS_REGION says"),
    307: (AccessDenied, "the bucket is in another region than AWS_REGION says"),
    404: (ArtifactMissing, "there is no such object"),
    412: (ArtifactChanged, "the object was replaced while it was being read"),
    416: (InvalidModel, "the object is empty"),
}
ANONYMOUS = (
    "it may not be read without credentials, and none were found: "
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a web identity"
)

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]+)</Message>")
_REQUEST = re.compile(r"Error performing ([A-Z]+) (\S+)")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w+)")
_CAUSE = re.compile(r'(?:message|error): "?([^"{(,\n]+)"?,')
_DETAIL = "\n\nDebug source"


class Answer(NamedTuple):
    """The facts of a failed request, as far as the client told them."""

    status: int | None = None
    code: str = ""
    message: str = ""
    timed_out: bool = False
    about_credentials: bool = False  # it was not S3 that was asked but who hands out the credentials

    @property
    def summary(self) -> str:
        """Say in a few words what came."""
        if self.status is None:
            return self.message
        return " ".join(
            word for word in (str(self.status), self.code, f"({self.message})" if self.message else "") if word
        )


def read_answer(text: str) -> Answer:
    """Find the facts in the fast client's message."""
    head, _, detail = text.partition(_DETAIL)
    if "BareRedirect" in detail:  # the client keeps the status of a redirect that leads nowhere to itself
        return Answer(status=301, code="PermanentRedirect")
    status, code, message = (pattern.search(head) for pattern in (_STATUS, _CODE, _MESSAGE))
    request = _REQUEST.search(head)
    return Answer(
        status=int(status[1]) if status else None,
        code=code[1] if code else "",
        message=message[1] if message else _cause(head, detail) if not status else "",
        timed_out=not status and ("kind: Timeout" in detail or "TimedOut" in detail) and "Connect," not in detail,
        # A pull itself only ever asks GET of S3; tokens come from files, or are fetched with POST and PUT.
        about_credentials=request[1] != "GET" if request else "token file" in head,
    )


def translate(uri: str, answer: Answer, *, anonymous: bool = False) -> ModelUnavailable:
    """Choose the error for a failed request about the object at `uri`; the code says more than the status."""
    error, reason = _by_code(answer) or _by_status(answer, anonymous=anonymous)
    return error(uri, reason)


def _by_code(answer: Answer) -> Judgement | None:
    said = f"the store answered {answer.summary}"
    if answer.about_credentials:
        return CredentialsMissing, f"no credentials could be had: {answer.summary}"
    if answer.code in BAD_CREDENTIALS:
        return CredentialsMissing, f"the credentials do not work: {said}"
    if answer.code in WRONG_REGION:
        return AccessDenied, f"the bucket is in another region than AWS_REGION says: {said}"
    if answer.code in NOT_FOUND:
        return ArtifactMissing, NOT_FOUND[answer.code]
    return (StoreStalled, said) if answer.code == "RequestTimeout" else None


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
    # S3 does not tell who may not list whether there is an object at all.
    hint = "; without the right to list, a missing object looks like this too" if answer.code == "AccessDenied" else ""
    return AccessDenied, said + hint


def _cause(head: str, detail: str) -> str:
    """Say why a connection broke: the innermost cause that the client names, after what it was doing."""
    first_line = head.splitlines()[0] if head else "no reason given"
    doing = first_line.rpartition(" - ")[2].removeprefix("Generic S3 error: ")
    if certificate := _CERTIFICATE.search(detail):
        return f"its certificate is not trusted ({certificate[1]}); AWS_CA_BUNDLE may name a file with the right ones"
    causes = _CAUSE.findall(detail)
    return f"{doing} ({causes[-1]})" if causes else doing
