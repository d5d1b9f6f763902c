"""Tests of functions behind a Broker of Knative Eventing: replies, dead letters, S3, a Sequence, and a rollout.

S3 put -> SeaweedFS -> bridge -> Broker -> trigger -> function -> reply -> Broker -> trigger -> collector
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests import ROOT
from tests.e2e.collector import Collector, Received, collecting
from tests.e2e.created import FOLDER as MY_FUNCTION
from tests.e2e.functions import image, payment_model, reduce_requests
from tests.e2e.load import BODY, client
from tests.e2e.namespace import SCALEZERO, CommandFailed, Namespace, wait_until
from tests.e2e.test_serving import TO_ZERO, V1, V2

BRIDGE = ROOT / "scripts" / "bridges" / "seaweedfs.py"
S3_EVENTS = os.environ.get("S3_EVENTS", "")  # BUCKET:PORT of scripts/cluster; other clusters have no notifications
PAYMENT, PREDICTION = "com.example.payment", "ml.prediction.v1"
STORED = "com.amazonaws.s3.ObjectCreated:Put"
PNG = (ROOT / "functions" / "document_text" / "example.png").read_bytes()
ALL = 2000  # events during the rollout
SENDERS = 8


class Events(NamedTuple):
    """A Broker whose replies and dead letters arrive at a collector."""

    own: Namespace
    url: str  # of the Broker
    collector: Collector
    folders: tuple[Path, ...]  # of the deployed functions

    def publish(self, session: httpx.Client, kind: str, number: str, data: object) -> None:
        """Publish an event in binary mode. The Broker answers when all triggers have delivered it."""
        headers = {"ce-specversion": "1.0", "ce-id": number, "ce-source": "/tests", "ce-type": kind}
        answer = session.post(self.url, json=data, headers=headers)
        assert answer.status_code == httpx.codes.ACCEPTED, f"{answer.status_code} {answer.text}"

    def replies(self, attribute: str, *values: str) -> list[Received]:
        """Return the replies that have arrived with one of these values of an attribute."""
        return [each for each in self.collector.at("/replies") if each.attributes.get(attribute) in values]

    def wait_for_reply(self, attribute: str, value: str) -> Received:
        """Wait for a reply with this value of an attribute, and return the first one."""
        wait_until(f"a reply with {attribute}={value}", lambda: self.replies(attribute, value), seconds=180)
        return self.replies(attribute, value)[0]


@pytest.fixture(scope="module")
def collector(own: Namespace) -> Iterator[Collector]:
    try:
        own.kubectl("get", "brokers")
    except CommandFailed:
        pytest.skip("the cluster has no Knative Eventing; add it with scripts/cluster up --eventing")
    with collecting(own) as collector:
        yield collector


@pytest.fixture(scope="module")
def functions(own: Namespace, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Events:
    """The functions payment-model, file-type and my-function; the last two are also the steps of a Sequence.

    The deploys create the Broker.
    """
    folder = tmp_path_factory.mktemp("events")
    bucket = S3_EVENTS.partition(":")[0] or "events"
    stored = {"exact": {"type": STORED}}
    delivery = {"retry": 8, "deadLetterSink": {"uri": f"{collector.url}/dead"}}
    in_folder = [{"filters": [stored, {"prefix": {"subject": f"{name}/"}}]} for name in ("files", "flow")]
    payments = payment_model(folder)
    files = copied(ROOT / "functions" / "file_type", folder)
    (files / "func.yaml").write_text((files / "func.yaml").read_text().replace("dev.local/file-type:0.1.0", image()))
    reduce_requests(files / "func.yaml")
    flow = copied(MY_FUNCTION, folder)
    shared = {"createBroker": True, "delivery": delivery}
    declare(payments, triggers=[{"type": PAYMENT}], **shared)
    log = {"sink": {"uri": f"{collector.url}/predictions"}, "extensions": {"team": "risk"}}
    on_object = {"target": "on_object", "buckets": [bucket]}
    declare(files, triggers=in_folder[:1], predictions=log, **on_object, **shared)
    pipeline = {"steps": ["file-type", "my-function"], "reply": {"broker": "default"}}
    declare(flow, triggers=in_folder[1:], target="on_event", sequence=pipeline, **shared)
    folders = (payments, files, flow)
    for each in folders:  # the first one creates the Broker; the Sequence of the last one needs the second
        own.scalezero("deploy", each)
    own.kubectl("apply", "-f", "-", given=json.dumps(replies_to(f"{collector.url}/replies")))
    own.kubectl("wait", "trigger/replies", "--for=condition=Ready", "--timeout=120s")
    url = json.loads(own.kubectl("get", "broker", "default", "-o", "json"))["status"]["address"]["url"]
    return Events(own, url, collector, folders)


def replies_to(uri: str) -> dict[str, Any]:
    """Return the Trigger that delivers the replies of all functions."""
    spec = {"broker": "default", "filters": [{"exact": {"type": PREDICTION}}], "subscriber": {"uri": uri}}
    return {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": {"name": "replies"}, "spec": spec}


def copied(source: Path, folder: Path) -> Path:
    """Copy a function's folder."""
    made = folder / source.name
    shutil.copytree(source, made, ignore=shutil.ignore_patterns("__pycache__"))
    return made


def declare(function: Path, **events: object) -> None:
    """Add the part `events` to the InferenceConfig of a function."""
    manifest = function / "model.yaml"
    documents = list(yaml.safe_load_all(manifest.read_text()))
    (config,) = (each for each in documents if each["kind"] == "InferenceConfig")
    config["spec"]["events"] = events
    manifest.write_text(yaml.safe_dump_all(documents))


@pytest.fixture(scope="module")
def bucket(functions: Events, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bucket whose changes SeaweedFS reports to the bridge, a process of this test."""
    name, _, port = S3_EVENTS.partition(":")
    if not name:
        pytest.skip("only the S3 server of scripts/cluster reports its changes")
    functions.own.s3.make_bucket(name)
    host = str(urlsplit(functions.own.s3.endpoint_url).hostname)
    with bridging(tmp_path_factory.mktemp("bridge"), host, port, functions.url):
        yield name


@contextmanager
def bridging(folder: Path, host: str, port: str, sink: str) -> Iterator[None]:
    """Run the bridge, which posts an event for each object to the sink."""
    variables = {"FUNCTION_SOURCE": str(BRIDGE), "K_SINK": sink, "HOST": host, "PORT": port}
    command = [str(SCALEZERO), "serve"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=output, stderr=output)
    try:
        wait_until("the bridge answers", lambda: is_ready(f"http://{host}:{port}"), seconds=180)
        yield
    finally:
        process.terminate()
        process.wait()
        sys.stdout.write(log.read_text())  # shown if a test fails


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz/ready", trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def put(events: Events, bucket: str, key: str, body: bytes) -> None:
    events.own.s3.client().put_object(Bucket=bucket, Key=key, Body=body)


def test_the_reply_of_a_function_that_starts_from_zero_reaches_the_next_trigger(functions: Events) -> None:
    at_zero = lambda: all(map(functions.own.is_at_zero, (V1, V2)))  # noqa: E731
    wait_until("the function is at zero", at_zero, seconds=TO_ZERO)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with client() as session:
        session.headers["traceparent"] = trace
        functions.publish(session, PAYMENT, "first", BODY)
    reply = functions.wait_for_reply("causationid", "first")
    assert reply.attributes["type"] == PREDICTION
    assert reply.attributes["source"] == "payment-model"
    assert reply.attributes["subject"] in {"payment-model/1.0.0", "payment-model/2.0.0"}
    assert len(reply.data["outputs"]) == 1
    assert trace.split("-")[1] in reply.attributes.get("traceparent", "") + reply.headers.get("traceparent", "")


def test_a_bad_event_is_a_dead_letter_after_one_delivery(functions: Events) -> None:
    before = deliveries(functions)
    with client() as session:
        functions.publish(session, PAYMENT, "bad", {"inputs": "none"})
    (dead,) = functions.collector.wait("/dead")
    assert (dead.attributes["id"], dead.data) == ("bad", {"inputs": "none"})
    assert dead.attributes["knativeerrorcode"] == "400"
    assert functions.replies("causationid", "bad") == []
    assert deliveries(functions) - before <= 1  # with retries it would be 9


def deliveries(events: Events) -> float:
    """Return the number of events that the pods of payment-model have got."""
    with client() as session:
        urls = [events.own.url("payment-model", tag) for tag in ("v1", "v2")]
        lines = [line for url in urls for line in session.get(f"{url}/metrics").text.splitlines()]
    counts = [each for each in lines if each.startswith("scalezero_request_seconds_count{")]
    return sum(float(each.rpartition(" ")[2]) for each in counts if 'protocol="cloudevents"' in each)


def test_an_object_in_s3_is_answered_with_its_type(functions: Events, bucket: str) -> None:
    put(functions, bucket, "files/a b+é.png", PNG)
    (file,) = functions.wait_for_reply("source", "file-type").data["files"]
    assert (file["bucket"], file["key"], file["label"]) == (bucket, "files/a b+é.png", "png")


def test_the_reply_of_each_step_of_a_sequence_is_the_event_of_the_next(functions: Events, bucket: str) -> None:
    put(functions, bucket, "flow/a.png", PNG)
    reply = functions.wait_for_reply("source", "my-function")
    (file,) = reply.data["data"]["files"]
    assert (file["key"], file["label"]) == ("flow/a.png", "png")


def test_the_predictions_of_a_function_are_logged_to_its_sink(functions: Events, bucket: str) -> None:
    put(functions, bucket, "files/b.py", b"import os\nprint(os.environ)\n" * 20)
    event = functions.collector.wait("/predictions", seconds=180)[0]
    assert (event.attributes["team"], event.attributes["type"]) == ("risk", "ml.prediction.logged.v1")
    assert (event.data["model_name"], event.data["parameters"]["revision"]) == ("file-type", "file-type-v1")


def test_after_the_deploys_there_is_nothing_to_do(functions: Events) -> None:
    for folder in functions.folders:
        assert functions.own.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"


def test_no_event_is_lost_while_the_function_is_rolled_out(
    functions: Events, record_property: Callable[[str, object], None]
) -> None:
    """Each event is answered at least once, and none is a dead letter. Each pod knows only the events that it got."""
    before = len(functions.collector.at("/dead"))
    functions.own.kn("service", "update", "payment-model", "--traffic", f"{V1}=100", "--traffic", f"{V2}=0")
    with publishing(functions, ALL) as sent:
        output = functions.own.scalezero(
            "rollout", "payment-model", "--to", "v2", "--steps", "50,100", "--interval", "2", "--adopt"
        )
    assert output.count("shifted") == 2
    assert len(sent) >= ALL
    wait_until("each event has a reply", lambda: answered(functions) >= set(sent), seconds=180)
    replies = functions.replies("causationid", *sent)
    record_property("duplicates", len(replies) - len(sent))
    print(f"{len(sent)} events, {len(replies) - len(sent)} duplicates")  # noqa: T201 - shown with pytest -rP
    assert {each.attributes["subject"] for each in replies} == {"payment-model/1.0.0", "payment-model/2.0.0"}
    assert len(functions.collector.at("/dead")) == before


def answered(events: Events) -> set[str]:
    """Return the ids of the events that have a reply."""
    return {each.attributes["causationid"] for each in events.collector.at("/replies")}


def test_a_function_is_deleted_with_its_triggers_and_its_sequence(functions: Events) -> None:
    own = functions.own
    (folder,) = (each for each in functions.folders if each.name == MY_FUNCTION.name)
    assert "sequence.flows.knative.dev/my-function" in own.kubectl("get", "sequences", "-o", "name").splitlines()
    own.scalezero("delete", "-f", folder)
    left = own.kubectl("get", "triggers,sequences", "-o", "name")
    assert "my-function" not in left
    assert "trigger.eventing.knative.dev/payment-model" in left.splitlines()


@contextmanager
def publishing(events: Events, least: int) -> Iterator[list[str]]:
    """Publish events from several threads until the block ends, and at least `least`; yield their ids."""
    sent: list[str] = []
    numbers, ended = itertools.count(), threading.Event()

    def publish() -> None:
        with client(timeout=120) as session:
            while (number := next(numbers)) < least or not ended.is_set():
                events.publish(session, PAYMENT, f"event-{number}", BODY)
                sent.append(f"event-{number}")
                time.sleep(0.002)

    with ThreadPoolExecutor(SENDERS) as pool:
        senders = [pool.submit(publish) for _ in range(SENDERS)]
        try:
            yield sent
        finally:
            ended.set()
        for each in senders:
            each.result()
