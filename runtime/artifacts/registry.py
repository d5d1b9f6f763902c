"""The registry side of S3: the only importer of boto3. The pod's pull never loads it, unless credentials need it.

boto3 costs about 0.28 s to import and to make a client, which a publisher does not feel; it finds credentials wherever
the AWS command line would, and its uploads of large files are in parts.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from runtime.artifacts.access import Credentials, S3Access, s3_access
from runtime.artifacts.cache import hash_file
from runtime.artifacts.external import check_local, model_locations
from runtime.artifacts.faults import Answer, translate
from runtime.artifacts.store import ObjectInfo
from runtime.artifacts.uris import S3Place, parse_uri
from runtime.errors import ArtifactMissing, BadSetting, CredentialsMissing, StoreUnreachable

if TYPE_CHECKING:
    from obstore.store import S3Config

    from runtime.artifacts.s3 import Keys

LIFETIME = timedelta(minutes=10)  # after that the session is asked again; it renews what has expired by itself


def publish(
    path: Path,
    uri: str,
    *,
    metadata: Mapping[str, str] | None = None,
    create_bucket: bool = False,
) -> ObjectInfo:
    """Upload a model file, and the files with its external data before it, each with its SHA-256 as metadata `sha256`.

    `metadata` is added to the model's own; keys become lower case, values must be ASCII (they travel as HTTP headers).
    Returns what was published. Raises `BadSetting` for a URI or metadata that cannot be, and `ModelUnavailable` errors.
    """
    place = _destination(uri)
    words = _words(metadata or {})
    locations = _own_files(path, uri)
    bucket = _bucket(place, create=create_bucket)
    for location in sorted(locations):
        key = str(PurePosixPath(place.key).parent / location)
        bucket.upload(path.parent / location, key, {})
    return bucket.upload(path, place.key, words)


class SessionCredentials:
    """What boto3 found, as obstore takes it: called for the keys, `config` read for what else the profile says."""

    def __init__(self, credentials: Any, *, region: str | None) -> None:  # noqa: ANN401 - botocore's, without types
        self._credentials = credentials
        self.config: S3Config = {"region": region} if region else {}

    def __call__(self) -> "Keys":
        """Return keys that work now."""
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key or "",
            "secret_access_key": frozen.secret_key or "",
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + LIFETIME,
        }


def credential_provider(uri: str) -> SessionCredentials | None:
    """Look for credentials where the AWS command line would: profiles, SSO, processes, roles. None: there are none.

    Raises `CredentialsMissing` where there are some and they cannot be used, such as an expired SSO session.
    """
    import boto3

    with _told(uri, about_credentials=True):
        session = boto3.Session()
        credentials = session.get_credentials()
        if credentials is None:
            return None
        provider = SessionCredentials(credentials, region=session.region_name)
        try:
            provider()
        except OSError as error:  # the token file of a web identity
            raise CredentialsMissing(uri, f"no credentials could be had: {error}") from error
        return provider


def _destination(uri: str) -> S3Place:
    place = parse_uri(uri)
    if not isinstance(place, S3Place) or place.version_id is not None:
        raise BadSetting("destination", value=uri, allowed="s3://bucket/key")
    return place


def _words(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if not (key.isascii() and value.isascii() and value.isprintable() and key.replace("-", "").isalnum()):
            allowed = "a name of letters, digits and '-', with printable ASCII as its value"
            raise BadSetting("metadata", value=f"{key}={value}", allowed=allowed)
    return {key.lower(): value for key, value in metadata.items()}


def _own_files(path: Path, uri: str) -> frozenset[str]:
    if not path.is_file():
        raise ArtifactMissing(uri, f"nothing to publish: there is no file {path}")
    locations = model_locations(path, uri=str(path))
    check_local(path, locations, uri=str(path))
    return locations


class _Bucket:
    """A bucket to write to."""

    def __init__(self, client: Any, name: str, *, anonymous: bool) -> None:  # noqa: ANN401 (boto3 makes it at run time)
        self._client = client
        self._name = name
        self._anonymous = anonymous

    def create(self) -> None:
        """Make the bucket unless it is there."""
        exists = (self._client.exceptions.BucketAlreadyOwnedByYou, self._client.exceptions.BucketAlreadyExists)
        with _told(f"s3://{self._name}", anonymous=self._anonymous):
            try:
                region = self._client.meta.region_name
                # us-east-1 is the one region that S3 does not let a caller name here.
                where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
                self._client.create_bucket(Bucket=self._name, **where)
            except exists:
                pass

    def upload(self, path: Path, key: str, metadata: Mapping[str, str]) -> ObjectInfo:
        """Upload one file and read back what the store recorded."""
        uri = f"s3://{self._name}/{key}"
        words = {**metadata, "sha256": hash_file(path)}
        with _told(uri, anonymous=self._anonymous):
            self._client.upload_file(str(path), self._name, key, ExtraArgs={"Metadata": words})
            head = self._client.head_object(Bucket=self._name, Key=key)
        return ObjectInfo(
            uri=uri,
            size=head["ContentLength"],
            etag=head["ETag"],
            version_id=head.get("VersionId"),
            sha256=words["sha256"],
            metadata=words,
        )


def _bucket(place: S3Place, *, create: bool) -> _Bucket:
    access = s3_access(os.environ, home=Path(os.environ.get("HOME", "/")))
    with _told(f"s3://{place.bucket}"):
        bucket = _Bucket(_client(access), place.bucket, anonymous=access.credentials is Credentials.ANONYMOUS)
    if create:
        bucket.create()
    return bucket


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
def _told(uri: str, *, anonymous: bool = False, about_credentials: bool = False) -> Iterator[None]:
    """Translate what boto3 raises."""
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        answer = _answer(error)._replace(about_credentials=about_credentials)
        raise translate(uri, answer, anonymous=anonymous) from error
    except S3UploadFailedError as error:
        cause = error.__context__
        answer = _answer(cause) if isinstance(cause, exceptions.ClientError) else Answer(message=str(error))
        raise translate(uri, answer, anonymous=anonymous) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise StoreUnreachable(uri, f"the store cannot be reached: {error}") from error
    except exceptions.BotoCoreError as error:
        raise CredentialsMissing(uri, f"no credentials could be had: {error}") from error


def _answer(error: Any) -> Answer:  # noqa: ANN401 (a ClientError, whose class is only there once botocore is loaded)
    said, status = error.response.get("Error", {}), error.response["ResponseMetadata"]["HTTPStatusCode"]
    return Answer(status=status, code=said.get("Code", ""), message=said.get("Message", ""))
