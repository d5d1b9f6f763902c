"""The keys that sign requests to S3: from the environment, a token service (STS), or an agent on the node.

Web identity: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
Container agent: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html

Each client gets its keys once. A client is used for one pull, whose deadline is much shorter than the lifetime of keys,
which is 15 minutes or more.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from runtime.artifacts.access import Credentials, S3Access, endpoint_of, endpoint_variable
from runtime.artifacts.faults import ERROR_SECONDS, MAX_ERROR_BYTES, parse_error_response
from runtime.artifacts.signature import Keys
from runtime.artifacts.transport import Client, Limits, client_for, origin_of
from runtime.artifacts.wire import BrokenExchangeError
from runtime.errors import CredentialsMissing, StoreUnreachable

AGENT = "http://169.254.170.2"  # of Amazon ECS, for the relative URI
MAX_TOKEN_BYTES = 64 * 1024
_SERVER_ERROR = 500  # and above: the fault is not in the request
_FIELD = r"<{0}>\s*([^<\s]+)\s*</{0}>"

KeyProvider = Callable[[], Keys | None]  # None: requests are not signed


class _Issuer(NamedTuple):
    """A server that issues keys, STS or an agent, and the facts for its errors."""

    url: str
    source: str
    uri: str  # of the model that the keys are for

    @property
    def description(self) -> str:
        """The server and the source of the credentials; contains no secret, as the path of an agent may be."""
        return f"at {origin_of(self.url).url}, {self.source}"

    def error(self, reason: str) -> CredentialsMissing:
        """Return the error for keys that cannot be obtained."""
        return CredentialsMissing(self.uri, self._describe(reason))

    def unreachable(self, reason: str) -> StoreUnreachable:
        """Return the error for a server that does not answer, or fails itself; a retry may succeed."""
        return StoreUnreachable(self.uri, self._describe(reason))

    def _describe(self, reason: str) -> str:
        return f"the credentials cannot be obtained: {reason} ({self.description})"


def make_key_provider(environ: Mapping[str, str], *, access: S3Access, uri: str, limits: Limits) -> KeyProvider:
    """Return a function that gets the keys for the first request.

    The function raises `CredentialsMissing`, and `StoreUnreachable` if the server that issues the keys does not answer.
    `Credentials.BOTO3` is not handled here.
    """
    match access.credentials:
        case Credentials.KEYS:
            return lambda: keys_from_environment(environ)
        case Credentials.WEB_IDENTITY:
            return lambda: _from_sts(environ, access=access, uri=uri, limits=limits)
        case Credentials.AGENT:
            return lambda: _from_agent(environ, access=access, uri=uri, limits=limits)
    return lambda: None


def keys_from_environment(environ: Mapping[str, str]) -> Keys:
    """Return the keys in the environment variables."""
    token = environ.get("AWS_SESSION_TOKEN") or None
    return Keys(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], token)


def _from_sts(environ: Mapping[str, str], *, access: S3Access, uri: str, limits: Limits) -> Keys:
    """Exchange the token of the pod's service account for keys at STS."""
    url = endpoint_of(environ, "STS") or f"https://sts.{access.aws_domain}"
    issuer = _Issuer(url, access.source, uri)
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": environ["AWS_ROLE_ARN"],
        "RoleSessionName": environ.get("AWS_ROLE_SESSION_NAME") or "scalezero",
        "WebIdentityToken": _read_token("AWS_WEB_IDENTITY_TOKEN_FILE", environ, issuer),
    }
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/xml"}
    client = client_for(url, access=access, limits=limits, variable=endpoint_variable(environ, "STS"))
    text = _request_keys(client, issuer, headers, body=urlencode(form).encode())
    matches = [re.search(_FIELD.format(name), text) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    if not all(matches):
        raise issuer.error("the response of STS has no keys")
    return Keys(*(match[1] for match in matches if match))


def _from_agent(environ: Mapping[str, str], *, access: S3Access, uri: str, limits: Limits) -> Keys:
    """Get the keys from the agent that Amazon ECS and EKS run on each node."""
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = AGENT + relative if relative else environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    issuer = _Issuer(url, access.source, uri)
    headers = {"accept": "application/json"}
    if environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        headers["authorization"] = _read_token("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", environ, issuer)
    elif token := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        headers["authorization"] = token
    variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    client = client_for(url, access=access, limits=limits, variable=variable, direct=True)  # the agent is on this node
    text = _request_keys(client, issuer, headers)
    try:
        document = json.loads(text)
        return Keys(str(document["AccessKeyId"]), str(document["SecretAccessKey"]), str(document["Token"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise issuer.error("the response of the agent has no keys") from error


def _request_keys(client: Client, issuer: _Issuer, headers: Mapping[str, str], *, body: bytes = b"") -> str:
    """Send one request to STS or to the agent, and return the body of the response."""
    secrets = (headers.get("authorization"), *(value for _, value in parse_qsl(body.decode("ascii"))))
    method, parts = "POST" if body else "GET", urlsplit(issuer.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        response = client.exchange(
            client.render_request(method, target, {"host": client.origin.authority, **headers}, body=body)
        )
    except ValueError as error:  # the token contains a line break
        raise issuer.error(str(error)) from error
    except BrokenExchangeError as error:
        raise issuer.unreachable(error.reason) from error
    text = response.read_start(MAX_ERROR_BYTES, seconds=ERROR_SECONDS)
    if response.head.status != 200:  # noqa: PLR2004 - the number is the HTTP status
        answer = parse_error_response(response.head, text, secrets=secrets, https_advice=client.https_advice)
        raise (
            issuer.unreachable(answer.summary)
            if response.head.status >= _SERVER_ERROR
            else issuer.error(answer.summary)
        )
    return text.decode("utf-8", "replace")


def _read_token(variable: str, environ: Mapping[str, str], issuer: _Issuer) -> str:
    """Return the token in the file that the variable names."""
    try:
        with Path(environ[variable]).open("rb") as opened:
            return opened.read(MAX_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise issuer.error(f"the token file in {variable} cannot be read: {reason}") from error
