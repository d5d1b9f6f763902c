"""The objects that events name are fetched from allowed buckets, up to a size; each failure has the right fault."""

import asyncio
from collections.abc import Iterator

import pytest

from runtime.errors import (
    AccessDenied,
    BadEvent,
    BucketNotAllowed,
    ObjectMissing,
    PayloadTooLarge,
    ScalezeroError,
    StoreStalled,
    StoreUnreachable,
)
from runtime.event_objects import EventObjects, Rules, reader
from runtime.protocols.cloudevents.s3_notifications import ObjectReference
from runtime.settings import Settings
from runtime.status import TABLE, Delivery
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.s3_server import S3Server

BUCKET = "event-objects"
LIMIT = 100_000  # bytes
CREATED = "ObjectCreated:Put"


@pytest.fixture
def store(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """A bucket of a real server, behind a proxy that injects faults."""
    s3.make_bucket(BUCKET)
    with FaultyS3(s3.endpoint_url) as faulty:
        for name, value in (s3.environment() | {"AWS_ENDPOINT_URL": faulty.endpoint_url}).items():
            monkeypatch.setenv(name, value)
        yield faulty


def reading(*, stall_timeout: float = 20.0) -> EventObjects:
    return EventObjects(Rules((BUCKET, "another-bucket"), LIMIT, stall_timeout=stall_timeout, deadline=60.0))


@pytest.fixture
def objects() -> EventObjects:
    return reading()


def named(key: str, *, bucket: str = BUCKET, size: int | None = None, version: str | None = None) -> ObjectReference:
    return ObjectReference(bucket, key, CREATED, size, version)


def put(s3: S3Server, key: str, body: bytes, content_type: str = "image/png") -> str | None:
    """Store an object, and return its version."""
    stored = s3.client().put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=content_type)
    version: str | None = stored.get("VersionId")
    return version


@pytest.mark.parametrize("body", [b"", b"x", bytes(LIMIT)], ids=["empty", "small", "at the limit"])
def test_an_object_is_its_bytes_and_its_content_type(
    s3: S3Server, store: FaultyS3, objects: EventObjects, body: bytes
) -> None:
    put(s3, "in/a b+é?.png", body)
    assert objects.read(named("in/a b+é?.png")) == (body, "image/png")
    assert len(store.seen) == 1


@pytest.mark.usefixtures("store")
def test_the_version_that_the_event_names_is_read(s3: S3Server, objects: EventObjects) -> None:
    s3.client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    try:
        first = put(s3, "versioned", b"first")
        put(s3, "versioned", b"second")
    finally:
        s3.client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    assert objects.read(named("versioned", version=first)).data == b"first"
    assert objects.read(named("versioned")).data == b"second"


def test_an_object_of_another_bucket_is_not_read(store: FaultyS3, objects: EventObjects) -> None:
    with pytest.raises(
        BucketNotAllowed, match="expected one of event-objects, another-bucket; SCALEZERO_EVENT_BUCKETS"
    ):
        objects.read(named("k", bucket="secrets"))
    nothing = EventObjects(Rules((), LIMIT, 1.0, 1.0))
    with pytest.raises(BucketNotAllowed, match="expected no bucket: none is allowed"):
        nothing.read(named("k"))
    assert store.seen == []


@pytest.mark.parametrize("key", ["../secrets/k", "a/../../secrets/k", "./k", "/k", "a//b", "a\nb"])
def test_a_key_that_could_leave_the_bucket_is_not_read(store: FaultyS3, objects: EventObjects, key: str) -> None:
    with pytest.raises(BadEvent, match="key of the object"):
        objects.read(named(key))
    assert store.seen == []


def test_an_object_that_the_event_calls_too_large_is_not_requested(store: FaultyS3, objects: EventObjects) -> None:
    with pytest.raises(PayloadTooLarge) as raised:
        objects.read(named("k", size=LIMIT + 1))
    assert raised.value.details == {"limit": LIMIT, "unit": "bytes", "got": LIMIT + 1}
    assert store.seen == []


@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.usefixtures("store")
def test_the_size_that_the_store_states_counts(s3: S3Server, objects: EventObjects, size: int | None) -> None:
    put(s3, "large", bytes(LIMIT + 1))
    with pytest.raises(PayloadTooLarge, match=rf"s3://{BUCKET}/large: got {LIMIT + 1} bytes; expected at most {LIMIT}"):
        objects.read(named("large", size=size))


@pytest.mark.parametrize("key", ["deleted", "deleted?versionId=5"])
@pytest.mark.usefixtures("store")
def test_an_object_that_does_not_exist_rejects_the_event(objects: EventObjects, key: str) -> None:
    with pytest.raises(ObjectMissing, match="there is no such object"):
        objects.read(named(key))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=503, code="SlowDown"), StoreUnreachable),
        (Fault(status=403, code="AccessDenied"), AccessDenied),
        (Fault(stall_after=-1), StoreStalled),
        (Fault(stall_after=3), StoreStalled),
        (Fault(close_after=3), StoreUnreachable),
        (Fault(reset_after=3), StoreUnreachable),
    ],
    ids=["unavailable", "denied", "no head", "stalled", "closed", "reset"],
)
def test_a_fault_of_the_store_is_delivered_again_and_then_answered(
    s3: S3Server, store: FaultyS3, objects: EventObjects, fault: Fault, error: type[ScalezeroError]
) -> None:
    put(s3, "k", b"content")
    store.add(fault)
    impatient = reading(stall_timeout=1.0)
    with pytest.raises(error) as raised:
        (impatient if error is StoreStalled else objects).read(named("k"))
    assert TABLE[raised.value.code].delivery is Delivery.RETRY
    store.heal()
    assert objects.read(named("k")).data == b"content"


@pytest.mark.parametrize(
    "error", [BucketNotAllowed("b", ()), ObjectMissing("s3://b/k", "missing"), BadEvent("a", got="b", expected="c")]
)
def test_a_fault_of_the_event_is_not_delivered_again(error: ScalezeroError) -> None:
    row = TABLE[error.code]
    assert row.delivery is Delivery.REJECT
    assert row.http not in (404, 408, 409, 429)  # Knative delivers again after these
    assert 400 <= row.http < 500


@pytest.mark.usefixtures("store")
def test_objects_are_fetched_from_the_event_loop(s3: S3Server, objects: EventObjects) -> None:
    put(s3, "k", b"content")

    async def fetch() -> list[bytes]:
        return [each.data for each in await asyncio.gather(*(objects.fetch(named("k")) for _ in range(20)))]

    assert asyncio.run(fetch()) == [b"content"] * 20
    with pytest.raises(ObjectMissing):
        asyncio.run(objects.fetch(named("missing")))


def test_a_client_is_used_for_many_objects(s3: S3Server, store: FaultyS3, objects: EventObjects) -> None:
    put(s3, "k", b"content")
    for _ in range(3):
        objects.read(named("k"))
    assert len({each.headers["authorization"].partition("Signature")[0] for each in store.seen}) == 1


def test_the_rules_are_those_of_the_settings() -> None:
    settings = Settings(event_buckets=("a",), event_object_bytes=5, stall_timeout=1.0, load_timeout=2.0)
    rules = Rules.of(settings)
    assert rules == (("a",), 5, 1.0, 2.0)
    assert reader(rules) is reader(Rules.of(settings))
