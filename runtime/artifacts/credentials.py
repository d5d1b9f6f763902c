"""Who hands out the keys that sign requests to S3: the environment, a token service (STS), or an agent on the node.

Web identity: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
Container agent: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html

Keys are asked for once for each client. A client lives for one pull, and a pull's deadline is far below the
lifetime of keys, which is 15 minutes or more.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from runtime.artifacts.access import Credentials, S3Access, endpoint_of
from runtime.artifacts.faults import ERROR_SECONDS, MOST_ERROR_BYTES, read_answer, translate
from runtime.artifacts.signature import Keys
from runtime.artifacts.transport import Client, Limits, client_for
from runtime.artifacts.wire import BrokenExchangeError
from runtime.errors import CredentialsMissing

AGENT = "http://169.254.170.2"  # of Amazon ECS, for the relative URI
MOST_TOKEN_BYTES = 64 * 1024
_FIELD = r"<{0}>\s*([^<\s]+)\s*</{0}>"

Finder = Callable[[], Keys | None]  # None: requests are not signed


def finder(environ: Mapping[str, str], *, access: S3Access, uri: str, limits: Limits) -> Finder:
    """Return what finds the keys when the first request is due. It raises `CredentialsMissing`.

    `Credentials.BOTO3` is not looked for here.
    """
    match access.credentials:
        case Credentials.KEYS:
            return lambda: keys_of(environ)
        case Credentials.WEB_IDENTITY:
            return lambda: _from_sts(environ, access=access, uri=uri, limits=limits)
        case Credentials.AGENT:
            return lambda: _from_agent(environ, access=access, uri=uri, limits=limits)
    return lambda: None


def keys_of(environ: Mapping[str, str]) -> Keys:
    """Read the keys that the environment holds itself."""
    token = environ.get("AWS_SESSION_TOKEN") or None
    return Keys(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], token)


def _from_sts(environ: Mapping[str, str], *, access: S3Access, uri: str, limits: Limits) -> Keys:
    """Take the token of the pod's service account to STS."""
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": environ["AWS_ROLE_ARN"],
        "RoleSessionName": environ.get("AWS_ROLE_SESSION_NAME") or "scalezero",
        "WebIdentityToken": _token(environ["AWS_WEB_IDENTITY_TOKEN_FILE"], uri=uri),
    }
    url = endpoint_of(environ, "STS") or f"https://sts.{access.aws_domain}"
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/xml"}
    client = client_for(url, access=access, limits=limits)
    text = _ask(client, url, headers, body=urlencode(form).encode(), uri=uri)
    found = [re.search(_FIELD.format(name), text) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    if not all(found):
        raise _missing(uri, "STS answered without keys")
    return Keys(*(match[1] for match in found if match))


def _from_agent(environ: Mapping[str, str], *, access: S3Access, uri: str, limits: Limits) -> Keys:
    """Ask the agent that Amazon ECS and EKS run on each node."""
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = AGENT + relative if relative else environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    headers = {"accept": "application/json"}
    if file := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        headers["authorization"] = _token(file, uri=uri)
    elif token := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        headers["authorization"] = token
    client = client_for(url, access=access, limits=limits, direct=True)  # it is on this node
    text = _ask(client, url, headers, uri=uri)
    try:
        said = json.loads(text)
        return Keys(str(said["AccessKeyId"]), str(said["SecretAccessKey"]), str(said["Token"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _missing(uri, "the agent answered without keys") from error


def _ask(client: Client, url: str, headers: Mapping[str, str], *, body: bytes = b"", uri: str) -> str:
    """Send one request to who hands out keys, and return the text of the answer."""
    secrets = (headers.get("authorization"), *(value for _, value in parse_qsl(body.decode("ascii"))))
    method, parts = "POST" if body else "GET", urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        reply = client.exchange(client.request(method, target, {"host": client.origin.authority, **headers}, body=body))
    except ValueError as error:  # the token holds a line break
        raise _missing(uri, str(error)) from error
    except BrokenExchangeError as error:
        raise _missing(uri, error.reason) from error
    text = reply.beginning(MOST_ERROR_BYTES, seconds=ERROR_SECONDS)
    if reply.head.status != 200:  # noqa: PLR2004 - the number is the HTTP status
        raise translate(uri, read_answer(reply.head, text, secrets=secrets)._replace(about_credentials=True))
    return text.decode("utf-8", "replace")


def _token(file: str, *, uri: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MOST_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise _missing(uri, f"the token file cannot be read: {reason}") from error


def _missing(uri: str, reason: str) -> CredentialsMissing:
    return CredentialsMissing(uri, f"the credentials cannot be obtained: {reason}")
