"""Guests compute on the models of the process, in the batches of everybody, or on models that they pass as bytes."""

import asyncio
import gc
import struct
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import numpy as np
import onnx
import pytest

from runtime import author
from runtime.author import predicting
from runtime.errors import InvalidInput, ShuttingDown, UnknownModel
from runtime.service import Service
from runtime.settings import Settings
from runtime.wasi_nn import NnSession
from runtime.wasi_nn.backend import ServiceBackend
from runtime.wasi_nn.faults import Code, NnError
from runtime.wasi_nn.graphs import Graph, ReadyGraph
from tests import models
from tests.runtime.recording import RecordingSink
from tests.runtime.wasi_nn.guests import Guest
from tests.runtime.wasi_nn.serving import Serving, serving

ROWS = np.array([[1, 2], [0.1, -3]], np.float32)


def settings_of(folder: Path, **values: object) -> Settings:
    path = str(models.doubling(folder / "m.onnx"))
    return Settings(model_uri=path, load="lazy", threads=1, cache_dir=folder / "cache", **values)  # type: ignore[arg-type]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    with serving(settings_of(tmp_path), index=models.lookup(tmp_path / "lookup.onnx")) as this:
        yield this


def test_a_name_loads_a_model_of_the_process(served: Serving) -> None:
    graph = served.backend.load_by_name("m")
    assert [spec.describe() for spec in (*graph.inputs, *graph.outputs)] == ["float32[batch, 2]"] * 2
    (output,) = served.backend.compute(graph, {"x": ROWS})
    assert output.tolist() == (ROWS * 2).tolist()
    assert served.service.model("m").ready is not None


def test_an_unknown_name_lists_the_models(served: Serving) -> None:
    with pytest.raises(UnknownModel, match="served: m, index"):
        served.backend.load_by_name("other")


def test_a_guest_and_a_python_function_get_the_same_bits(tmp_path: Path) -> None:
    rows = np.random.default_rng(7).random((5, 2), np.float32)
    with serving(settings_of(tmp_path), scored=models.scored(tmp_path / "scored.onnx")) as this:
        graph = this.backend.load_by_name("scored")
        outputs = this.backend.compute(graph, {"b": rows, 0: rows / 3})
        author.attach(this.service, this.loop)
        try:
            answer = author.model("scored").predict({"a": rows / 3, "b": rows})
        finally:
            author.detach()
            predicting._ended.clear()  # this process continues
    assert [each.tobytes() for each in outputs] == [each.tobytes() for each in answer.outputs.values()]


def test_the_errors_of_a_prediction_reach_the_guest(served: Serving) -> None:
    graph, index = served.backend.load_by_name("m"), served.backend.load_by_name("index")
    with pytest.raises(NnError, match=r"inputs.x: got shape \[2\]") as wrong_rank:
        served.backend.compute(graph, {0: ROWS[0]})
    with pytest.raises(InvalidInput, match="got nothing"):
        served.backend.compute(graph, {})
    with pytest.raises(InvalidInput, match="got an unknown input; expected one of x"):
        served.backend.compute(graph, {0: ROWS, "x": ROWS})
    with pytest.raises(NnError, match="cannot compute on this input") as rejected:
        served.backend.compute(index, {0: np.array([99])})
    assert wrong_rank.value.code is rejected.value.code is Code.INVALID_ARGUMENT


class Gathering(ServiceBackend):
    """Holds the event loop until a number of guests have submitted."""

    def __init__(self, this: Serving, guests: int) -> None:
        super().__init__(this.service, this.loop)
        self._guests = guests
        self._lock = Lock()
        self._all = Event()
        self._held = Event()

    def hold(self) -> None:
        self._loop.call_soon_threadsafe(self._hold)
        assert self._held.wait(60)

    def _hold(self) -> None:
        self._held.set()
        assert self._all.wait(60)

    def _call_soon(self, call: Callable[[], object]) -> None:
        super()._call_soon(call)
        with self._lock:
            self._guests -= 1
            if not self._guests:
                self._all.set()


def test_64_guests_at_once_share_batches(tmp_path: Path) -> None:
    with serving(settings_of(tmp_path, batching="always", batch_size=32, max_wait=0.0)) as this:
        backend = Gathering(this, 64)
        backend.load_by_name("m")

        def run(number: int) -> list[float]:
            with NnSession(backend) as nn:
                guest = Guest(nn)
                context = guest.load("m")
                data = np.array([[number, 0.5]], np.float32).tobytes()
                assert guest.call("set_input", context, 0, guest.put_tensor(1024, [1, 2], 1, data)) == 0
                assert guest.call("compute", context) == 0
                assert guest.call("get_output", context, 0, 4096, 8, 64) == 0
                return list(np.frombuffer(guest.get(4096, 8), np.float32))

        measurements = this.service.model("m").measurements
        measurements.count()
        before = measurements.batch_rows.cumulative()[-1][1]
        with ThreadPoolExecutor(64) as threads:
            backend.hold()
            answers = list(threads.map(run, range(64)))
        measurements.count()
    assert answers == [[2.0 * number, 1.0] for number in range(64)]
    assert measurements.batch_rows.cumulative()[-1][1] - before <= 4


def test_guests_that_pass_the_same_bytes_share_one_session(served: Serving, tmp_path: Path) -> None:
    model = models.identity(tmp_path / "identity.onnx", shape=("n", 2)).read_bytes()
    graphs = [served.backend.load(model) for _ in range(2)]
    assert served.backend.compute(graphs[0], {0: ROWS})[0].tolist() == ROWS.tolist()
    assert len({id(each.ready) for each in graphs}) == 1  # type: ignore[attr-defined]
    assert list(served.service.models) == ["m", "index"]


def files(served: Serving) -> list[Path]:
    return sorted((served.service.settings.cache_dir).rglob("*.onnx"))


def test_a_model_from_bytes_is_closed_when_others_need_its_place(served: Serving, tmp_path: Path) -> None:
    backend = served.backend
    contents = [models.identity(tmp_path / f"{size}.onnx", shape=("n", size)).read_bytes() for size in (1, 2, 3)]
    first: Graph | None = backend.load(contents[0])
    second = backend.load(contents[1])
    with pytest.raises(NnError, match="guests use 2 models from bytes; expected at most 2") as caught:
        backend.load(contents[2])
    assert caught.value.code is Code.BUSY
    del caught
    first = None
    gc.collect()
    third = backend.load(contents[2])
    assert backend.compute(third, {0: np.zeros((1, 3), np.float32)})[0].shape == (1, 3)
    assert backend.compute(second, {0: ROWS})[0].tolist() == ROWS.tolist()
    assert len(files(served)) == 2
    assert first is None


def test_the_models_from_bytes_are_closed_with_the_backend(served: Serving, tmp_path: Path) -> None:
    served.backend.load(models.identity(tmp_path / "a.onnx").read_bytes())
    assert len(files(served)) == 1
    served.run(served.backend.close())
    assert files(served) == []


def test_a_run_of_a_model_from_bytes_that_hangs_fails_liveness(served: Serving, tmp_path: Path) -> None:
    """Set the watchdog's finding directly; see tests/runtime/batching/test_runs.py for the watchdog."""
    graph = served.backend.load(models.identity(tmp_path / "a.onnx").read_bytes())
    assert isinstance(graph, ReadyGraph)
    assert served.call(served.service.stuck) is None
    graph.ready.batcher._watchdog.stuck = "a run has not returned"
    assert served.call(served.service.stuck) == "a run has not returned"
    served.run(served.backend.close())
    assert served.call(served.service.stuck) is None


@pytest.mark.parametrize("model", [b"", b"no model", bytes(1000)])
def test_bytes_that_are_no_model_leave_nothing_behind(served: Serving, model: bytes) -> None:
    for _ in range(3):
        with pytest.raises(NnError) as caught:
            served.backend.load(model)
        assert caught.value.code is Code.INVALID_ENCODING
        assert str(served.service.settings.cache_dir) not in caught.value.message
    assert files(served) == []


def test_onnx_runtimes_own_format_is_refused(served: Serving) -> None:
    with pytest.raises(NnError, match="expected an ONNX model") as caught:
        served.backend.load(b"\0\0\0\0ORTM" + bytes(100))
    assert caught.value.code is Code.INVALID_ENCODING


@pytest.mark.parametrize("location", ["weights", "../m.onnx", "/etc/hostname"])
def test_a_model_from_bytes_reads_no_file_of_the_host(served: Serving, tmp_path: Path, location: str) -> None:
    path = models.save(
        tmp_path / "external.onnx",
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])],
        [models.value("x", models.FLOAT, ["n", 2])],
        [models.value("y", models.FLOAT, ["n", 2])],
        17,
        w=np.zeros(2, np.float32),
    )
    model = onnx.load(path)
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    (served.service.settings.cache_dir).mkdir(exist_ok=True)
    with pytest.raises(NnError, match="external data") as caught:
        served.backend.load(model.SerializeToString())
    assert caught.value.code in {Code.INVALID_ENCODING, Code.NOT_FOUND}


def test_the_answers_to_guests_are_offered_to_the_sinks(served: Serving) -> None:
    sink = RecordingSink()
    served.call(lambda: served.service.sinks.add(sink))
    graph = served.backend.load_by_name("m")
    served.backend.compute(graph, {0: ROWS})
    served.call(lambda: None)  # it is offered before
    (outcome,) = sink.taken
    assert (outcome.protocol, outcome.model, outcome.code) == ("wasi_nn", "m", "ok")
    assert outcome.header is not None
    assert outcome.header(b"x-request-id") is None


def test_a_failed_call_does_not_keep_the_instance(served: Serving) -> None:
    """An error comes from the event loop in a future; a cycle with it would keep the guest and its memory."""
    served.backend.load_by_name("index")
    guest: Guest | None = Guest(NnSession(served.backend))
    assert guest is not None
    kept = weakref.ref(guest)
    gc.collect()
    gc.disable()
    try:
        context = guest.load("m")
        assert guest.call("set_input", context, 0, guest.put_tensor(1024, [2], 1, ROWS[0].tobytes())) == 0
        assert guest.call("compute", context) == 1  # another rank: refused when it is submitted
        context = guest.load("index")
        assert guest.call("set_input", context, 0, guest.put_tensor(1024, [1], 5, (99).to_bytes(8, "little"))) == 0
        assert guest.call("compute", context) == 1  # rejected by the model
        assert guest.call("load", guest.put(2048, struct.pack("<II", 0, 8)), 1, 1, 0, 64) == 2
        guest = None
        assert kept() is None
    finally:
        gc.enable()


def test_a_guest_that_outlives_the_event_loop_gets_an_error(tmp_path: Path) -> None:
    with serving(settings_of(tmp_path)) as this:
        graph = this.backend.load_by_name("m")
    for call in (
        lambda: this.backend.compute(graph, {0: ROWS}),
        lambda: this.backend.load(b"model"),
    ):
        with pytest.raises(ShuttingDown):
            call()


def test_a_guest_that_waits_while_the_event_loop_ends_gets_an_error(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    backend = ServiceBackend(Service(settings_of(tmp_path), process_started=0.0), loop)
    try:
        with pytest.raises(ShuttingDown):
            backend.load(b"model")
    finally:
        loop.run_until_complete(asyncio.sleep(0))  # it begins the load
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()
