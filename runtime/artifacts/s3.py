"""The S3 client of a pod: signed, ranged GETs of one object, over `transport`.

It retries nothing. `download` decides about retries, the deadline and resumption, because it has the number of bytes
that are already written. A second loop of retries here would multiply the delays.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from runtime.artifacts.access import S3Access
from runtime.artifacts.credentials import KeyProvider, make_key_provider
from runtime.artifacts.faults import ERROR_SECONDS, MAX_ERROR_BYTES, ErrorResponse, parse_error_response, translate
from runtime.artifacts.http1 import Head, Range, content_range
from runtime.artifacts.listing import MAX_PAGE_BYTES, Page, page_query, parse_page
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.signature import Keys, quoted, sign
from runtime.artifacts.store import ObjectInfo, OpenedObject
from runtime.artifacts.transport import Client, Limits, Response, client_for
from runtime.artifacts.uris import S3Location, parse_uri
from runtime.artifacts.wire import BrokenExchangeError
from runtime.errors import ArtifactChanged, BadSetting, ModelUnavailable, PayloadTooLarge

if TYPE_CHECKING:
    from runtime.artifacts.upload import SessionCredentials

OK, PARTIAL_CONTENT, NOT_MODIFIED = 200, 206, 304  # HTTP statuses
METADATA_PREFIX = "x-amz-meta-"


class RequestedRange(NamedTuple):
    """The bytes [start, end) of a request."""

    start: int
    end: int
    is_first: bool  # of a pull; its response may have the complete object


class S3Source:
    """One bucket at one endpoint. Implements `Store`; threads may share it."""

    def __init__(self, bucket: str, *, access: S3Access, client: Client, key_provider: KeyProvider) -> None:
        """Create the client without sending anything. The first request calls `key_provider` once."""
        self.bucket = bucket
        self.scope = access.endpoint or "aws"  # the same bucket name at another endpoint is another bucket
        self.anonymous = False
        self._access_description = access.description
        self._region = access.region_or_default
        self._prefix = urlsplit(access.endpoint or "").path.rstrip("/")
        self._client = client
        self._key_provider = key_provider
        self._keys: list[Keys | None] = []

    def open(self, uri: str, *, first_bytes: int, if_none_match: str | None = None) -> OpenedObject | None:
        """See `Store.open`. The response to a ranged GET has the object's size, ETag and metadata."""
        conditions = {"if-none-match": if_none_match} if if_none_match is not None else {}
        location = self._parse_location(uri)
        response = self._get(uri, location, {"range": f"bytes=0-{first_bytes - 1}", **conditions})
        if response.head.status == NOT_MODIFIED:
            return None
        received = self._check_range(uri, response, RequestedRange(0, first_bytes, is_first=True))
        return OpenedObject(
            info=_object_info(uri, response.head, received.size),
            end=received.end,
            pieces=self._pieces(uri, response, received),
        )

    def read(self, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
        """See `Store.read`."""
        location = self._parse_location(info.uri)._replace(version_id=info.version_id)
        conditions = {"if-match": info.etag} if info.etag is not None else {}
        response = self._get(info.uri, location, {"range": f"bytes={start}-{end - 1}", **conditions})
        received = self._check_range(info.uri, response, RequestedRange(start, end, is_first=False))
        # A store that ignores If-Match still returns the ETag.
        if response.head.headers.get("etag") != info.etag or received.size != info.size:
            response.close()
            raise ArtifactChanged(info.uri, "the object was replaced while it was read; try again")
        yield from self._pieces(info.uri, response, received)

    def whole(self, location: S3Location, *, max_bytes: int) -> tuple[bytes, str | None]:
        """Return a complete object, which may be empty, and its content type. `location` is valid and in this bucket.

        Raises `PayloadTooLarge`, before more than `max_bytes` are kept, and the errors of `open`.
        """
        uri = location.uri
        response = self._get(uri, location, {})
        content, size = bytearray(), response.head.length
        try:
            if size is not None and size > max_bytes:
                raise PayloadTooLarge(uri, limit=max_bytes, unit="bytes", got=size)
            for piece in response.pieces():
                content += piece
                if len(content) > max_bytes:
                    raise PayloadTooLarge(uri, limit=max_bytes, unit="bytes")
            return bytes(content), response.head.headers.get("content-type")
        except BrokenExchangeError as error:
            raise self._to_error(uri, error) from error
        finally:
            response.close()

    def keys(self, uri: str, prefix: str, token: str | None, *, deep: bool = True) -> Page:
        """Return a page of the keys with the prefix. `token` is from the previous page. Raises the errors of `open`.

        Unless `deep`, keys with a slash after the prefix are left out.
        """
        response = self._send(uri, f"{self._prefix}/{self.bucket}", page_query(prefix, token, deep=deep), {})
        body = bytearray()
        try:
            for piece in response.pieces():
                body += piece
                if len(body) > MAX_PAGE_BYTES:
                    raise ValueError(f"a page of the listing has more than {MAX_PAGE_BYTES} bytes")  # noqa: TRY301
            return parse_page(bytes(body))
        except BrokenExchangeError as error:
            raise self._to_error(uri, error) from error
        except ValueError as error:
            raise self._to_error(uri, BrokenExchangeError(str(error))) from error
        finally:
            response.close()

    def _parse_location(self, uri: str) -> S3Location:
        location = parse_uri(uri)
        if not isinstance(location, S3Location) or location.bucket != self.bucket:
            raise BadSetting("model URI", value=uri, allowed=f"an object of the bucket s3://{self.bucket}")
        return location

    def _get(self, uri: str, location: S3Location, headers: dict[str, str]) -> Response:
        """Send one GET. Returns a response with status 200, 206 or 304, and raises an error for any other status."""
        path = f"{self._prefix}/{location.bucket}/{quoted(location.key, safe='/')}"
        query = f"versionId={quoted(location.version_id)}" if location.version_id is not None else ""
        return self._send(uri, path, query, headers)

    def _send(self, uri: str, path: str, query: str, headers: dict[str, str]) -> Response:
        signed = self._signed(path, query) | headers | {"accept-encoding": "identity"}
        try:
            response = self._client.exchange(
                self._client.render_request("GET", f"{path}?{query}" if query else path, signed)
            )
        except BrokenExchangeError as error:
            raise self._to_error(uri, error) from error
        if response.head.status in {OK, PARTIAL_CONTENT} or (
            response.head.status == NOT_MODIFIED and "if-none-match" in headers
        ):
            return response
        text = response.read_start(MAX_ERROR_BYTES, seconds=ERROR_SECONDS)
        answer = parse_error_response(
            response.head, text, secrets=self._keys[0] or (), https_advice=self._client.https_advice
        )
        raise translate(
            uri, answer, anonymous=self.anonymous, region=self._region, access_description=self._access_description
        )

    def _signed(self, path: str, query: str) -> dict[str, str]:
        headers = {"host": self._client.origin.authority}
        if not self._keys:
            self._keys.append(self._key_provider())
            self.anonymous = self._keys[0] is None
        keys = self._keys[0]
        if keys is None:
            return headers
        return sign(headers, path=path, query=query, keys=keys, region=self._region, now=datetime.now(UTC))

    def _check_range(self, uri: str, response: Response, requested: RequestedRange) -> Range:
        """Return the range of the body. Raises `StoreUnreachable` if it is not the requested one."""
        try:
            return _received_range(response.head, requested)
        except ValueError as error:
            response.close()
            raise self._to_error(uri, BrokenExchangeError(str(error))) from error

    def _pieces(self, uri: str, response: Response, received: Range) -> Iterator[bytes]:
        """Yield the body.

        Raises `StoreUnreachable` if it is longer than its range, because the bytes after it belong to other parts.
        """
        left = received.end - received.start
        try:
            for piece in response.pieces():
                left -= len(piece)
                if left < 0:
                    break
                yield piece
        except BrokenExchangeError as error:
            raise self._to_error(uri, error) from error
        if left < 0:
            response.close()
            raise self._to_error(uri, BrokenExchangeError("the response is longer than its range"))

    def _to_error(self, uri: str, error: BrokenExchangeError) -> ModelUnavailable:
        return translate(
            uri,
            ErrorResponse(message=error.reason, timed_out=error.timed_out),
            access_description=self._access_description,
        )


def open_source(
    location: S3Location, *, access: S3Access, policy: PullPolicy, provider: "SessionCredentials | None" = None
) -> S3Source:
    """Create a client for the bucket without sending anything. `provider` has the credentials from boto3.

    Raises `BadSetting` if the CA bundle cannot be read.
    """
    limits = Limits(stall=policy.stall_timeout, deadline=policy.deadline)
    key_provider = provider or make_key_provider(
        os.environ, access=access, uri=f"s3://{location.bucket}", limits=limits
    )
    if access.region is None and provider is not None:
        access = access._replace(region=provider.region)
    client = client_for(access.url, access=access, limits=limits, variable=access.endpoint_variable)
    return S3Source(location.bucket, access=access, client=client, key_provider=key_provider)


def _received_range(head: Head, requested: RequestedRange) -> Range:
    """Return the range of a response. Raises ValueError if it is not the requested one.

    A 200 has the complete object: a store may ignore a range that is the complete object or its start.
    """
    if head.status == PARTIAL_CONTENT:
        received = content_range(head)
    elif head.length is not None:
        received = Range(0, head.length, head.length)
    else:
        raise ValueError("the response has no size of the object; expected a Content-Length or a Content-Range")
    end = received.size if head.status == OK and requested.is_first else min(requested.end, received.size)
    if (received.start, received.end) != (requested.start, end):
        raise ValueError(
            f"the response has the bytes {received.start} to {received.end}; expected {requested.start} to {end}"
        )
    if head.length not in {None, received.end - received.start}:
        raise ValueError(
            f"Content-Length is {head.length}; expected {received.end - received.start}, the length of the range"
        )
    return received


def _object_info(uri: str, head: Head, size: int) -> ObjectInfo:
    metadata = {
        name.removeprefix(METADATA_PREFIX): value
        for name, value in head.headers.items()
        if name.startswith(METADATA_PREFIX)
    }
    return ObjectInfo(
        uri=uri,
        size=size,
        etag=head.headers.get("etag"),
        version_id=head.headers.get("x-amz-version-id"),
        sha256=metadata.get("sha256", "").lower() or None,
        metadata=metadata,
    )
