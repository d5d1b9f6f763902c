"""`predict` blocks its own thread: the event loop only runs the model."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import author
from runtime.author import model, predicting
from runtime.errors import InvalidInput, ShuttingDown, UnknownModel
from runtime.service import Service
from runtime.settings import Settings
from tests import models


class Watched(list[object]):
    """Rows that know which threads have read them."""

    def __init__(self, rows: list[object]) -> None:
        super().__init__(rows)
        self.read_on: set[str] = set()

    def __iter__(self) -> Iterator[object]:
        self.read_on.add(threading.current_thread().name)
        return super().__iter__()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, name="the loop")
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join(10)
    made.close()


@pytest.fixture
def attached(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """A service with the model `m`, which is loaded by its first use."""
    settings = Settings(model_uri=str(models.doubling(tmp_path / "m.onnx")), load="lazy", threads=1)
    service = Service(settings, process_started=0.0)
    asyncio.run_coroutine_threadsafe(service.open(), loop).result(10)
    author.attach(service, loop)
    yield
    author.detach()
    asyncio.run_coroutine_threadsafe(service.close(), loop).result(10)


@pytest.mark.usefixtures("attached")
def test_rows_are_read_on_the_thread_that_calls() -> None:
    rows = Watched([[1.0, 2.0], [3.0, 4.0]])
    answer = model("m").predict(rows)
    assert answer.outputs["y"].tolist() == [[2.0, 4.0], [6.0, 8.0]]
    assert (answer.model_name, answer.model_version) == ("m", "1")
    assert rows.read_on == {threading.current_thread().name}


@pytest.mark.usefixtures("attached")
def test_more_rows_than_a_slice_come_back_in_their_order() -> None:
    rows = [[float(index), 1.0] for index in range(20_000)]
    assert model("m").predict(rows).outputs["y"][:, 0].tolist() == [2.0 * index for index in range(20_000)]


@pytest.mark.usefixtures("attached")
def test_what_is_asked_wrongly_is_raised_where_it_is_asked() -> None:
    with pytest.raises(UnknownModel):
        model("n").predict([[1.0, 2.0]])
    with pytest.raises(InvalidInput, match=r"rows\.x\[1\]\[0\]"):
        model("m").predict([[1.0, 2.0], ["a", 2.0]])


def test_a_process_that_ends_opens_no_other_service() -> None:
    author.detach()
    try:
        with pytest.raises(ShuttingDown):
            model("m").predict([[1.0, 2.0]])
    finally:
        predicting._ended.clear()  # this one goes on
