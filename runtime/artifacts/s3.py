"""S3 for the pod: ranged GETs of one object, signed, over `transport`.

Nothing is tried twice here. Retries, deadline and resumption are decided in one place, `download`, which knows how
many bytes are already safe; a second loop of retries below it would multiply the waiting.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from runtime.artifacts.access import S3Access
from runtime.artifacts.credentials import Finder, finder
from runtime.artifacts.faults import ERROR_SECONDS, MOST_ERROR_BYTES, Answer, read_answer, translate
from runtime.artifacts.http1 import Head, Range, content_range
from runtime.artifacts.listing import MOST_BYTES, Page, page_query, parse_page
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.signature import Keys, quoted, sign
from runtime.artifacts.store import ObjectInfo, Opened
from runtime.artifacts.transport import Client, Limits, Reply, client_for
from runtime.artifacts.uris import S3Place, parse_uri
from runtime.artifacts.wire import BrokenExchangeError
from runtime.errors import ArtifactChanged, BadSetting, ModelUnavailable

if TYPE_CHECKING:
    from runtime.artifacts.upload import SessionCredentials

WHOLE, PART, UNCHANGED = 200, 206, 304  # HTTP statuses
METADATA = "x-amz-meta-"


class Span(NamedTuple):
    """The bytes [start, end) that a request asks for; the `first` request of a pull may get more."""

    start: int
    end: int
    first: bool


class S3Source:
    """One bucket at one endpoint. Implements `Store`; threads may share it."""

    def __init__(self, bucket: str, *, access: S3Access, client: Client, find_keys: Finder) -> None:
        """`find_keys` is asked once, when the first request is due."""
        self.bucket = bucket
        self.scope = access.endpoint or "aws"  # the same bucket name elsewhere is another bucket
        self.anonymous = False
        self._tried = access.tried
        self._region = access.region_or_default
        self._prefix = urlsplit(access.endpoint or "").path.rstrip("/")
        self._client = client
        self._find_keys = find_keys
        self._keys: list[Keys | None] = []

    def open(self, uri: str, *, first: int, unless: str | None = None) -> Opened | None:
        """See `Store.open`. The answer to a ranged GET tells the whole size, the ETag and the metadata."""
        conditions = {"if-none-match": unless} if unless is not None else {}
        place = self._place(uri)
        reply = self._get(uri, place, {"range": f"bytes=0-{first - 1}", **conditions})
        if reply.head.status == UNCHANGED:
            return None
        got = self._range(uri, reply, Span(0, first, first=True))
        return Opened(info=_describe(uri, reply.head, got.size), end=got.end, pieces=self._pieces(uri, reply, got))

    def read(self, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
        """See `Store.read`."""
        place = self._place(info.uri)._replace(version_id=info.version_id)
        conditions = {"if-match": info.etag} if info.etag is not None else {}
        reply = self._get(info.uri, place, {"range": f"bytes={start}-{end - 1}", **conditions})
        got = self._range(info.uri, reply, Span(start, end, first=False))
        # A store that does not know If-Match answers all the same; the ETag in its answer tells.
        if reply.head.headers.get("etag") != info.etag or got.size != info.size:
            reply.close()
            raise ArtifactChanged(info.uri, "the object was replaced while it was read")
        yield from self._pieces(info.uri, reply, got)

    def keys(self, uri: str, prefix: str, token: str | None) -> Page:
        """A page of the keys that begin with the prefix; `token` is that of the page before. Raises as `open` does."""
        reply = self._ask(uri, f"{self._prefix}/{self.bucket}", page_query(prefix, token), {})
        body = bytearray()
        try:
            for piece in reply.pieces():
                body += piece
                if len(body) > MOST_BYTES:
                    raise ValueError("the listing is too long")  # noqa: TRY301 - one place tells
            return parse_page(bytes(body))
        except BrokenExchangeError as error:
            raise self._broken(uri, error) from error
        except ValueError as error:
            raise self._broken(uri, BrokenExchangeError(str(error))) from error
        finally:
            reply.close()

    def _place(self, uri: str) -> S3Place:
        place = parse_uri(uri)
        if not isinstance(place, S3Place) or place.bucket != self.bucket:
            raise BadSetting("model URI", value=uri, allowed=f"an object of the bucket s3://{self.bucket}")
        return place

    def _get(self, uri: str, place: S3Place, headers: dict[str, str]) -> Reply:
        """Ask once. Returns an answer of status 200, 206 or 304; every other one is an error."""
        path = f"{self._prefix}/{place.bucket}/{quoted(place.key, safe='/')}"
        query = f"versionId={quoted(place.version_id)}" if place.version_id is not None else ""
        return self._ask(uri, path, query, headers)

    def _ask(self, uri: str, path: str, query: str, headers: dict[str, str]) -> Reply:
        signed = self._signed(path, query) | headers | {"accept-encoding": "identity"}
        try:
            reply = self._client.exchange(self._client.request("GET", f"{path}?{query}" if query else path, signed))
        except BrokenExchangeError as error:
            raise self._broken(uri, error) from error
        if reply.head.status in {WHOLE, PART} or (reply.head.status == UNCHANGED and "if-none-match" in headers):
            return reply
        text = reply.beginning(MOST_ERROR_BYTES, seconds=ERROR_SECONDS)
        answer = read_answer(reply.head, text, secrets=self._keys[0] or ())
        raise translate(uri, answer, anonymous=self.anonymous, region=self._region, tried=self._tried)

    def _signed(self, path: str, query: str) -> dict[str, str]:
        headers = {"host": self._client.origin.authority}
        if not self._keys:
            self._keys.append(self._find_keys())
            self.anonymous = self._keys[0] is None
        keys = self._keys[0]
        if keys is None:
            return headers
        return sign(headers, path=path, query=query, keys=keys, region=self._region, now=datetime.now(UTC))

    def _range(self, uri: str, reply: Reply, wanted: Span) -> Range:
        """Return which bytes come. An answer with others than those asked for is as good as none."""
        try:
            return _received(reply.head, wanted)
        except ValueError as error:
            reply.close()
            raise self._broken(uri, BrokenExchangeError(str(error))) from error

    def _pieces(self, uri: str, reply: Reply, got: Range) -> Iterator[bytes]:
        """Yield the body, which must not be longer than its range: what is behind it belongs to another part."""
        left = got.end - got.start
        try:
            for piece in reply.pieces():
                left -= len(piece)
                if left < 0:
                    break
                yield piece
        except BrokenExchangeError as error:
            raise self._broken(uri, error) from error
        if left < 0:
            reply.close()
            raise self._broken(uri, BrokenExchangeError("the answer is longer than its range"))

    def _broken(self, uri: str, error: BrokenExchangeError) -> ModelUnavailable:
        return translate(uri, Answer(message=error.reason, timed_out=error.timed_out), tried=self._tried)


def open_source(
    place: S3Place, *, access: S3Access, policy: PullPolicy, provider: "SessionCredentials | None" = None
) -> S3Source:
    """Make a client for the bucket; nothing is sent yet. `provider` has the credentials that boto3 found.

    Raises `BadSetting` where the CA bundle cannot be read.
    """
    limits = Limits(stall=policy.stall_timeout, deadline=policy.deadline)
    find_keys = provider or finder(os.environ, access=access, uri=f"s3://{place.bucket}", limits=limits)
    if access.region is None and provider is not None:
        access = access._replace(region=provider.region)
    client = client_for(access.endpoint or f"https://s3.{access.aws_domain}", access=access, limits=limits)
    return S3Source(place.bucket, access=access, client=client, find_keys=find_keys)


def _received(head: Head, wanted: Span) -> Range:
    """Return the bytes that an answer holds. Raises ValueError where they are not those that were asked for.

    A 200 is the whole object: a store may ignore a range that covers it, or that begins it.
    """
    if head.status == PART:
        got = content_range(head)
    elif head.length is not None:
        got = Range(0, head.length, head.length)
    else:
        raise ValueError("the answer does not tell the object's size")
    end = got.size if head.status == WHOLE and wanted.first else min(wanted.end, got.size)
    if (got.start, got.end) != (wanted.start, end):
        raise ValueError(f"the answer has the bytes {got.start} to {got.end}, not {wanted.start} to {end}")
    if head.length not in {None, got.end - got.start}:
        raise ValueError("the answer has a Content-Length that is not the length of its range")
    return got


def _describe(uri: str, head: Head, size: int) -> ObjectInfo:
    metadata = {name.removeprefix(METADATA): value for name, value in head.headers.items() if name.startswith(METADATA)}
    return ObjectInfo(
        uri=uri,
        size=size,
        etag=head.headers.get("etag"),
        version_id=head.headers.get("x-amz-version-id"),
        sha256=metadata.get("sha256", "").lower() or None,
        metadata=metadata,
    )
