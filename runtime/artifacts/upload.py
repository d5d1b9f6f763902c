"""Uploads to S3, and credentials: the only importer of boto3. A pod's pull never loads it, unless credentials need it.

boto3 costs about 0.28 s to import and to make a client, which a publisher does not feel; it finds credentials wherever
the AWS command line would, and its uploads of large files are in parts.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from runtime.artifacts.access import Credentials, S3Access, certificates, s3_access
from runtime.artifacts.faults import Answer, read_answer, translate
from runtime.artifacts.http1 import Head
from runtime.artifacts.signature import Keys
from runtime.artifacts.uris import S3Place, parse_uri
from runtime.errors import ArtifactChanged, BadSetting, CredentialsMissing

FOLDERS = re.compile(r"(?<![:/\w])/\S*/")  # of an absolute path; a URL's path comes behind its host


class Outgoing(NamedTuple):
    """A file on its way to a URI."""

    path: Path
    uri: str
    sha256: str  # of its bytes, in lower-case hex
    metadata: Mapping[str, str] = MappingProxyType({})  # words of the publisher; values travel as HTTP headers


class SessionCredentials:
    """What boto3 found: called for the keys; `region` is what the profile says."""

    def __init__(self, credentials: Any, *, region: str | None) -> None:  # noqa: ANN401 - botocore's, without types
        self._credentials = credentials
        self.region = region

    def __call__(self) -> Keys:
        """Return keys that work now."""
        frozen = self._credentials.get_frozen_credentials()
        return Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token or None)


def credential_provider(uri: str) -> SessionCredentials | None:
    """Look for credentials where the AWS command line would: profiles, SSO, processes, roles. None: there are none.

    Raises `CredentialsMissing` where there are some and they cannot be used, such as an expired SSO session.
    """
    import boto3

    with _translated(uri, about_credentials=True):
        session = boto3.Session()
        credentials = session.get_credentials()
        if credentials is None:
            return None
        provider = SessionCredentials(credentials, region=session.region_name)
        try:
            provider()
        except OSError as error:  # the token file of a web identity
            raise CredentialsMissing(uri, f"the credentials cannot be obtained: {error.strerror}") from error
        return provider


def s3_words(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata as S3 keeps it, keys in lower case. Raises `BadSetting` for what no HTTP header takes."""
    for key, value in metadata.items():
        if not (key.isascii() and value.isascii() and value.isprintable() and key.replace("-", "").isalnum()):
            allowed = "a name of letters, digits and '-', with printable ASCII as its value"
            raise BadSetting("metadata", value=f"{key}={value}", allowed=allowed)
    return {key.lower(): value for key, value in metadata.items()}


class Bucket:
    """A bucket to write to."""

    def __init__(self, client: Any, name: str, *, access: S3Access) -> None:  # noqa: ANN401 (boto3 makes it at run time)
        self._client = client
        self._name = name
        self._access = access

    def upload(self, file: Outgoing) -> bool:
        """Upload one file, its digest as metadata `sha256`; False where an object is there that must stay.

        Raises `BadSetting` for metadata that cannot be, and `ModelUnavailable` errors.
        """
        place = parse_uri(file.uri)
        if not isinstance(place, S3Place) or place.bucket != self._name or place.version_id is not None:
            raise BadSetting("destination", value=file.uri, allowed=f"s3://{self._name}/key")
        words = {**s3_words(file.metadata), "sha256": file.sha256}
        try:
            with _translated(file.uri, self._access):
                self._client.upload_file(str(file.path), self._name, place.key, ExtraArgs={"Metadata": words})
        except ArtifactChanged:  # 412, and the only condition that an upload has is that nothing is there
            return False
        return True


def open_bucket(name: str, *, overwrite: bool) -> Bucket:
    """Make a client for the bucket; nothing is sent yet. Without `overwrite` no upload replaces an object.

    The store itself sees to that, by If-None-Match, whoever else uploads at the moment; AWS and SeaweedFS do. One that
    does not know the header replaces the object all the same.
    """
    access = s3_access(os.environ, home=Path(os.environ.get("HOME", "/")))
    certificates(access)
    with _translated(f"s3://{name}", access):
        client = _client(access)
    if not overwrite:
        # Not an argument of `upload_file`, which takes a list of its own choice and has no word for it.
        for operation in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(f"before-parameter-build.s3.{operation}", _only_new)
    if access.endpoint is not None:
        client.meta.events.register("before-parameter-build.s3", _stay)
    return Bucket(client, name, access=access)


def _stay(context: dict[str, Any], **_: object) -> None:
    """Have botocore follow no redirect: a store of your own has no other regions, and it would ask without end."""
    context["s3_redirect"] = {**context.get("s3_redirect", {}), "redirected": True}


def _only_new(params: dict[str, Any], **_: object) -> None:
    params["IfNoneMatch"] = "*"


def _client(access: S3Access) -> Any:  # noqa: ANN401 (boto3 makes its classes at run time)
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    options: dict[str, Any] = {"s3": {"addressing_style": "path"}} if access.endpoint is not None else {}
    if access.credentials is Credentials.ANONYMOUS:
        options["signature_version"] = UNSIGNED
    session = boto3.Session()
    region = access.region or session.region_name or "us-east-1"
    return session.client("s3", region_name=region, endpoint_url=access.endpoint, config=Config(**options))


@contextmanager
def _translated(uri: str, access: S3Access | None = None, *, about_credentials: bool = False) -> Iterator[None]:
    """Translate what boto3 raises; `access` is where the request goes, None to whatever boto3 asks for credentials."""
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions

    anonymous = access is not None and access.credentials is Credentials.ANONYMOUS
    tried = None if access is None else access.tried
    try:
        yield
    except exceptions.ClientError as error:
        answer = _answer(error)._replace(about_credentials=about_credentials)
        raise translate(uri, answer, anonymous=anonymous, tried=tried) from error
    except S3UploadFailedError as error:
        cause = error.__context__
        answer = _answer(cause) if isinstance(cause, exceptions.ClientError) else Answer(message=str(error))
        raise translate(uri, answer, anonymous=anonymous, tried=tried) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise translate(uri, Answer(message=_said(error)), tried=tried) from error
    except exceptions.BotoCoreError as error:
        raise CredentialsMissing(uri, f"the credentials cannot be obtained: {_said(error)}") from error


def _said(error: Exception) -> str:
    """Return what botocore says, with files by their names alone: callers of a pod get it too."""
    return FOLDERS.sub("", str(error))


def _answer(error: Any) -> Answer:  # noqa: ANN401 (a ClientError, whose class is only there once botocore is loaded)
    said, facts = error.response.get("Error", {}), error.response["ResponseMetadata"]
    answer = read_answer(Head(facts["HTTPStatusCode"], facts.get("HTTPHeaders", {})), b"")
    return answer._replace(code=said.get("Code", ""), message=said.get("Message", ""))
