"""How to reach S3, decided from the standard AWS environment. It looks at no more than the files that this names.

Credentials, first match, in the order of the AWS SDKs:

    AWS_SKIP_SIGNATURE=true                      anonymous, by wish
    AWS_ACCESS_KEY_ID + AWS_SECRET_ACCESS_KEY    ENVIRONMENT: the fast client signs with them (and AWS_SESSION_TOKEN)
    AWS_WEB_IDENTITY_TOKEN_FILE + AWS_ROLE_ARN   ENVIRONMENT: the fast client asks the STS of AWS; one of your own,
                                                 as it may be plain HTTP, is BOTO3's to ask
    AWS_CONTAINER_CREDENTIALS_*                  ENVIRONMENT: the fast client asks the agent
    AWS_PROFILE, a shared file, or AWS itself    BOTO3: profiles, SSO, processes, roles; nothing found: anonymous
    none of these, at an endpoint of your own    anonymous: no instance role means anything there

Anonymous reads a public bucket; where that is refused, the error says that no credentials were found.
"""

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from runtime.errors import BadSetting

TRUE = frozenset({"1", "true", "yes", "on"})
SCHEMES = frozenset({"http", "https"})
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class Credentials(enum.Enum):
    """Who finds the credentials."""

    ANONYMOUS = "anonymous"
    ENVIRONMENT = "environment"
    BOTO3 = "boto3"


class S3Access(NamedTuple):
    """Where the S3 is and who we are there."""

    endpoint: str | None  # None: AWS
    region: str | None
    credentials: Credentials
    ca_bundle: Path | None = None  # PEM file

    @property
    def plain_http(self) -> bool:
        """Whether the endpoint itself asks for HTTP without TLS."""
        return self.endpoint is not None and self.endpoint.startswith("http://")


def s3_access(environ: Mapping[str, str], *, home: Path) -> S3Access:
    """Decide from the environment; `home` is where the folder `.aws` would be. Raises `BadSetting`."""
    endpoint = _endpoint(environ)
    bundle = environ.get("AWS_CA_BUNDLE")
    return S3Access(
        endpoint=endpoint,
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
        credentials=_credentials(environ, endpoint=endpoint, home=home),
        ca_bundle=Path(bundle) if bundle else None,
    )


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


def _endpoint(environ: Mapping[str, str]) -> str | None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if value := environ.get(name):
            if not _is_web_address(value):
                raise BadSetting(name, value=value, allowed="http://HOST[:PORT] or https://HOST[:PORT]")
            return value.rstrip("/")
    return None


def _is_web_address(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in SCHEMES and bool(url.hostname) and url.port != 0 and text.isprintable() and " " not in text
    except ValueError:  # a port that is no number, brackets that do not close
        return False


def _credentials(environ: Mapping[str, str], *, endpoint: str | None, home: Path) -> Credentials:
    def all_set(*names: str) -> bool:
        return all(environ.get(name) for name in names)

    web_identity = all_set("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
    own_sts = all_set("AWS_ENDPOINT_URL_STS") or all_set("AWS_ENDPOINT_URL")  # the latter means every service
    if environ.get("AWS_SKIP_SIGNATURE", "").lower() in TRUE:
        return Credentials.ANONYMOUS
    if (
        all_set("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        or (web_identity and not own_sts)
        or all_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        or all_set("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    ):
        return Credentials.ENVIRONMENT
    if (
        endpoint is None
        or web_identity
        or all_set("AWS_PROFILE")
        or any(path.is_file() for path in _shared_files(environ, home))
    ):
        return Credentials.BOTO3
    return Credentials.ANONYMOUS


def _shared_files(environ: Mapping[str, str], home: Path) -> list[Path]:
    return [
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"),
        Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config"),
    ]
