"""What an author's function gets of the objects that an event names, in scalezero's server and in any other process."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from runtime import author
from runtime.author import events
from runtime.author.events import Content, fetch, objects
from runtime.errors import BadEvent, BucketNotAllowed
from runtime.service import Service
from runtime.settings import Settings
from tests.s3_server import S3Server

BUCKET = "author-events"


def record(key: str, name: str = "ObjectCreated:Put", **item: object) -> dict[str, Any]:
    return {"eventName": name, "s3": {"bucket": {"name": BUCKET}, "object": {"key": key, **item}}}


def cloud_event(data: object) -> CloudEvent:
    return CloudEvent({"type": "com.amazonaws.s3.ObjectCreated:Put", "source": "/s3"}, data)


@pytest.fixture
def store(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.put(f"s3://{BUCKET}/in/a b.txt", b"content")
    events._settings_of.cache_clear()
    yield s3
    events._settings_of.cache_clear()


NOTIFICATION = {"Records": [record("in/a+b.txt", size=7, versionId="v")]}


@pytest.mark.parametrize(
    "data",
    [NOTIFICATION, NOTIFICATION["Records"][0], json.dumps(NOTIFICATION), json.dumps(NOTIFICATION).encode()],
    ids=["object", "record", "text", "bytes"],
)
def test_an_event_names_the_objects_of_its_notification(data: object) -> None:
    (found,) = objects(cloud_event(data))
    assert (found.bucket, found.key, found.size, found.version) == (BUCKET, "in/a b.txt", 7, "v")


def test_a_notification_without_its_event_names_the_same_objects() -> None:
    assert objects(NOTIFICATION) == objects(cloud_event(NOTIFICATION))


def test_deleted_objects_and_placeholders_of_folders_are_left_out() -> None:
    removed, folder = record("gone", "ObjectRemoved:Delete"), record("in/")
    assert [each.key for each in objects({"Records": [removed, record("a"), folder, record("b")]})] == ["a", "b"]


@pytest.mark.parametrize("data", [None, "text", b"\xff", {}, [], {"Records": [{}]}])
def test_data_that_is_no_notification_rejects_the_event(data: object) -> None:
    with pytest.raises(BadEvent):
        objects(cloud_event(data))


@pytest.mark.usefixtures("store")
def test_a_process_without_a_service_obeys_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALEZERO_EVENT_BUCKETS", BUCKET)
    (found,) = objects({"Records": [record("in/a+b.txt")]})
    content = fetch(found)
    assert isinstance(content, Content)
    assert content.data == b"content"


@pytest.mark.usefixtures("store")
def test_without_a_setting_no_object_is_fetched() -> None:
    (found,) = objects(NOTIFICATION)
    with pytest.raises(BucketNotAllowed, match="none is allowed"):
        fetch(found)


@pytest.mark.usefixtures("store")
def test_the_settings_of_the_attached_service_hold(tmp_path: Path) -> None:
    (found,) = objects({"Records": [record("in/a+b.txt")]})

    async def main() -> bytes:
        service = Service(Settings(event_buckets=(BUCKET,), cache_dir=tmp_path), process_started=0.0)
        author.attach(service, asyncio.get_running_loop())
        try:
            return (await asyncio.to_thread(fetch, found)).data
        finally:
            author.detach()

    assert asyncio.run(main()) == b"content"
