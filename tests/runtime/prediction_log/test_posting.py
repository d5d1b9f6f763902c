"""Posting to a real HTTP sink: which requests arrive, and what happens if it is down, slow, or refuses events."""

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from runtime.background import Background
from runtime.prediction_log.log import PredictionLog
from runtime.prediction_log.opening import open_log
from runtime.protocols.cloudevents import Event, Mode
from runtime.settings import settings_from
from runtime.sinks import Sinks
from tests.runtime.prediction_log.event_sink import Reply, closed_port, event_sink
from tests.runtime.prediction_log.predictions import outcome

Scenario = Callable[[PredictionLog], Coroutine[Any, Any, None]]


def logging_to(url: str, scenario: Scenario, *, authority: str = "", **settings: str) -> PredictionLog:
    """Run the scenario with a log to this URL, drain it within 30 s, and return it."""
    variables = {f"SCALEZERO_PREDICTION_LOG_{name.upper()}": value for name, value in settings.items()}
    variables["K_CA_CERTS"] = authority

    async def run() -> PredictionLog:
        background = Background()
        sinks = Sinks(background)
        log = open_log(settings_from({"SCALEZERO_PREDICTION_LOG": "sink", "K_SINK": url, **variables}))
        assert log is not None
        sinks.add(log)
        await scenario(log)
        await sinks.drain(within=30)
        await background.close(within=10)
        return log

    return asyncio.run(run())


def offering(count: int) -> Scenario:
    async def scenario(log: PredictionLog) -> None:
        for number in range(count):
            log.offer(outcome(number))

    return scenario


def numbers(events: list[Event]) -> list[float]:
    return sorted(json.loads(event.body())["inputs"][0]["data"][0] for event in events)


def facts(log: PredictionLog) -> tuple[int, int, int]:
    """Return the emitted, dropped and failed predictions."""
    return log.counts.emitted, log.counts.dropped, log.counts.failed


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a condition on another thread has no event
            await asyncio.sleep(0.005)


def test_each_prediction_is_one_event_in_binary_mode_over_a_few_connections() -> None:
    with event_sink() as sink:
        log = logging_to(sink.url, offering(200))
        assert numbers(sink.events) == list(range(200))
        assert set(sink.requests) == {("/log?from=test", Mode.BINARY, 202)}
        assert len({event.key for event in sink.events}) == 200
        assert sink.connections <= 200 // 16 + 1
    assert facts(log) == (200, 0, 0)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl creates the certificate")
def test_an_https_sink_is_trusted_by_the_certificates_of_the_sinkbinding(
    tmp_path: Path,
) -> None:
    command = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=sink"
    options = [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *options], cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with event_sink(tls=tls) as sink:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("runtime.prediction_log.posting._PATIENCE", 0.2)
            assert facts(logging_to(sink.url, offering(5))) == (0, 5, 0)
        log = logging_to(sink.url, offering(5), authority=(tmp_path / "cert.pem").read_text())
        assert numbers(sink.events) == list(range(5))
    assert facts(log) == (5, 0, 0)


def test_batches_are_sent_only_if_they_are_asked_for() -> None:
    with event_sink() as sink:
        log = logging_to(sink.url, offering(250), batch="100")
        assert numbers(sink.events) == list(range(250))
        assert {mode for _, mode, _ in sink.requests} == {Mode.BATCHED}
        assert len(sink.requests) < 50
    assert facts(log) == (250, 0, 0)


@pytest.mark.parametrize("reply", [Reply(chunked=True), Reply(200, close=True)], ids=["chunked", "closed"])
def test_every_form_of_a_response_is_read(reply: Reply) -> None:
    with event_sink() as sink:
        sink.reply = lambda _: reply
        log = logging_to(sink.url, offering(10))
        assert numbers(sink.events) == list(range(10))
    assert facts(log) == (10, 0, 0)


@pytest.mark.parametrize(
    "reply",
    [Reply(503), Reply(429, Retry_After="0"), Reply(0), Reply(500, close=True)],
    ids=["503", "429", "closed", "500"],
)
def test_what_knative_retries_is_sent_again_with_the_same_id(reply: Reply) -> None:
    with event_sink() as sink:
        sink.reply = lambda number: reply if number in {0, 2} else Reply()
        log = logging_to(sink.url, offering(5))
        assert numbers(sink.events) == list(range(5))
        assert len(sink.requests) == 7
    assert facts(log) == (5, 0, 0)


def test_a_rejected_event_is_counted_and_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    with event_sink() as sink:
        sink.reply = lambda number: Reply(400 if number == 1 else 202)
        log = logging_to(sink.url, offering(5))
        assert len(sink.events) == 4
        assert len(sink.requests) == 5
    assert facts(log) == (4, 0, 1)
    assert "the sink rejected an event" in caplog.text


def test_a_sink_without_batches_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with event_sink() as sink:
        sink.reply = lambda _: Reply(400)
        log = logging_to(sink.url, offering(5), batch="10")
    assert facts(log) == (0, 0, 5)
    assert "set SCALEZERO_PREDICTION_LOG_BATCH=1" in caplog.text


def test_while_the_sink_is_down_the_queue_is_bounded_and_the_rest_is_dropped() -> None:
    with closed_port() as port, pytest.MonkeyPatch.context() as patch:
        patch.setattr("runtime.prediction_log.posting._PATIENCE", 0.2)
        log = logging_to(f"http://127.0.0.1:{port}", offering(100), queue="10")
    assert facts(log) == (0, 100, 0)


def test_a_sink_that_comes_back_gets_what_is_in_the_queue(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(log: PredictionLog) -> None:
        await offering(20)(log)
        await eventually(lambda: "the sink failed" in caplog.text)
        with event_sink(port) as sink:
            await eventually(lambda: log.counts.emitted == 20)
            assert numbers(sink.events) == list(range(20))

    with closed_port() as port, caplog.at_level("INFO"):
        assert facts(logging_to(f"http://127.0.0.1:{port}", scenario)) == (20, 0, 0)


def test_a_slow_sink_gets_more_connections_and_no_offer_waits() -> None:
    with event_sink() as sink:
        sink.gate.clear()

        async def scenario(log: PredictionLog) -> None:
            await offering(100)(log)
            await eventually(lambda: sink.connections == 4)
            assert not sink.events
            sink.gate.set()

        log = logging_to(sink.url, scenario, connections="4", queue="100")
        assert numbers(sink.events) == list(range(100))
        assert sink.connections == 4
    assert facts(log) == (100, 0, 0)


def test_a_shutdown_gives_up_on_a_sink_that_answers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.prediction_log.posting._PATIENCE", 0.2)
    with event_sink() as sink:
        sink.gate.clear()
        log = logging_to(sink.url, offering(20))
    assert facts(log) == (0, 20, 0)


def test_a_response_that_does_not_arrive_ends_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.prediction_log.posting.RESPONSE_TIMEOUT", 0.3)
    with event_sink() as sink:
        sink.gate.clear()

        async def scenario(log: PredictionLog) -> None:
            await offering(1)(log)
            await eventually(lambda: sink.connections >= 2)
            sink.gate.set()

        log = logging_to(sink.url, scenario)
    assert facts(log) == (1, 0, 0)


def test_a_shutdown_does_not_wait_for_the_end_of_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    with event_sink() as sink:
        sink.reply = lambda number: Reply() if number else Reply(503, Retry_After="30")

        async def scenario(log: PredictionLog) -> None:
            await offering(1)(log)
            await eventually(lambda: "the sink failed" in caplog.text)

        with caplog.at_level("INFO"):
            assert facts(logging_to(sink.url, scenario)) == (1, 0, 0)


def test_a_shutdown_does_not_begin_a_long_pause() -> None:
    with event_sink() as sink:
        sink.reply = lambda number: Reply() if number else Reply(503, Retry_After="30")
        sink.gate.clear()

        async def scenario(log: PredictionLog) -> None:
            await offering(1)(log)
            await eventually(lambda: sink.connections == 1)
            asyncio.get_running_loop().call_later(0.05, sink.gate.set)  # the shutdown has begun by then

        assert facts(logging_to(sink.url, scenario)) == (1, 0, 0)


def test_a_server_that_closes_every_connection_at_once_gets_nothing_and_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.prediction_log.posting._PATIENCE", 0.3)
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close_all() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
                    connection.close()
                    accepted.append(1)

        async def scenario(log: PredictionLog) -> None:
            await offering(3)(log)
            await eventually(lambda: bool(accepted))

        thread = threading.Thread(target=close_all)
        thread.start()
        log = logging_to(f"http://127.0.0.1:{server.getsockname()[1]}", scenario)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert facts(log) == (0, 3, 0)
    assert len(accepted) < 20
