"""Events share the threads, the queue and the limits of the function's requests, and get their reply or its error."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from runtime.errors import (
    EventDeferred,
    EventRefused,
    FunctionCrashed,
    FunctionTimedOut,
    InvalidAnswer,
    InvalidInput,
    QueueFull,
)
from runtime.frontends.functions import EventData, FunctionHost
from runtime.frontends.functions.loading import load
from runtime.protocols.cloudevents import Event
from tests.waiting import DEADLINE

T = TypeVar("T")
Write = Callable[[str], Path]
TEXT = """
import pathlib, threading, time
import flask
import functions_framework
from cloudevents.http import CloudEvent
from runtime.errors import InvalidInput

class Busy(Exception): ...

@functions_framework.errorhandler(Busy)
def answer_busy(error):
    return "busy", 503, {"retry-after": "3"}

def handle(request):
    return "a page"

def on_event(event):
    kind = event.get("subject")
    if kind == "wait":
        while not pathlib.Path(__file__ + ".go").exists():
            time.sleep(0.005)
    if kind == "abort":
        flask.abort(422, "no picture")
    if kind == "busy":
        raise Busy
    if kind == "crash":
        raise KeyError("hunter2")
    if kind == "exit":
        raise SystemExit
    if kind == "input":
        raise InvalidInput("data", got="text", expected="a picture")
    if kind == "set":
        return {1}
    if kind == "tuple":
        return "text", 200
    if kind == "event":
        return CloudEvent({"type": "done", "source": "/me", "id": "9", "time": "2026-04-05T17:31:00Z"}, {"a": 1})
    if kind == "request":
        return {name: flask.request.headers.get(name) for name in ("ce-id", "ce-subject", "content-type")}
    return {"thread": threading.current_thread().name, "data": event.data, "source": event["source"]}
"""
OWN_HANDLER = """
import functions_framework

@functions_framework.errorhandler(500)
def answer_all(error):
    return f"mine: {type(error.original_exception).__name__}", 503

def handle(request):
    return "a page"

def on_event(event):
    raise ValueError("hunter2")
"""


def event(subject: str = "", number: int = 1) -> Event:
    attributes = {"subject": subject} if subject else {}
    return Event(str(number), "/sender", "t", attributes, "application/json", b"[1, 2]")


def hosting(path: Path, work: Callable[[FunctionHost], Awaitable[T]], **limits: Any) -> T:  # noqa: ANN401 - the host's
    """Run the work with a host of the file."""

    async def main() -> T:
        options = {"threads": 2, "waiting": 2, "timeout": DEADLINE, "limit": DEADLINE, **limits}
        host = FunctionHost(partial(load, path, "handle", "on_event"), folder=path.parent, **options)
        await host.load()
        return await work(host)

    return asyncio.run(main())


def answer(path: Path, subject: str) -> Event | EventData | None:
    return hosting(path, lambda host: host.answer_event(event(subject)))


def test_a_function_answers_events_on_a_thread_of_its_requests(source: Write) -> None:
    reply = answer(source(TEXT), "")
    assert reply == EventData("application/json", b'{"data": [1, 2], "source": "/sender", "thread": "function-1"}')


def test_whether_a_function_takes_events_is_known_after_the_import(source: Write) -> None:
    async def watch(path: Path) -> tuple[bool | None, bool, bool | None]:
        host = FunctionHost(
            partial(load, path, "handle", "on_event"), folder=path.parent, threads=1, waiting=1, timeout=9, limit=9
        )
        return host.takes_events, await host.accepts_events(), host.takes_events

    assert asyncio.run(watch(source(TEXT))) == (None, True, True)


def test_a_returned_event_is_the_reply(source: Write) -> None:
    reply = answer(source(TEXT), "event")
    assert reply == Event("9", "/me", "done", {"time": "2026-04-05T17:31:00Z"}, "application/json", b'{"a": 1}')


def test_a_tuple_is_read_as_flask_reads_it(source: Write) -> None:
    assert answer(source(TEXT), "tuple") == EventData("text/html; charset=utf-8", b"text")


def test_the_context_of_flask_has_the_event_in_binary_mode(source: Write) -> None:
    reply = answer(source(TEXT), "request")
    expected = b'{"ce-id": "1", "ce-subject": "request", "content-type": "application/json"}'
    assert reply == EventData("application/json", expected)


@pytest.mark.parametrize(
    ("subject", "error", "message"),
    [
        ("abort", EventRefused, "the function refused the event with status 422: no picture"),
        (
            "busy",
            EventDeferred,
            "the function answered the event with status 503, which asks for another delivery: busy",
        ),
        ("crash", FunctionCrashed, "the function raised KeyError; the server's log has the traceback"),
        ("exit", FunctionCrashed, "the function raised SystemExit; the server's log has the traceback"),
        ("set", FunctionCrashed, "the function raised TypeError; the server's log has the traceback"),
        ("input", InvalidInput, "data: got text; expected a picture"),
    ],
)
def test_an_error_of_the_function_is_the_error_of_the_event(
    source: Write, subject: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        answer(source(TEXT), subject)
    assert str(raised.value) == message


def test_the_log_has_the_event_and_the_text_of_an_exception(source: Write, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FunctionCrashed):
        answer(source(TEXT), "crash")
    (record,) = [each for each in caplog.records if each.message == "function failed"]
    facts = vars(record)
    assert (facts["event_id"], facts["event_source"], facts["event_type"]) == ("1", "/sender", "t")
    assert record.exc_info
    assert "hunter2" in str(record.exc_info[1])


def test_an_error_handler_of_the_author_answers_every_exception(source: Write) -> None:
    with pytest.raises(EventDeferred, match=r"status 503, .* mine: ValueError"):
        answer(source(OWN_HANDLER), "")


def test_an_event_above_the_limit_of_a_call_times_out(source: Write) -> None:
    path = source(TEXT)
    with pytest.raises(FunctionTimedOut):
        hosting(path, lambda host: host.answer_event(event("wait")), limit=0.05)
    Path(f"{path}.go").touch()


def test_running_and_waiting_events_are_limited_and_a_cancelled_one_leaves_the_queue(source: Write) -> None:
    path = source(TEXT)
    go = Path(f"{path}.go")

    async def fill(host: FunctionHost) -> tuple[Event | EventData | None, Event | EventData | None]:
        running = asyncio.create_task(host.answer_event(event("wait")))
        waiting = asyncio.create_task(host.answer_event(event("", 2)))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await host.answer_event(event("", 3))
        waiting.cancel()
        await asyncio.wait([waiting])
        admitted = asyncio.create_task(host.answer_event(event("event", 4)))
        go.touch()  # noqa: ASYNC240 - takes no time
        return await asyncio.gather(running, admitted)

    first, second = hosting(path, fill, threads=1, waiting=1)
    assert isinstance(first, EventData)
    assert isinstance(second, Event)


def test_a_reply_that_is_no_event_is_an_invalid_answer(source: Write) -> None:
    text = TEXT.replace('"type": "done"', '"type": "done", "a-b": "c"')
    with pytest.raises(InvalidAnswer, match="attribute a-b of the CloudEvent"):
        answer(source(text), "event")
