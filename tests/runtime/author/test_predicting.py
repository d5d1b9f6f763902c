"""`predict` blocks only its own thread; the event loop only runs the model."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime import author
from runtime.author import model, predicting
from runtime.configuration.companions import Companion, Companions
from runtime.errors import InvalidInput, ShuttingDown, UnknownModel
from runtime.service import Service
from runtime.settings import Settings
from tests import models
from tests.waiting import DEADLINE


class Watched(list[object]):
    """Rows that record the threads which read them."""

    def __init__(self, rows: list[object]) -> None:
        super().__init__(rows)
        self.read_on: set[str] = set()

    def __iter__(self) -> Iterator[object]:
        self.read_on.add(threading.current_thread().name)
        return super().__iter__()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    event_loop = asyncio.new_event_loop()
    thread = threading.Thread(target=event_loop.run_forever, name="the loop")
    thread.start()
    yield event_loop
    event_loop.call_soon_threadsafe(event_loop.stop)
    thread.join(DEADLINE)
    event_loop.close()


@pytest.fixture
def attached(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Attach a service with the model `m`, which is loaded at its first use."""
    settings = Settings(model_uri=str(models.doubling(tmp_path / "m.onnx")), load="lazy", threads=1)
    service = Service(settings, process_started=0.0)
    asyncio.run_coroutine_threadsafe(service.open(), loop).result(DEADLINE)
    author.attach(service, loop)
    yield
    author.detach()
    asyncio.run_coroutine_threadsafe(service.close(), loop).result(DEADLINE)


@pytest.mark.usefixtures("attached")
def test_rows_are_read_on_the_calling_thread() -> None:
    rows = Watched([[1.0, 2.0], [3.0, 4.0]])
    answer = model("m").predict(rows)
    assert answer.outputs["y"].tolist() == [[2.0, 4.0], [6.0, 8.0]]
    assert (answer.model_name, answer.model_version) == ("m", "1")
    assert rows.read_on == {threading.current_thread().name}


@pytest.mark.usefixtures("attached")
def test_more_rows_than_one_slice_are_answered_in_order() -> None:
    rows = [[float(index), 1.0] for index in range(20_000)]
    assert model("m").predict(rows).outputs["y"][:, 0].tolist() == [2.0 * index for index in range(20_000)]


@pytest.mark.usefixtures("attached")
def test_an_invalid_request_raises_in_the_calling_thread() -> None:
    with pytest.raises(UnknownModel):
        model("n").predict([[1.0, 2.0]])
    with pytest.raises(InvalidInput, match=r"rows\.x\[1\]\[0\]"):
        model("m").predict([[1.0, 2.0], ["a", 2.0]])


@pytest.mark.usefixtures("attached")
def test_without_a_name_the_only_model_answers() -> None:
    answer = model().predict([[1.0, 2.0]])
    assert (answer.model_name, answer.outputs["y"].tolist()) == ("m", [[2.0, 4.0]])


def test_without_a_name_the_main_model_of_several_answers(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    companion = Companion("a", "7", str(models.identity(tmp_path / "a.onnx", shape=("n", 2))))
    path = str(models.doubling(tmp_path / "m.onnx"))
    service = Service(
        Settings(model_uri=path, load="lazy", threads=1, companions=Companions([companion])), process_started=0.0
    )
    asyncio.run_coroutine_threadsafe(service.open(), loop).result(DEADLINE)
    author.attach(service, loop)
    try:
        answers = [model().predict([[1.0, 2.0]]), model("a").predict([[1.0, 2.0]])]
    finally:
        author.detach()
        predicting._ended.clear()  # this process continues
        asyncio.run_coroutine_threadsafe(service.close(), loop).result(DEADLINE)
    assert [(each.model_name, each.outputs["y"].tolist()) for each in answers] == [
        ("m", [[2.0, 4.0]]),
        ("a", [[1.0, 2.0]]),
    ]


def test_without_a_name_and_a_main_model_the_error_lists_the_models(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    settings = Settings(model_uri=str(models.doubling(tmp_path / "m.onnx")), load="lazy", threads=1)
    service = Service(settings, process_started=0.0, starts=())
    author.attach(service, loop)
    try:
        for name in ("m", "n"):
            service.add(replace(settings, model_name=name))
        with pytest.raises(UnknownModel, match="served: m, n"):
            model().predict([[1.0, 2.0]])
    finally:
        author.detach()
        predicting._ended.clear()  # as above
        asyncio.run_coroutine_threadsafe(service.close(), loop).result(DEADLINE)


def test_a_process_that_shuts_down_opens_no_new_service() -> None:
    author.detach()
    try:
        with pytest.raises(ShuttingDown):
            model("m").predict([[1.0, 2.0]])
    finally:
        predicting._ended.clear()  # this process continues
