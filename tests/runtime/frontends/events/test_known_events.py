"""An event that is delivered again, later or while it is being answered, gets the same reply; its model runs once."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import models
from tests.runtime import independence_models
from tests.runtime.frontends.conftest import Served, counts, error_of, serving
from tests.runtime.frontends.events.conftest import (
    BATCH,
    document,
    event_headers,
    headers,
    new_id,
    post,
    post_document,
)
from tests.runtime.http.h2_client import Caller, calling
from tests.waiting import DEADLINE

LEFT = ("cloudevents", "client_left", "client")


def runs(served: Served) -> float:
    """Return the number of runs of the model, including those for the proof of batching."""
    return metric(served, "scalezero_run_seconds_count")


def inferences(served: Served) -> float:
    """Return the number of inferences that were queued for the model."""
    return metric(served, "scalezero_queue_seconds_count")


def metric(served: Served, name: str) -> float:
    return next(
        sample.value
        for family in text_string_to_metric_families(served.get("/metrics").text)
        for sample in family.samples
        if sample.name == name
    )


def shown(answer: httpx.Response) -> object:
    """Return what two equal replies have in common."""
    return answer.status_code, answer.headers.get("content-type"), event_headers(answer), answer.content


def test_a_known_event_gets_the_same_reply_without_a_run(served: Served) -> None:
    head = headers()
    first, before = post(served, head=head), runs(served)
    assert [shown(post(served, head=head, path=path)) for path in ("/", "/events")] == [shown(first)] * 2
    assert runs(served) == before


def test_a_known_event_gets_the_same_reply_in_every_mode(served: Served) -> None:
    event_id = new_id()
    binary = post(served, head=headers(of=event_id))
    structured = post_document(served, document(of=event_id, data=[1, 2])).json()
    [batched] = post_document(served, [document(of=event_id, data=[1, 2])], kind=BATCH).json()
    assert structured == batched
    assert structured["data"] == binary.json()
    assert {name: structured[name] for name in event_headers(binary)} == event_headers(binary)


def test_the_same_id_of_another_source_is_another_event(served: Served) -> None:
    event_id = new_id()
    one, other = (event_headers(post(served, head=headers(of=event_id, source=each))) for each in ("/a", "/b"))
    assert one["id"] != other["id"]


def test_an_event_that_was_refused_is_refused_again_without_a_look_at_its_data(served: Served) -> None:
    head = headers()
    first = post(served, [1, 2, 3], head=head)
    assert first.status_code == 400
    assert shown(post(served, [1, 2], head=head)) == shown(first)


def test_deliveries_during_a_cold_start_share_one_inference(tmp_path: Path) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with (
        serving(tmp_path, model, ready=False, env={"SCALEZERO_LOAD": "lazy"}) as served,
        ThreadPoolExecutor(20) as all_,
    ):
        head = headers()
        answers = list(all_.map(lambda _: post(served, head=head), range(20)))
        first = shown(answers[0])
        assert answers[0].json()["outputs"] == [2, 4]
        assert [shown(each) for each in answers] == [first] * 20
        assert inferences(served) == 1
        assert shown(post(served, head=head)) == first
        assert inferences(served) == 1
        found = counts(served)
        assert found["cloudevents", "ok", "none"] == 21
        other = post(served)
        assert event_headers(other)["id"] != event_headers(answers[0])["id"]
        assert inferences(served) == 2


def test_a_failed_delivery_is_not_known_and_those_that_wait_fail_with_it(tmp_path: Path) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, ready=False, env={"SCALEZERO_LOAD": "lazy"}) as served, ThreadPoolExecutor(5) as all_:
        content = model.read_bytes()
        model.write_bytes(b"no model")
        head = headers()
        failed = list(all_.map(lambda _: post(served, head=head), range(5)))
        assert {error_of(each, 503)["code"] for each in failed} == {"invalid_model"}
        model.write_bytes(content)
        assert post(served, head=head).json()["outputs"] == [2, 4]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model that runs as long as its input is large; a run that takes more than 3 s is stopped."""
    folder = tmp_path_factory.mktemp("slow")
    model = independence_models.countdown(folder / "m.onnx")
    with serving(folder, model, env={"SCALEZERO_RUN_TIMEOUT": "3s", "SCALEZERO_BATCHING": "never"}) as served:
        post(served, [1])  # imports the handler
        yield served


HTTP2 = pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
SIZES = pytest.mark.parametrize("padding", [0, 70_000], ids=["direct", "in a task"])


def ask(caller: Caller, body: bytes, head: dict[str, str]) -> int:
    """Send an event. Return its stream."""
    return caller.ask("/", body, fields=list(head.items()))


def pass_time(caller: Caller) -> None:
    """Wait until the server has read all that was sent on this connection, and begun to answer it."""
    for _ in range(3):
        assert caller.answer(caller.ask("/healthz/live", method="GET")).status == 200


@contextmanager
def first_delivery(slow: Served, caller: Caller, body: bytes, head: dict[str, str], *, http2: bool) -> Iterator[None]:
    """Send an event from a client that leaves at the end of the block."""
    if http2:
        stream = ask(caller, body, head)
        pass_time(caller)
        yield
        caller.reset(stream)
    else:
        lines = [f"{name}: {value}\r\n" for name, value in {**head, "content-length": str(len(body))}.items()]
        with socket.create_connection(("127.0.0.1", slow.port), DEADLINE) as raw:
            raw.sendall(f"POST / HTTP/1.1\r\nhost: x\r\n{''.join(lines)}\r\n".encode() + body)
            pass_time(caller)
            yield
    pass_time(caller)


@HTTP2
@SIZES
def test_a_waiting_delivery_gets_the_reply_although_the_first_client_has_left(
    slow: Served,
    http2: bool,  # noqa: FBT001 - a parameter of the table
    padding: int,
) -> None:
    """The event waits behind a run that is stopped after a time."""
    body, head = b'{"inputs":[3]}' + b" " * padding, headers()
    left = counts(slow).get(LEFT, 0)
    with calling(slow.port) as caller:
        behind = ask(caller, b'{"inputs":[%d]}' % 2**62, headers())
        with first_delivery(slow, caller, body, head, http2=http2):
            waiting = [ask(caller, body, head) for _ in range(2)]
            pass_time(caller)
        one, other = (caller.answer(stream) for stream in waiting)
        assert caller.answer(behind).status == 504
    assert json.loads(one.body)["outputs"] == [3]
    assert one.body == other.body == post(slow, body=body, head=head).content
    assert counts(slow).get(LEFT, 0) == left


@SIZES
def test_an_event_whose_clients_have_all_left_is_abandoned_and_can_be_delivered_again(
    slow: Served, padding: int
) -> None:
    body, head = b'{"inputs":[3]}' + b" " * padding, headers()
    left = counts(slow).get(LEFT, 0)
    with calling(slow.port) as caller:
        behind = ask(caller, b'{"inputs":[%d]}' % 2**62, headers())
        streams = [ask(caller, body, head) for _ in range(3)]
        pass_time(caller)
        for stream in streams:
            caller.reset(stream)
        pass_time(caller)
        assert caller.answer(behind).status == 504
    assert counts(slow)[LEFT] == left + 1
    assert post(slow, body=body, head=head).json()["outputs"] == [3]


def test_a_large_reply_is_shared_like_a_small_one(served: Served) -> None:
    rows = [[float(row), 1.0] for row in range(7_000)]  # more than 64 KiB of output
    head = headers()
    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: post(served, rows, head=head), range(4)))
    assert len({each.content for each in answers}) == 1
    assert len(answers[0].json()["outputs"]) == len(rows)


def test_without_a_window_each_delivery_is_a_new_event(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_EVENT_WINDOW="0s") as served:
        head = headers()
        replies = [event_headers(post(served, head=head))["id"] for _ in range(3)]
        assert len(set(replies)) == 3


def test_the_window_forgets_the_oldest_of_too_many_events(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_EVENT_WINDOW_SIZE="2") as served:
        heads = [headers() for _ in range(3)]
        first = [event_headers(post(served, head=head))["id"] for head in heads]
        again = [event_headers(post(served, head=head))["id"] for head in reversed(heads)]
        assert [one == other for one, other in zip(reversed(first), again, strict=True)] == [True, True, False]
