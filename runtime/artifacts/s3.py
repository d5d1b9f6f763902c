"""S3 for the pod: the only importer of obstore, a client that loads in about ten milliseconds.

It is told to try nothing twice. Retries, deadline and resumption are decided in one place, `download`, which knows how
many bytes are already safe; a second loop of retries below it would multiply the waiting.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from runtime.artifacts.access import Credentials, S3Access, certificates
from runtime.artifacts.faults import read_answer, translate
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.store import ObjectInfo, Opened
from runtime.artifacts.uris import S3Place, parse_uri
from runtime.errors import ArtifactChanged, BadSetting, ModelUnavailable

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig, S3Config, S3Store

DEFAULT_REGION = "us-east-1"  # as obstore has it
CONNECT_TIMEOUT = 5.0  # seconds; a handshake that takes longer is an outage, not a slow store
# Every read of the socket is a piece of its own: gathered ones would be lost with the connection. It costs nothing
# measurable, as the reads grow to some 300 KB on a fast network.
PIECE = 1  # bytes at least


class Keys(TypedDict):
    """Credentials as obstore takes them from a provider."""

    access_key_id: str
    secret_access_key: str
    token: str | None
    expires_at: datetime | None


class S3Source(NamedTuple):
    """One bucket, read through obstore. Implements `Store`."""

    client: "S3Store"
    bucket: str
    scope: str  # the endpoint: the same bucket name elsewhere is another bucket
    anonymous: bool

    def open(self, uri: str, *, first: int, unless: str | None = None) -> Opened | None:
        """See `Store.open`. The answer to a ranged GET tells the whole size, the ETag and the metadata."""
        options = _options(0, first, version_id=self._place(uri).version_id)
        if unless is not None:
            options["if_none_match"] = unless
        result = self._get(uri, options)
        if result is None:
            return None
        info = _describe(uri, result)
        return Opened(info=info, end=min(first, info.size), pieces=self._pieces(uri, result))

    def read(self, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
        """See `Store.read`."""
        options = _options(start, end, version_id=info.version_id)
        if info.etag is not None:
            options["if_match"] = info.etag
        result = self._get(info.uri, options)
        # A store that does not know If-Match answers all the same; the ETag in its answer tells.
        if result is None or result.meta["e_tag"] != info.etag or result.meta["size"] != info.size:
            raise ArtifactChanged(info.uri, "the object was replaced while it was being read")
        yield from self._pieces(info.uri, result)

    def _place(self, uri: str) -> S3Place:
        place = parse_uri(uri)
        if not isinstance(place, S3Place) or place.bucket != self.bucket:
            raise BadSetting("model URI", value=uri, allowed=f"an object of the bucket s3://{self.bucket}")
        return place

    def _get(self, uri: str, options: "GetOptions") -> "GetResult | None":
        """Ask once; None means 304, not modified."""
        import obstore
        from obstore.exceptions import BaseError, NotModifiedError

        try:
            return obstore.get(self.client, self._place(uri).key, options=options)
        except NotModifiedError:
            return None
        except (BaseError, OSError, ValueError) as error:
            raise self._told(uri, error) from error

    def _pieces(self, uri: str, result: "GetResult") -> Iterator[bytes]:
        from obstore.exceptions import BaseError

        try:
            yield from result.stream(min_chunk_size=PIECE)
        except (BaseError, OSError) as error:
            raise self._told(uri, error) from error

    def _told(self, uri: str, error: Exception) -> ModelUnavailable:
        """Translate by what the answer says; the client's exception classes only tell some answers apart."""
        return translate(uri, read_answer(str(error)), anonymous=self.anonymous)


def open_source(
    place: S3Place,
    *,
    access: S3Access,
    policy: PullPolicy,
    provider: Callable[[], Keys] | None = None,
) -> S3Source:
    """Make a client for the bucket; nothing is sent yet. `provider` finds credentials that obstore cannot.

    Raises `BadSetting` where the CA bundle cannot be read or the client refuses the configuration.
    """
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    anonymous = access.credentials is Credentials.ANONYMOUS or (
        access.credentials is Credentials.BOTO3 and provider is None
    )
    optional: dict[str, Any] = {"credential_provider": provider} if provider is not None else {}
    try:
        client = S3Store(
            place.bucket,
            config=_config(access, anonymous=anonymous, provider=provider),
            client_options=_client_options(access, policy),
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=policy.deadline)},
            **optional,
        )
    except (BaseError, ValueError) as error:
        said = str(error).splitlines()[0]
        if access.ca_bundle is not None:
            allowed = f"a PEM file with certificates ({said})"
            raise BadSetting("AWS_CA_BUNDLE", value=str(access.ca_bundle), allowed=allowed) from error
        raise BadSetting("AWS_* environment", value=access, allowed=f"what S3 takes ({said})") from error
    return S3Source(client=client, bucket=place.bucket, scope=access.endpoint or "aws", anonymous=anonymous)


def _config(access: S3Access, *, anonymous: bool, provider: Callable[[], Keys] | None) -> "S3Config":
    config: S3Config = {"skip_signature": anonymous}
    if access.region is not None or provider is None:  # else the provider's own `config` may know the region
        config["region"] = access.region or DEFAULT_REGION
    if access.endpoint is not None:
        # Under both names: obstore looks at AWS_ENDPOINT_URL_S3 itself and prefers it.
        config["endpoint"] = access.endpoint
        config["aws_endpoint_url_s3"] = access.endpoint
        config["virtual_hosted_style_request"] = False
    return config


def _client_options(access: S3Access, policy: PullPolicy) -> "ClientConfig":
    options: ClientConfig = {
        "allow_http": access.plain_http,
        "connect_timeout": timedelta(seconds=min(CONNECT_TIMEOUT, policy.stall_timeout)),
        "read_timeout": timedelta(seconds=policy.stall_timeout),
        "timeout": timedelta(seconds=policy.deadline),
    }
    if (bundle := certificates(access)) is not None:
        options["root_certificate"] = bundle
    return options


def _options(start: int, end: int, *, version_id: str | None) -> "GetOptions":
    options: GetOptions = {"range": (start, end)}
    if version_id is not None:  # obstore takes no None here
        options["version"] = version_id
    return options


def _describe(uri: str, result: "GetResult") -> ObjectInfo:
    metadata = {str(key).lower(): str(value) for key, value in result.attributes.items() if str(key)[:1].islower()}
    return ObjectInfo(
        uri=uri,
        size=result.meta["size"],
        etag=result.meta["e_tag"],
        version_id=result.meta["version"],
        sha256=metadata.get("sha256", "").lower() or None,
        metadata=metadata,
    )
