"""Uploads to S3, and credentials from boto3. No other module imports boto3.

The import of boto3 and the creation of a client take about 0.28 s. That is acceptable when publishing. A pull in a pod
imports it only if its credentials need it. boto3 finds credentials wherever the AWS command line does, and uploads
large files in parts.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from runtime.artifacts.access import Credentials, S3Access, certificates, s3_access
from runtime.artifacts.faults import ErrorResponse, parse_error_response, translate
from runtime.artifacts.http1 import Head
from runtime.artifacts.signature import Keys
from runtime.artifacts.uris import S3Location, parse_uri
from runtime.errors import ArtifactChanged, BadSetting, CredentialsMissing, StoreUnreachable

FOLDERS = re.compile(r"(?<![:/\w])/\S*/")  # the folders of an absolute path; does not match the path of a URL
QUERIES = re.compile(r"(?<=\S)\?[^\s\"]+")  # of a URL
CONCURRENCY = 4  # requests at a time, as in a pull
PART_BYTES = 16 * 1024 * 1024
Progress = Callable[[int], None]  # gets the number of bytes that were sent since the last call, from several threads


class FileUpload(NamedTuple):
    """A file to upload to a URI."""

    path: Path
    uri: str
    sha256: str  # of its bytes, in lower-case hex
    metadata: Mapping[str, str] = MappingProxyType({})  # from the publisher; sent as HTTP headers


class SessionCredentials:
    """Credentials that boto3 found. A call returns the keys; `region` is the region of the profile."""

    def __init__(self, credentials: Any, *, region: str | None) -> None:  # noqa: ANN401 - botocore's, without types
        self._credentials = credentials
        self.region = region

    def __call__(self) -> Keys:
        """Return the current keys."""
        frozen = self._credentials.get_frozen_credentials()
        return Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token or None)


def credential_provider(uri: str, access: S3Access) -> SessionCredentials | None:
    """Find credentials as the AWS command line does: profiles, SSO, processes, roles. Returns None if there are none.

    `access` is what they are for. Raises `CredentialsMissing` if credentials exist but cannot be used, such as an
    expired SSO session, and `StoreUnreachable` if a server that returns them cannot be reached.
    """
    import boto3

    with _translate_credential_errors(uri, access):
        session = boto3.Session()
        credentials = session.get_credentials()
        if credentials is None:
            return None
        provider = SessionCredentials(credentials, region=session.region_name)
        provider()
        return provider


def s3_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata as S3 stores it, keys in lower case. Raises `BadSetting` if it is invalid in HTTP headers."""
    for key, value in metadata.items():
        if not (key.isascii() and value.isascii() and value.isprintable() and key.replace("-", "").isalnum()):
            allowed = "a name of letters, digits and '-', with printable ASCII as its value"
            raise BadSetting("metadata", value=f"{key}={value}", allowed=allowed)
    return {key.lower(): value for key, value in metadata.items()}


class Bucket:
    """A bucket for uploads."""

    def __init__(self, client: Any, name: str, *, access: S3Access) -> None:  # noqa: ANN401 (boto3 makes it at run time)
        self._client = client
        self._name = name
        self._access = access

    def upload(self, file: FileUpload, progress: Progress | None = None) -> bool:
        """Upload one file, with its digest as metadata `sha256`. Returns False if an existing object is kept.

        Raises `BadSetting` for invalid metadata or a URI outside the bucket, and `ModelUnavailable` errors.
        """
        key = self._key(file.uri)
        more = {"Metadata": {**s3_metadata(file.metadata), "sha256": file.sha256}}
        try:
            with _translate_errors(file.uri, self._access):
                self._client.upload_file(
                    str(file.path), self._name, key, ExtraArgs=more, Callback=progress, Config=_transfer_config()
                )
        except ArtifactChanged:  # 412: the only condition of an upload is that the object does not exist
            return False
        return True

    def put(self, uri: str, body: bytes, *, content_type: str) -> bool:
        """Upload one small object in one request. Returns False if an existing object is kept. Raises as `upload`."""
        key = self._key(uri)
        try:
            with _translate_errors(uri, self._access):
                self._client.put_object(Bucket=self._name, Key=key, Body=body, ContentType=content_type)
        except ArtifactChanged:
            return False
        return True

    def delete(self, uri: str) -> None:
        """Delete one object; it need not exist. A bucket with versions keeps its versions. Raises as `upload`."""
        key = self._key(uri)
        with _translate_errors(uri, self._access):
            self._client.delete_object(Bucket=self._name, Key=key)

    def _key(self, uri: str) -> str:
        location = parse_uri(uri)
        if not isinstance(location, S3Location) or location.bucket != self._name or location.version_id is not None:
            raise BadSetting("destination", value=uri, allowed=f"s3://{self._name}/key")
        return location.key


def open_bucket(name: str, *, overwrite: bool) -> Bucket:
    """Create a client for the bucket without sending anything. Without `overwrite`, uploads replace no existing object.

    The store enforces this with If-None-Match, also for concurrent uploads. AWS and SeaweedFS support the header. A
    store that does not support it replaces the object.
    """
    access = s3_access(os.environ, home=Path(os.environ.get("HOME", "/")))
    certificates(access)
    with _translate_errors(f"s3://{name}", access):
        client = _client(access)
    if not overwrite:
        # `upload_file` has no argument for this header.
        for operation in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(f"before-parameter-build.s3.{operation}", _set_if_none_match)
    if access.endpoint is not None:
        client.meta.events.register("before-parameter-build.s3", _disable_redirects)
    return Bucket(client, name, access=access)


def _transfer_config() -> Any:  # noqa: ANN401 (boto3 has no types)
    """Return the limits of an upload in parts. With those of boto3, it takes more CPU time and twice the memory."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(max_concurrency=CONCURRENCY, multipart_chunksize=PART_BYTES)


def _disable_redirects(context: dict[str, Any], **_: object) -> None:
    """Disable redirects in botocore. A store with its own endpoint has no other regions, and botocore would loop."""
    context["s3_redirect"] = {**context.get("s3_redirect", {}), "redirected": True}


def _set_if_none_match(params: dict[str, Any], **_: object) -> None:
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
def _translate_credential_errors(uri: str, access: S3Access) -> Iterator[None]:
    """Convert the exceptions of boto3 while it finds credentials. They name S3 and the source of the credentials."""
    from botocore import exceptions

    def describe(reason: object) -> str:
        return f"the credentials cannot be obtained: {reason} (for {access.url}, {access.source})"

    try:
        yield
    except (
        exceptions.ClientError
    ) as error:  # its operation is the only fact about the server, such as AssumeRole of STS
        reason = f"{error.operation_name}: {_error_response(error).summary}"
        raise CredentialsMissing(uri, describe(reason)) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise StoreUnreachable(uri, describe(_without_secrets(error))) from error
    except exceptions.BotoCoreError as error:
        raise CredentialsMissing(uri, describe(_without_secrets(error))) from error
    except OSError as error:  # the token file of a web identity
        raise CredentialsMissing(uri, describe(error.strerror)) from error


@contextmanager
def _translate_errors(uri: str, access: S3Access) -> Iterator[None]:
    """Convert the exceptions of boto3. `access` is the target of the request."""
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions

    anonymous = access.credentials is Credentials.ANONYMOUS
    access_description = access.description
    try:
        yield
    except exceptions.ClientError as error:
        response = _error_response(error)
        raise translate(uri, response, anonymous=anonymous, access_description=access_description) from error
    except S3UploadFailedError as error:
        cause = error.__context__
        response = (
            _error_response(cause) if isinstance(cause, exceptions.ClientError) else ErrorResponse(message=str(error))
        )
        raise translate(uri, response, anonymous=anonymous, access_description=access_description) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise translate(
            uri, ErrorResponse(message=_without_secrets(error)), access_description=access_description
        ) from error
    except exceptions.BotoCoreError as error:
        reason = f"the credentials cannot be obtained: {_without_secrets(error)} ({access_description})"
        raise CredentialsMissing(uri, reason) from error


def _without_secrets(error: Exception) -> str:
    """Return the message of botocore without folders and without queries of URLs: the clients of a pod see it."""
    return QUERIES.sub("", FOLDERS.sub("", str(error)))


def _error_response(error: Any) -> ErrorResponse:  # noqa: ANN401 (botocore's ClientError, which is imported late)
    details, metadata = error.response.get("Error", {}), error.response["ResponseMetadata"]
    response = parse_error_response(Head(metadata["HTTPStatusCode"], metadata.get("HTTPHeaders", {})), b"")
    return response._replace(code=details.get("Code", ""), message=details.get("Message", ""))
