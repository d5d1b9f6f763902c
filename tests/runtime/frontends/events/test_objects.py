"""Events about stored objects, with a real S3 server: the model gets the object as the data of the event."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, error_of, serving
from tests.runtime.frontends.events.conftest import document, event_headers, headers, post, post_document
from tests.s3_server import S3Server

BUCKET = "event-objects"


@pytest.fixture(scope="module")
def served(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fast model: y = 2 x. It may fetch small objects of one bucket."""
    folder = tmp_path_factory.mktemp("served")
    s3.make_bucket(BUCKET)
    for key, body, kind in (
        ("in/a b+é.json", b"[[1, 2]]", "application/json"),
        ("large.json", b" " * 3000, "application/json"),
        ("image.png", b"x", "image/png"),
    ):
        s3.client().put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=kind)
    env = {**s3.environment(), "SCALEZERO_EVENT_BUCKETS": BUCKET, "SCALEZERO_EVENT_OBJECT_BYTES": "2000"}
    with serving(folder, models.doubling(folder / "m.onnx"), env=env) as served:
        yield served


def notification(key: str, *, bucket: str = BUCKET, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    """Return a notification as S3 sends it."""
    entity = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "sequencer": key}}
    return {"Records": [{"eventName": event, "eventSource": "aws:s3", "awsRegion": "r", "s3": entity}]}


def eventbridge(key: str) -> dict[str, Any]:
    """Return the event that S3 sends to EventBridge."""
    detail = {"bucket": {"name": BUCKET}, "object": {"key": key, "sequencer": key}, "reason": "PutObject"}
    return {"detail-type": "Object Created", "source": "aws.s3", "region": "r", "detail": detail}


def post_raw(served: Served, value: object, path: str = "/events") -> httpx.Response:
    with served.client() as client:
        return client.post(path, json=value)


def test_the_model_gets_the_object_of_an_event_in_any_mode(served: Served) -> None:
    value = notification("in/a b+é.json")
    assert post(served, body=json.dumps(value).encode()).json()["outputs"] == [[2, 4]]
    assert post_document(served, document(data=value)).json()["data"]["outputs"] == [[2, 4]]


def test_the_model_gets_the_object_of_an_eventbridge_event(served: Served) -> None:
    value = eventbridge("in/a b+é.json")
    assert post_raw(served, value).json()["outputs"] == [[2, 4]]
    for data in (value, value["detail"]):  # the detail is the data of a CloudEvent that EventBridge makes
        assert post(served, body=json.dumps(data).encode()).json()["outputs"] == [[2, 4]]
        assert post_document(served, document(data=data)).json()["data"]["outputs"] == [[2, 4]]


def test_a_notification_without_attributes_is_an_event_that_is_known_when_it_is_posted_again(served: Served) -> None:
    value = notification("in/a b+é.json")
    first, second = (post_raw(served, {"EventName": "s3:ObjectCreated:Put", **value}) for _ in range(2))
    assert first.json()["outputs"] == [[2, 4]]
    assert event_headers(first)["causationid"]
    assert (event_headers(first), first.content) == (event_headers(second), second.content)
    assert post_raw(served, value, path="/").status_code == 405  # only at /events


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        (notification("missing.json"), 410, "object_missing"),
        (notification("a.json", bucket="other"), 403, "bucket_not_allowed"),
        (notification("large.json"), 413, "payload_too_large"),
        (notification("image.png"), 415, "unsupported_content_type"),
        (notification("a.json", event="ObjectRemoved:Delete"), 400, "bad_event"),
        ({"Records": notification("a.json")["Records"] * 2}, 400, "bad_event"),
    ],
    ids=["missing", "bucket", "large", "type", "removed", "two"],
)
def test_an_object_that_cannot_be_used_refuses_its_event(
    served: Served, value: dict[str, object], status: int, code: str
) -> None:
    assert error_of(post(served, body=json.dumps(value).encode(), head=headers()), status)["code"] == code


def test_data_that_only_looks_like_a_notification_is_data(served: Served) -> None:
    for body in (b'{"inputs": {"s3": [1, 2]}}', b'{"inputs": {"bucket": [1, 2]}}', b'{"bucket": [1], "object": [2]}'):
        assert error_of(post(served, body=body), 400)["code"] == "invalid_input"
