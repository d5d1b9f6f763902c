"""How to reach S3, decided from the standard AWS environment. It looks at no more than the files that this names.

Credentials, first match, in the order of the AWS SDKs:

    AWS_SKIP_SIGNATURE=true                      ANONYMOUS, as asked
    AWS_ACCESS_KEY_ID + AWS_SECRET_ACCESS_KEY    KEYS (and AWS_SESSION_TOKEN)
    AWS_WEB_IDENTITY_TOKEN_FILE + AWS_ROLE_ARN   WEB_IDENTITY: STS gives keys for the token
    AWS_CONTAINER_CREDENTIALS_*                  AGENT: the node's agent gives keys
    AWS_PROFILE, a shared file, or AWS itself    BOTO3: profiles, SSO, processes, roles; nothing found: anonymous
    none of these, at an endpoint of your own    ANONYMOUS: no instance role means anything there

Anonymous reads a public bucket; where that is refused, the error says that no credentials were found.
"""

import enum
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from runtime.errors import BadSetting

DEFAULT_REGION = "us-east-1"  # as the AWS SDKs have it
SECRETS = (  # never shown, not even where they are wrong
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
WORDS = ("AWS_PROFILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_SKIP_SIGNATURE")
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
_REGION = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._-]{0,61}[0-9A-Za-z])?")  # goes into a host name
_RELATIVE = re.compile(r"/[!-~]*")
TRUE = frozenset({"1", "true", "yes", "on"})
SCHEMES = frozenset({"http", "https"})
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class Credentials(enum.Enum):
    """Who finds the credentials."""

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
    Credentials.BOTO3: "with the credentials that boto3 finds, such as a profile",
}


class S3Access(NamedTuple):
    """Where the S3 is and who we are there."""

    endpoint: str | None  # None: AWS
    region: str | None
    credentials: Credentials
    ca_bundle: Path | None = None  # PEM file

    @property
    def tried(self) -> str:
        """The address and the source of the credentials, for errors: without a secret."""
        return f"at {self.endpoint or f'https://s3.{self.aws_domain}'}, {_SOURCES[self.credentials]}"

    @property
    def region_or_default(self) -> str:
        """The region that requests are signed for."""
        return self.region or DEFAULT_REGION

    @property
    def aws_domain(self) -> str:
        """The end of the host names of AWS services in the region."""
        return f"{self.region_or_default}.amazonaws.com{'.cn' if self.region_or_default.startswith('cn-') else ''}"


def s3_access(environ: Mapping[str, str], *, home: Path) -> S3Access:
    """Decide from the environment; `home` is where the folder `.aws` would be.

    Raises `BadSetting` where a variable cannot work, such as a key with a line break at its end.
    """
    _check(environ)
    endpoint = endpoint_of(environ, "S3")
    bundle = environ.get("AWS_CA_BUNDLE")
    return S3Access(
        endpoint=endpoint,
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
        credentials=_credentials(environ, endpoint=endpoint, home=home),
        ca_bundle=Path(bundle) if bundle else None,
    )


def endpoint_of(environ: Mapping[str, str], service: str) -> str | None:
    """Return the address of a service of your own, without a slash at its end; None: the one of AWS."""
    value = environ.get(f"AWS_ENDPOINT_URL_{service}") or environ.get("AWS_ENDPOINT_URL")
    return value.rstrip("/") if value else None


def certificates(access: S3Access) -> bytes | None:
    """Read the CA bundle; None where none is set. Raises `BadSetting` where it is no file with certificates."""
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
    """Refuse what cannot be a header, a host name or a path, before a client or a server has to."""
    for name in (*SECRETS, *WORDS):
        value = environ.get(name, "")
        if not (value.isascii() and _is_clean(value)):
            allowed = "printable ASCII, with no blank or line break at its ends"
            raise BadSetting(name, value=value, allowed=allowed, hidden=name in SECRETS)
    for name in FILES:
        if not _is_clean(value := environ.get(name, "")):
            raise BadSetting(name, value=value, allowed="a path, with no blank or line break at its ends")
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
        allowed = "an address without user and password; keys belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise BadSetting(name, value=value, allowed=allowed, hidden=True)
    if not _is_web_address(value, query=name == "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        raise BadSetting(name, value=value, allowed="http://HOST[:PORT] or https://HOST[:PORT]")


def _is_web_address(text: str, *, query: bool) -> bool:
    try:
        url = urlsplit(text)
        whole = url.scheme in SCHEMES and bool(url.hostname) and url.port != 0 and (query or not url.query)
        return whole and not url.fragment and text.isascii() and text.isprintable() and " " not in text
    except ValueError:  # a port that is no number, brackets that do not close
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
