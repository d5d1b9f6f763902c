"""S3 event notifications, as Amazon S3, EventBridge and MinIO's webhooks send them."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BadEvent
from runtime.protocols.cloudevents import Event, read_message, s3_notifications, write_binary, write_structured
from runtime.protocols.cloudevents.mode import Mode
from runtime.protocols.cloudevents.s3_notifications import ObjectReference, event_of, is_notification, references
from tests.runtime.protocols.cloudevents.events import check, json_documents

RECORD: dict[str, Any] = {  # Amazon S3, "Event message structure"
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "us-west-2",
    "eventTime": "1970-01-01T00:00:00.000Z",
    "eventName": "ObjectCreated:Put",
    "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
    "requestParameters": {"sourceIPAddress": "172.16.0.1"},
    "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp"},
    "s3": {
        "s3SchemaVersion": "1.0",
        "configurationId": "testConfigRule",
        "bucket": {
            "name": "uploads",
            "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
            "arn": "arn:aws:s3:::uploads",
        },
        "object": {
            "key": "a+b/%C3%A9%2B1.jpg",
            "size": 1024,
            "eTag": "d41d8cd98f00b204e9800998ecf8427e",
            "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
            "sequencer": "0055AED6DCD90281E5",
        },
    },
}
AWS = {"Records": [RECORD]}
REFERENCE = ObjectReference(
    bucket="uploads",
    key="a b/é+1.jpg",
    event_name="ObjectCreated:Put",
    size=1024,
    version="096fKKXTRTtl3on89fVO.nfljtsv6qko",
    etag="d41d8cd98f00b204e9800998ecf8427e",
    sequencer="0055AED6DCD90281E5",
    time="1970-01-01T00:00:00.000Z",
)
MINIO = {
    "EventName": "s3:ObjectCreated:Put",
    "Key": "images/my photo.jpg",
    "Records": [
        {
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "awsRegion": "",
            "eventTime": "2026-04-05T17:31:00.123Z",
            "eventName": "s3:ObjectCreated:Put",
            "userIdentity": {"principalId": "minioadmin"},
            "requestParameters": {"principalId": "minioadmin", "region": "", "sourceIPAddress": "10.0.0.1"},
            "responseElements": {"x-amz-request-id": "17B3B3B3B3B3B3B3", "x-minio-deployment-id": "d"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "Config",
                "bucket": {
                    "name": "images",
                    "ownerIdentity": {"principalId": "minioadmin"},
                    "arn": "arn:aws:s3:::images",
                },
                "object": {
                    "key": "my+photo.jpg",
                    "size": 5,
                    "eTag": "5d41402abc4b2a76b9719d911017c592",
                    "contentType": "image/jpeg",
                    "userMetadata": {"content-type": "image/jpeg"},
                    "sequencer": "17B3B3B3B3B3B3B3",
                },
            },
            "source": {"host": "10.0.0.1", "port": "", "userAgent": "MinIO (linux; amd64)"},
        }
    ],
}


DETAIL: dict[str, Any] = {
    "version": "0",
    "event-version": "1.1",
    "bucket": {"name": "uploads"},
    "object": {
        "key": "a b/é+1%.jpg",
        "size": 1024,
        "etag": "d41d8cd98f00b204e9800998ecf8427e",
        "version-id": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
        "sequencer": "617f08299329d189",
    },
    "request-id": "N4N7GDK58NMKJ12R",
    "requester": "123456789012",
    "source-ip-address": "1.2.3.4",
    "reason": "PutObject",
}
EVENTBRIDGE: dict[str, Any] = {  # Amazon S3, "EventBridge event message structure"
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2021-11-12T00:00:00Z",
    "region": "ca-central-1",
    "resources": ["arn:aws:s3:::uploads"],
    "detail": DETAIL,
}


def changed(**members: object) -> dict[str, Any]:
    """Return the notification of Amazon S3 with other members of its object; None removes one."""
    document = copy.deepcopy(AWS)
    item = document["Records"][0]["s3"]["object"]
    item |= members
    document["Records"][0]["s3"]["object"] = {name: value for name, value in item.items() if value is not None}
    return document


def test_a_reference_has_the_decoded_key_and_what_the_store_states() -> None:
    assert references(AWS) == [REFERENCE]
    assert references(RECORD) == [REFERENCE]
    [reference] = references(MINIO)
    assert (reference.bucket, reference.key, reference.content_type) == ("images", "my photo.jpg", "image/jpeg")
    assert (reference.size, reference.version, reference.event_name) == (5, None, "ObjectCreated:Put")


def test_a_key_of_eventbridge_is_not_decoded() -> None:
    expected = REFERENCE._replace(key="a b/é+1%.jpg", sequencer="617f08299329d189", time=EVENTBRIDGE["time"])
    assert references(EVENTBRIDGE) == [expected]
    assert references(DETAIL) == [expected._replace(time=None)]


@pytest.mark.parametrize(
    ("kind", "members", "name"),
    [
        ("Object Created", {"reason": "PutObject"}, "ObjectCreated:Put"),
        ("Object Created", {"reason": "POST Object"}, "ObjectCreated:Post"),
        ("Object Created", {"reason": "CopyObject"}, "ObjectCreated:Copy"),
        ("Object Created", {"reason": "CompleteMultipartUpload"}, "ObjectCreated:CompleteMultipartUpload"),
        ("Object Created", {}, "ObjectCreated:*"),
        ("Object Deleted", {"reason": "DeleteObject", "deletion-type": "Permanently Deleted"}, "ObjectRemoved:Delete"),
        (
            "Object Deleted",
            {"reason": "DeleteObject", "deletion-type": "Delete Marker Created"},
            "ObjectRemoved:DeleteMarkerCreated",
        ),
        (
            "Object Deleted",
            {"reason": "Lifecycle Expiration", "deletion-type": "Permanently Deleted"},
            "LifecycleExpiration:Delete",
        ),
        ("Object Tags Added", {}, "ObjectTagging:Put"),
        ("Object Frobnicated", {"reason": "PutObject"}, "Object Frobnicated"),
        (None, {"reason": "CopyObject"}, "ObjectCreated:Copy"),
        (None, {"reason": "DeleteObject", "deletion-type": "Permanently Deleted"}, "ObjectRemoved:Delete"),
        (None, {}, "unknown"),
    ],
)
def test_an_event_of_eventbridge_has_the_name_that_s3_gives_it(
    kind: str | None, members: dict[str, str], name: str
) -> None:
    detail = {"bucket": {"name": "uploads"}, "object": {"key": "k"}, **members}
    document = detail if kind is None else {**EVENTBRIDGE, "detail-type": kind, "detail": detail}
    assert is_notification(document)
    assert references(document)[0].event_name == name


@pytest.mark.parametrize(
    ("name", "created"),
    [
        ("ObjectCreated:CompleteMultipartUpload", True),
        ("s3:ObjectCreated:Copy", True),
        ("ObjectRemoved:Delete", False),
        ("s3:ObjectAccessed:Get", False),
        ("ObjectRestore:Post", False),
    ],
)
def test_only_a_created_object_can_be_fetched(name: str, created: bool) -> None:  # noqa: FBT001 - a parameter
    assert references({"Records": [{**RECORD, "eventName": name}]})[0].created is created


@pytest.mark.parametrize("members", [{"size": "1"}, {"size": -1}, {"size": True}, {"size": None, "versionId": ""}])
def test_an_optional_member_of_another_type_is_absent(members: dict[str, object]) -> None:
    assert references(changed(**members))[0].size is None


@pytest.mark.parametrize("document", [AWS, MINIO, RECORD, EVENTBRIDGE, DETAIL, {"Records": []}])
def test_the_form_of_a_notification_is_known(document: object) -> None:
    assert is_notification(document)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"Records": 1},
        {"Records": [1]},
        {"Records": [{"kinesis": {}}]},
        {"s3": 1},
        {"inputs": 1},
        {"bucket": [1.0], "object": [2.0]},
        {**EVENTBRIDGE, "source": "com.example"},
        {**EVENTBRIDGE, "detail": {"eventSource": "s3.amazonaws.com"}},
    ],
)
def test_another_form_is_no_notification(document: object) -> None:
    assert not is_notification(document)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "event Records: got a list; expected the list of records"),
        ({}, "event Records: got null"),
        ({"Records": [1]}, "event Records: got a list"),
        ({"Records": [{}]}, "event Records[0].s3: got null; expected an object"),
        ({"Records": [RECORD, {"s3": {"bucket": 1}}]}, "event Records[1].s3.bucket: got 1"),
        ({"s3": {"bucket": {"name": ""}, "object": {}}}, 'event s3.bucket.name: got ""; expected a string'),
        (changed(key=None), "event Records[0].s3.object.key: got null"),
        (changed(key="%ff"), 'event Records[0].s3.object.key: got "%ff"; expected a key that is URL-encoded in UTF-8'),
        ({"Records": [{**RECORD, "eventName": None}]}, "event Records[0].eventName: got null"),
        ({**EVENTBRIDGE, "detail": None}, "event detail: got null; expected an object"),
        ({**EVENTBRIDGE, "detail-type": 1}, "event detail-type: got 1; expected a string"),
        ({**EVENTBRIDGE, "detail": {**DETAIL, "bucket": {}}}, "event detail.bucket.name: got null; expected a string"),
        ({**DETAIL, "object": {"key": "a\nb"}}, 'event object.key: got "a\\nb"; expected a string of at least one'),
    ],
)
def test_an_error_names_the_member(document: object, message: str) -> None:
    with pytest.raises(BadEvent) as refused:
        references(document)
    assert message in str(refused.value)


def test_a_notification_without_attributes_becomes_an_event() -> None:
    event = event_of(AWS)
    assert (event.source, event.type) == ("aws:s3.us-west-2.uploads", "com.amazonaws.s3.ObjectCreated:Put")
    assert event.attributes == {"subject": "a b/é+1.jpg", "time": "1970-01-01T00:00:00.000Z"}
    assert (event.content_type, event.document) == ("application/json", AWS)
    event = event_of(MINIO)
    assert (event.source, event.type) == ("minio:s3..images", "com.amazonaws.s3.ObjectCreated:Put")
    event = event_of(EVENTBRIDGE)
    assert (event.source, event.type) == ("aws:s3.ca-central-1.uploads", "com.amazonaws.s3.ObjectCreated:Put")
    assert event.attributes == {"subject": "a b/é+1%.jpg", "time": "2021-11-12T00:00:00Z"}


@pytest.mark.parametrize("document", [AWS, MINIO, EVENTBRIDGE, DETAIL])
def test_the_event_is_valid_and_can_be_sent_in_each_mode(document: object) -> None:
    event = event_of(document)
    check(event)
    assert read_message([], write_structured(event), Mode.STRUCTURED) == event
    headers, body = write_binary(event)
    assert s3_notifications.references(document) == s3_notifications.references(
        read_message([], write_structured(read_message(headers, body, None)), Mode.STRUCTURED).document
    )


def test_the_same_notification_has_the_same_id() -> None:
    assert event_of(AWS).key == event_of(copy.deepcopy(AWS)).key


@pytest.mark.parametrize(
    "members", [{"key": "other"}, {"versionId": "other"}, {"sequencer": "0055AED6DCD90281E6"}, {"eTag": "other"}]
)
def test_another_change_has_another_id(members: dict[str, object]) -> None:
    assert event_of(changed(**members)).id != event_of(AWS).id


def test_without_a_sequencer_the_request_tells_two_changes_apart() -> None:
    first, second = changed(sequencer=None), changed(sequencer=None)
    assert event_of(first).id == event_of(second).id
    second["Records"][0]["responseElements"] = {"x-amz-request-id": "other"}
    assert event_of(first).id != event_of(second).id


def test_several_records_have_one_id_and_no_subject() -> None:
    event = event_of({"Records": [RECORD, changed(key="other")["Records"][0]]})
    assert event.id not in {event_of(AWS).id, event_of(changed(key="other")).id}
    assert "subject" not in event.attributes


def test_a_key_that_no_attribute_can_have_is_no_subject() -> None:
    event = event_of(changed(key="a%0Ab"))
    check(event)
    assert "subject" not in event.attributes
    assert references(event.document)[0].key == "a\nb"


def test_a_time_that_is_not_valid_is_left_out() -> None:
    assert "time" not in event_of({"Records": [{**RECORD, "eventTime": "yesterday"}]}).attributes


def test_no_record_is_no_event() -> None:
    with pytest.raises(BadEvent, match="event Records: got an empty list; expected at least one record"):
        event_of({"Records": []})


@given(st.recursive(json_documents, lambda inner: st.fixed_dictionaries({"s3": inner, "eventName": inner})))
def test_any_json_is_an_event_or_refused(record: object) -> None:
    detail = {**DETAIL, "object": {"key": record, "size": record, "sequencer": record}, "reason": record}
    records = ({"Records": [record]}, {"Records": [{**RECORD, "s3": record}]})
    for document in (record, *records, detail, {**EVENTBRIDGE, "detail": detail}, {**EVENTBRIDGE, "detail": record}):
        try:
            event: Event = event_of(document)
        except BadEvent:
            continue
        check(event)
