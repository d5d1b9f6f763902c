"""Events about stored objects are answered with the types of the files, in each form in which stores send them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http

import functions.file_type
from functions.file_type.train import TrainedModel
from runtime.protocols.cloudevents.seaweedfs import notification_of
from tests.functions.file_type.files import FILES
from tests.runtime.frontends.conftest import Served, error_of, serving
from tests.runtime.frontends.test_functions import framework
from tests.s3_server import S3Server

FOLDER = Path(functions.file_type.__file__).parent
BUCKET = "uploads-of-file-type"
LIMIT = 100_000  # bytes


@pytest.fixture(scope="module")
def stored(s3: S3Server) -> S3Server:
    """A bucket with files, whose names hide their types."""
    for name in ("python", "png", "zip"):
        s3.put(f"s3://{BUCKET}/in/a b+{name}", FILES[name])
    s3.put(f"s3://{BUCKET}/empty", b"")
    s3.put(f"s3://{BUCKET}/large", bytes(LIMIT + 1))
    return s3


def variables(stored: S3Server, trained: TrainedModel) -> dict[str, str]:
    settings = {"SCALEZERO_EVENT_BUCKETS": BUCKET, "SCALEZERO_EVENT_OBJECT_BYTES": str(LIMIT)}
    return {**stored.environment(), **settings, "SCALEZERO_MODEL_URI": str(trained.path)}


@pytest.fixture(scope="module")
def served(stored: S3Server, trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The folder as `scalezero serve` runs it, with the model from a file; its model.yaml names the target."""
    with serving(tmp_path_factory.mktemp("events"), FOLDER, env=variables(stored, trained)) as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def notification(*keys: str, bucket: str = BUCKET) -> dict[str, Any]:
    """Return a notification as Amazon S3 sends it; the keys are URL-encoded."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": "2026-04-05T17:31:00.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0055AED6DCD90281E5"}},
            }
            for key in keys
        ]
    }


def cloud_event(data: object, number: str) -> CloudEvent:
    attributes = {"type": "com.amazonaws.s3.ObjectCreated:Put", "source": "/tests", "id": number}
    return CloudEvent({**attributes, "datacontenttype": "application/json"}, data)


def post(client: httpx.Client, data: object, number: str, *, path: str = "/") -> httpx.Response:
    headers, body = to_binary(cloud_event(data, number))
    return client.post(path, headers=headers, content=body)


def labels(response: httpx.Response) -> list[tuple[str, str]]:
    """Return the key and the label of each file of a reply."""
    assert response.status_code == 200, response.text
    data = from_http(response.headers, response.content).get_data()
    assert data
    return [(each["key"], each["label"]) for each in data["files"]]


@pytest.mark.parametrize("path", ["/", "/events"])
def test_an_s3_notification_as_the_data_of_an_event_is_answered_with_the_type(client: httpx.Client, path: str) -> None:
    response = post(client, notification("in/a+b%2Bpython"), f"s3 at {path}", path=path)
    assert labels(response) == [("in/a b+python", "python")]
    assert response.headers["ce-causationid"] == f"s3%20at%20{path}"


def test_a_structured_event_gets_a_structured_reply(client: httpx.Client) -> None:
    headers, body = to_structured(cloud_event(notification("in/a+b%2Bpng"), "structured"))
    response = client.post("/", headers=headers, content=body)
    assert response.headers["content-type"] == "application/cloudevents+json"
    assert labels(response) == [("in/a b+png", "png")]


def test_the_body_of_minios_webhook_is_answered_with_the_type(client: httpx.Client) -> None:
    posted = notification("in%2Fa+b%2Bzip")
    posted["Records"][0] |= {"eventSource": "minio:s3", "awsRegion": "", "eventName": "s3:ObjectCreated:Put"}
    body = {"EventName": "s3:ObjectCreated:Put", "Key": f"{BUCKET}/in/a b+zip", **posted}
    assert labels(client.post("/events", json=body)) == [("in/a b+zip", "zip")]


def test_a_translated_notification_of_seaweedfs_is_answered_with_the_type(client: httpx.Client) -> None:
    entry = {"name": "a b+png", "attributes": {"file_size": len(FILES["png"]), "mtime": 1_795_992_127}}
    message = {"new_entry": entry, "new_parent_path": f"/buckets/{BUCKET}/in"}
    translated = notification_of({"key": f"/buckets/{BUCKET}/in/a b+png", "event_type": "create", "message": message})
    assert labels(post(client, translated, "seaweedfs")) == [("in/a b+png", "png")]


def test_each_object_of_an_event_is_answered(client: httpx.Client) -> None:
    response = post(client, notification("in/a+b%2Bzip", "empty"), "two")
    assert labels(response) == [("in/a b+zip", "zip"), ("empty", "empty")]


def test_an_event_about_a_deleted_object_gets_no_reply(client: httpx.Client) -> None:
    removed = notification("in/gone")
    removed["Records"][0]["eventName"] = "ObjectRemoved:Delete"
    response = post(client, removed, "removed")
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (notification("in/missing"), 410, "object_missing"),
        (notification("large"), 413, "payload_too_large"),
        (notification("k", bucket="secrets"), 403, "bucket_not_allowed"),
        (notification("a%2F..%2F..%2Fsecrets%2Fk"), 400, "bad_event"),
        ({"a": 1}, 400, "bad_event"),
    ],
    ids=["missing", "too large", "another bucket", "dots", "no notification"],
)
def test_an_event_that_fails_again_is_rejected(client: httpx.Client, data: object, status: int, code: str) -> None:
    assert error_of(post(client, data, code + str(status)), status)["code"] == code


def test_a_request_that_is_no_event_is_a_file(client: httpx.Client) -> None:
    assert client.post("/", content=FILES["png"]).json()["label"] == "png"
    body = json.dumps(notification("in/a+b%2Bpng")).encode()
    assert (
        client.post("/", content=body, headers={"content-type": "application/json"}).json()["label"].startswith("json")
    )


def test_the_same_file_runs_under_the_plain_functions_framework(
    stored: S3Server, trained: TrainedModel, tmp_path: Path
) -> None:
    env = {**variables(stored, trained), "FUNCTION_SIGNATURE_TYPE": "cloudevent"}
    with framework(tmp_path, FOLDER / "main.py", target="on_object", env=env) as server, server.client() as client:
        assert post(client, notification("in/a+b%2Bpython"), "1").text == "OK"
        assert post(client, notification("in/missing"), "2").status_code == 500  # the framework knows no other status
