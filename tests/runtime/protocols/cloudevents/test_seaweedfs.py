"""Notifications of a real SeaweedFS filer, and what a change of an object becomes."""

import base64
import hashlib
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from hypothesis import given

from runtime.errors import BadEvent
from runtime.protocols.cloudevents.s3_notifications import ObjectReference, event_of, references
from runtime.protocols.cloudevents.seaweedfs import notification_of
from tests import s3_server
from tests.runtime.protocols.cloudevents.events import check, json_documents
from tests.waiting import DEADLINE

KEY = "a b/é+%25.txt"
LAST = "last"
REPORTED = 9  # changes of objects by `change`


class Changes(NamedTuple):
    """What a filer has reported, in its order, and the versions of a key that S3 has returned."""

    reported: list[ObjectReference]
    versions: list[tuple[str, str]]  # and the name of the event


@pytest.fixture(scope="module")
def changes() -> Iterator[Changes]:
    """Change objects of a real server; return the changes that its filer has reported."""
    found: queue.Queue[Any] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEED_NOTIFICATION_WEBHOOK_ENABLED", "true")
        patch.setenv("WEED_NOTIFICATION_WEBHOOK_ENDPOINT", f"http://127.0.0.1:{receiver.server_port}/")
        with s3_server.running() as server:
            versions = change_versions(server)
            change(server)
            yield Changes(reported(found), versions)
    receiver.shutdown()
    receiver.server_close()


def change_versions(server: s3_server.S3Server) -> list[tuple[str, str]]:
    server.make_bucket("versioned")
    client, name = server.client(), {"Bucket": "versioned", "Key": KEY}
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    first, second = (client.put_object(**name, Body=body)["VersionId"] for body in (b"first", b"second"))
    marker = client.delete_object(**name)["VersionId"]
    client.delete_object(**name, VersionId=first)
    return [
        (first, "ObjectCreated:Put"),
        (second, "ObjectCreated:Put"),
        (marker, "ObjectRemoved:DeleteMarkerCreated"),
        (first, "ObjectRemoved:Delete"),
    ]


def change(server: s3_server.S3Server) -> None:
    server.put(f"s3://uploads/{KEY}", b"hello", {"k": "v"})
    server.put(f"s3://uploads/{KEY}", b"other")
    client = server.client()
    client.put_object_tagging(Bucket="uploads", Key=KEY, Tagging={"TagSet": [{"Key": "t", "Value": "v"}]})
    upload = client.create_multipart_upload(Bucket="uploads", Key="parts", ContentType="image/png")["UploadId"]
    part = client.upload_part(Bucket="uploads", Key="parts", UploadId=upload, PartNumber=1, Body=b"p" * 1000)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket="uploads", Key="parts", UploadId=upload, MultipartUpload=parts)
    client.delete_object(Bucket="uploads", Key="parts")
    client.put_object(Bucket="uploads", Key=LAST, Body=b"")


def reported(found: "queue.Queue[Any]") -> list[ObjectReference]:
    """Read until the last change and all others are reported, as the filer may report the last one earlier."""
    changes: list[ObjectReference] = []
    while len(changes) < REPORTED or all(each.key != LAST for each in changes):
        notification = notification_of(found.get(timeout=DEADLINE))
        if notification is None:
            continue
        event = event_of(notification)
        check(event)
        [reference] = references(event.document)
        assert notification["Key"] == f"{reference.bucket}/{reference.key}"
        changes.append(reference)
    return changes


def test_every_change_of_an_object_is_reported_once_and_nothing_else(changes: Changes) -> None:
    assert sorted((each.bucket, each.key, each.event_name) for each in changes.reported) == [
        ("uploads", KEY, "ObjectCreated:Put"),
        ("uploads", KEY, "ObjectCreated:Put"),
        ("uploads", LAST, "ObjectCreated:Put"),
        ("uploads", "parts", "ObjectCreated:CompleteMultipartUpload"),
        ("uploads", "parts", "ObjectRemoved:Delete"),
        ("versioned", KEY, "ObjectCreated:Put"),
        ("versioned", KEY, "ObjectCreated:Put"),
        ("versioned", KEY, "ObjectRemoved:Delete"),
        ("versioned", KEY, "ObjectRemoved:DeleteMarkerCreated"),
    ]


def test_a_change_in_a_bucket_with_versions_has_the_version(changes: Changes) -> None:
    found = [(each.version, each.event_name) for each in changes.reported if each.bucket == "versioned"]
    assert sorted(found, key=str) == sorted(changes.versions)
    assert {each.version for each in changes.reported if each.bucket != "versioned"} == {None}


def test_a_reference_has_the_size_and_the_etag_that_s3_shows(changes: Changes) -> None:
    uploads = [each for each in changes.reported if each.bucket == "uploads"]
    sizes = {each.event_name.partition(":")[2]: each.size for each in uploads if each.key == "parts"}
    assert sizes == {"CompleteMultipartUpload": 1000, "Delete": None}
    etags = {each.etag for each in uploads if each.key == KEY}
    assert etags == {hashlib.md5(data, usedforsecurity=False).hexdigest() for data in (b"hello", b"other")}


def test_the_sequencers_of_one_key_are_ordered(changes: Changes) -> None:
    by_etag = {each.etag: each.sequencer or "" for each in changes.reported if each.key == KEY}
    first, second = (hashlib.md5(data, usedforsecurity=False).hexdigest() for data in (b"hello", b"other"))
    assert by_etag[first] < by_etag[second]


ENTRY = {
    "name": "b.txt",
    "attributes": {"mtime": 1_795_992_533, "mtime_ns": 5_000_000, "file_size": 5},
    "content": "aGVsbG8=",
}


def message(**members: object) -> dict[str, Any]:
    return {"key": "/buckets/uploads/a.txt", "event_type": "update", "message": members}


def test_a_renamed_object_is_created_under_its_new_key() -> None:
    notification = notification_of(
        message(old_entry={**ENTRY, "name": "a.txt"}, new_entry=ENTRY, new_parent_path="/buckets/uploads/")
    )
    assert notification is not None
    [reference] = references(notification)
    assert (reference.key, reference.event_name, reference.size) == ("b.txt", "ObjectCreated:Put", 5)
    assert reference.time == "2026-11-29T22:48:53.005Z"


@pytest.mark.parametrize(
    ("version", "path", "expected"),
    [
        ("6713", "a.txt.versions/v_6713", ("a.txt", "6713")),
        ("null", "a.txt", ("a.txt", None)),  # stored while the bucket kept no versions
        (None, "a.txt.versions/v_6713", ("a.txt.versions/v_6713", None)),  # a key of a user
    ],
)
def test_the_file_of_a_version_is_the_object_in_this_version(
    version: str | None, path: str, expected: tuple[str, str | None]
) -> None:
    stored = {"Seaweed-X-Amz-Version-Id": base64.b64encode(version.encode()).decode()} if version else {}
    changed = {"key": f"/buckets/uploads/{path}", "message": {"new_entry": {**ENTRY, "extended": stored}}}
    notification = notification_of(changed)
    assert notification is not None
    [reference] = references(notification)
    assert (reference.key, reference.version) == expected


def test_an_update_that_keeps_the_content_is_no_change() -> None:
    same = {**ENTRY, "name": "a.txt"}
    assert notification_of(message(old_entry=same, new_entry={**same, "extended": {"x": "eA=="}})) is None
    assert notification_of(message(old_entry=same, new_entry={**same, "content": "b3RoZXI="})) is not None


@pytest.mark.parametrize(
    "path",
    [
        "/etc/a",
        "/buckets",
        "/buckets/uploads",
        "/buckets/.system/a",
        "/buckets/uploads/.uploads/1/0001.part",
        "/buckets//a",
    ],
)
def test_only_objects_of_a_bucket_have_a_notification(path: str) -> None:
    parent, _, name = path.rpartition("/")
    assert notification_of(message(new_entry={**ENTRY, "name": name}, new_parent_path=parent or "/")) is None
    assert notification_of({"key": path, "message": {"old_entry": ENTRY}}) is None


def test_a_folder_has_no_notification() -> None:
    assert notification_of(message(new_entry={**ENTRY, "is_directory": True})) is None
    assert notification_of(message()) is None


@pytest.mark.parametrize(
    ("entry", "etag"),
    [
        ({**ENTRY, "extended": {"Seaweed-X-Amz-ETag": base64.b64encode(b"abc-1").decode()}}, "abc-1"),
        ({**ENTRY, "attributes": {"mtime": 1, "md5": base64.b64encode(b"\xab\xcd").decode()}}, "abcd"),
        ({**ENTRY, "attributes": {"mtime": 1, "md5": "!"}}, None),
        ({**ENTRY, "attributes": {"mtime": 2**62}}, None),
        ({**ENTRY, "extended": 1, "attributes": 1, "chunks": 1}, None),
    ],
)
def test_the_etag_is_that_of_s3_or_the_digest(entry: dict[str, Any], etag: str | None) -> None:
    notification = notification_of(message(new_entry=entry))
    assert notification is not None
    assert references(notification)[0].etag == etag


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (1, "body"),
        ({"key": "/buckets/a/b"}, "body"),
        ({"message": {}}, "key"),
        (message(new_entry=1), "message.new_entry"),
    ],
)
def test_a_document_of_another_form_is_refused(document: object, field: str) -> None:
    with pytest.raises(BadEvent, match=f"^event {field}: got"):
        notification_of(document)


@given(json_documents)
def test_any_entry_is_read_or_refused(value: object) -> None:
    for document in (
        value,
        message(new_entry=value),
        message(new_entry={**ENTRY, "attributes": value, "chunks": [value]}),
    ):
        try:
            notification = notification_of(document)
        except BadEvent:
            continue
        assert notification is None or references(notification)
