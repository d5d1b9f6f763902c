"""The S3 endpoint and the source of the credentials, from the standard AWS environment.

Only files that the environment names are accessed. The first match decides, in the order of the AWS SDKs:

    AWS_SKIP_SIGNATURE=true                      ANONYMOUS
    AWS_ACCESS_KEY_ID + AWS_SECRET_ACCESS_KEY    KEYS (and AWS_SESSION_TOKEN)
    AWS_WEB_IDENTITY_TOKEN_FILE + AWS_ROLE_ARN   WEB_IDENTITY: STS returns keys for the token
    AWS_CONTAINER_CREDENTIALS_*                  AGENT: the agent of the node returns keys
    AWS_PROFILE, a shared file, or AWS itself    BOTO3: profiles, SSO, processes, roles; anonymous if none is found
    none of these, with a custom endpoint        ANONYMOUS: instance roles are only valid at AWS

Anonymous requests can read a public bucket. If the store denies one, the error says that no credentials were found.
"""

import enum
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from runtime.errors import BadSetting

DEFAULT_REGION = "us-east-1"  # the default of the AWS SDKs
SECRETS = (  # never shown, even if they are invalid
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
IDENTIFIERS = ("AWS_PROFILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_SKIP_SIGNATURE")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
FILES = (
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
ADDRESSES = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
)
_REGION = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._-]{0,61}[0-9A-Za-z])?")  # a region is part of host names
_RELATIVE = re.compile(r"/[!-~]*")
TRUE = frozenset({"1", "true", "yes", "on"})
SCHEMES = frozenset({"http", "https"})
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class Credentials(enum.Enum):
    """The source of the credentials."""

    ANONYMOUS = "anonymous"
    KEYS = "keys"
    WEB_IDENTITY = "web identity"
    AGENT = "agent"
    BOTO3 = "boto3"


_SOURCES = {
    Credentials.ANONYMOUS: "without credentials",
    Credentials.KEYS: "with the key in AWS_ACCESS_KEY_ID",
    Credentials.WEB_IDENTITY: "with the web identity in AWS_WEB_IDENTITY_TOKEN_FILE",
    Credentials.AGENT: "with credentials of the container agent",
    Credentials.BOTO3: "with the credentials that boto3 finds, such as those of AWS_PROFILE",
}


class S3Access(NamedTuple):
    """The S3 endpoint and the source of the credentials for it."""

    endpoint: str | None  # None: AWS
    region: str | None
    credentials: Credentials
    ca_bundle: Path | None = None  # PEM file
    endpoint_variable: str = "AWS_ENDPOINT_URL"  # the variable that has the endpoint

    @property
    def description(self) -> str:
        """The endpoint and the source of the credentials, for error messages; contains no secret."""
        why = "" if self.endpoint else f", because {self.endpoint_variable} is not set"
        return f"at {self.url}{why}, {self.source}"

    @property
    def url(self) -> str:
        """The URL of S3: the custom endpoint, or that of AWS."""
        return self.endpoint or f"https://s3.{self.aws_domain}"

    @property
    def source(self) -> str:
        """The source of the credentials, for error messages; contains no secret."""
        return _SOURCES[self.credentials]

    @property
    def region_or_default(self) -> str:
        """The region in the signatures of requests."""
        return self.region or DEFAULT_REGION

    @property
    def aws_domain(self) -> str:
        """The domain of the AWS services in the region."""
        return f"{self.region_or_default}.amazonaws.com{'.cn' if self.region_or_default.startswith('cn-') else ''}"


def s3_access(environ: Mapping[str, str], *, home: Path) -> S3Access:
    """Return the access to S3 that the environment describes. `home` is the folder that may contain `.aws`.

    Raises `BadSetting` for an invalid variable, such as a key with a line break at its end.
    """
    _check(environ)
    endpoint = endpoint_of(environ, "S3")
    bundle = environ.get("AWS_CA_BUNDLE")
    return S3Access(
        endpoint=endpoint,
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
        credentials=_credentials(environ, endpoint=endpoint, home=home),
        ca_bundle=Path(bundle) if bundle else None,
        endpoint_variable=endpoint_variable(environ, "S3"),
    )


def endpoint_of(environ: Mapping[str, str], service: str) -> str | None:
    """Return the custom endpoint of an AWS service, without a slash at its end. None: the endpoint of AWS."""
    value = environ.get(endpoint_variable(environ, service))
    return value.rstrip("/") if value else None


def endpoint_variable(environ: Mapping[str, str], service: str) -> str:
    """Return the variable that has the custom endpoint of an AWS service, or would have it."""
    own = f"AWS_ENDPOINT_URL_{service}"
    return own if environ.get(own) else "AWS_ENDPOINT_URL"


def certificates(access: S3Access) -> bytes | None:
    """Read the CA bundle. Returns None if none is set. Raises `BadSetting` if it is not a file with certificates."""
    if access.ca_bundle is None:
        return None
    try:
        content = access.ca_bundle.read_bytes()
    except OSError as error:
        allowed = f"a readable PEM file ({error.strerror})"
        raise BadSetting("AWS_CA_BUNDLE", value=str(access.ca_bundle), allowed=allowed) from error
    if CERTIFICATE not in content:
        raise BadSetting("AWS_CA_BUNDLE", value=str(access.ca_bundle), allowed="a PEM file with certificates")
    return content


def _check(environ: Mapping[str, str]) -> None:
    """Raise `BadSetting` for a variable that is not valid as a header, a host name, a URL or a path."""
    for name in (*SECRETS, *IDENTIFIERS):
        value = environ.get(name, "")
        if not (value.isascii() and _is_clean(value)):
            allowed = "printable ASCII, without spaces or line breaks at its start or end"
            raise BadSetting(name, value=value, allowed=allowed, hidden=name in SECRETS)
    for name in FILES:
        if not _is_clean(value := environ.get(name, "")):
            raise BadSetting(name, value=value, allowed="a path, without spaces or line breaks at its start or end")
    for name in REGIONS:
        if not _REGION.fullmatch(value := environ.get(name) or DEFAULT_REGION):
            raise BadSetting(name, value=value, allowed="the name of a region, such as eu-west-1")
    for name in ADDRESSES:
        if address := environ.get(name):
            _check_address(name, address)
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    if relative and not _RELATIVE.fullmatch(relative):
        raise BadSetting("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", value=relative, allowed="a path that begins with /")


def _is_clean(text: str) -> bool:
    return text.isprintable() and text == text.strip()


def _check_address(name: str, value: str) -> None:
    if "@" in value:
        allowed = "a URL without user and password; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        raise BadSetting(name, value=value, allowed=allowed, hidden=True)
    if not _is_http_url(value, query=name == "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        raise BadSetting(name, value=value, allowed="http://HOST[:PORT] or https://HOST[:PORT]")


def _is_http_url(text: str, *, query: bool) -> bool:
    try:
        url = urlsplit(text)
        is_complete = url.scheme in SCHEMES and bool(url.hostname) and url.port != 0 and (query or not url.query)
        return is_complete and not url.fragment and text.isascii() and text.isprintable() and " " not in text
    except ValueError:  # the port is not a number, or a bracket is not closed
        return False


def _credentials(environ: Mapping[str, str], *, endpoint: str | None, home: Path) -> Credentials:
    def all_set(*names: str) -> bool:
        return all(environ.get(name) for name in names)

    if environ.get("AWS_SKIP_SIGNATURE", "").lower() in TRUE:
        return Credentials.ANONYMOUS
    if all_set("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        return Credentials.KEYS
    if all_set("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"):
        return Credentials.WEB_IDENTITY
    if all_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or all_set("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return Credentials.AGENT
    if endpoint is None or all_set("AWS_PROFILE") or any(path.is_file() for path in _shared_files(environ, home)):
        return Credentials.BOTO3
    return Credentials.ANONYMOUS


def _shared_files(environ: Mapping[str, str], home: Path) -> list[Path]:
    return [
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"),
        Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config"),
    ]
