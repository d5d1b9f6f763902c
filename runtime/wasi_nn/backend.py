"""Where the graphs of a guest come from, and who computes on them.

    Backend          what a session asks for; every call blocks the thread of the guest
    ServiceBackend   answers from the models of this process, through its event loop

A guest's call joins the batches of all other requests for the model. A model that a guest passes as bytes is no model
of the process: it has no route and no metrics. It is opened once for all guests that pass the same bytes, and closed
when others need its place and no guest uses it.
"""

import asyncio
import hashlib
import shutil
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as WaitTimeoutError
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from weakref import WeakSet

import numpy as np

from runtime.artifacts.external import ORT_MAGIC
from runtime.configuration.companions import Companions
from runtime.errors import InvalidInput, ShuttingDown
from runtime.loading import Pulled, puller
from runtime.served_model import ProcessStart, ServedModel
from runtime.sinks import Outcome
from runtime.status import OK
from runtime.tensors import Prediction, Query, TensorSpec
from runtime.variants.names import ORIGINAL
from runtime.wasi_nn.faults import Code, NnError, fault_of

if TYPE_CHECKING:
    from runtime.predictor import ReadyModel
    from runtime.service import Service

T = TypeVar("T")
_PROTOCOL: Final = "wasi_nn"  # in the prediction log
_CHECK: Final = 1.0  # seconds between two looks at whether the event loop still runs


class Graph:
    """A model that a guest has loaded."""

    __slots__ = ("__weakref__", "inputs", "name", "outputs")

    def __init__(self, name: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        self.name = name  # for messages
        self.inputs = inputs  # in the order of the model: a guest may name an input by its place
        self.outputs = outputs


class Backend(Protocol):
    """Loads graphs and computes on them. Every call blocks; the errors are those of the runtime, or `NnError`."""

    def load(self, model: bytes) -> Graph:
        """Return the graph of an ONNX model."""

    def load_by_name(self, name: str) -> Graph:
        """Return the graph of a model of this process."""

    def compute(self, graph: Graph, inputs: Mapping[str | int, np.ndarray]) -> Sequence[np.ndarray]:
        """Return all outputs, in the order of the graph, for all inputs, by name or place."""


class _ReadyGraph(Graph):
    """A graph of a ServiceBackend."""

    __slots__ = ("ready",)

    def __init__(self, ready: "ReadyModel") -> None:
        super().__init__(ready.name, ready.signature.inputs, ready.signature.outputs)
        self.ready = ready


class _Loaded:
    """A model from bytes: its file, and the graphs of the guests that use it."""

    def __init__(self, served: ServedModel, folder: Path) -> None:
        self.served = served
        self.folder = folder
        self.graphs: WeakSet[_ReadyGraph] = WeakSet()
        self.waiting = 0  # guests that wait until it is open


class ServiceBackend:
    """The models of a service. One for all guests of a process; any number of threads may call it."""

    def __init__(self, service: "Service", loop: asyncio.AbstractEventLoop, *, max_loaded: int = 8) -> None:
        """Use the service on its event loop; `max_loaded` is how many models from bytes are open at a time."""
        self._service = service
        self._loop = loop
        self._max_loaded = max_loaded
        self._loaded: dict[str, _Loaded] = {}  # by digest, the least recently used first; only the event loop uses it

    def load(self, model: bytes) -> Graph:
        """Return the graph of an ONNX model, which is opened at most once for all guests.

        Raises `NnError`: the errors of a load, and busy if guests use all places.
        """
        if model[4:8] == ORT_MAGIC:  # its reader trusts the file more than that of ONNX
            raise NnError(Code.INVALID_ENCODING, "the model: got ONNX Runtime's own format; expected an ONNX model")
        digest = hashlib.sha256(model).hexdigest()
        return self._run(self._load(digest, model))

    def load_by_name(self, name: str) -> Graph:
        """Return the graph of a model of this process, in its default version; pull it if it is not loaded.

        Raises `UnknownModel`, and the errors of a load as `NnError`.
        """
        served = self._service.model(name)
        return _ReadyGraph(served.ready or self._run(self._find_and_load(name)))

    def compute(self, graph: Graph, inputs: Mapping[str | int, np.ndarray]) -> Sequence[np.ndarray]:
        """Return all outputs. Raises `InvalidInput` for wrong names, and the errors of a prediction as `NnError`."""
        assert isinstance(graph, _ReadyGraph)  # noqa: S101 - every graph is from this backend
        query = Query(in_order(graph, inputs))
        started = perf_counter()
        prediction = self._wait(self._submit(graph.ready, query))
        if self._service.sinks.any:
            self._offer(graph.ready, query, prediction, started)
        return prediction.outputs

    async def close(self) -> None:
        """Close the models from bytes; a later load opens them again. Called on the event loop."""
        while self._loaded:
            _, loaded = self._loaded.popitem()
            await self._close(loaded, within=0.0)

    def _submit(self, ready: "ReadyModel", query: Query) -> "Future[Prediction]":
        """Submit the query on the event loop, without a task or a coroutine, which would cost more than the rest."""
        from runtime.predictor import submit

        answer: Future[Prediction] = Future()

        def done(outcome: Prediction | BaseException) -> None:
            if isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        def start() -> None:
            try:
                submit(ready, query, done)
            except Exception as error:  # noqa: BLE001 - raised on the thread of the guest
                answer.set_exception(error)

        self._call_soon(start)
        return answer

    def _call_soon(self, call: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # it is closed
            raise ShuttingDown from None

    def _run(self, work: Coroutine[None, None, T]) -> T:
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise ShuttingDown from None
        return self._wait(future)

    def _wait(self, future: "Future[T]") -> T:
        """Block until the future is done. Raises its error as `NnError`, and `ShuttingDown` if the event loop ends.

        The error of the future itself may be kept by others, and would then keep the frames of this thread's callers.
        """
        error = self._error_of(future)
        if error is not None:
            raise fault_of(error)
        return future.result()

    def _error_of(self, future: "Future[T]") -> Exception | None:
        while True:
            try:
                error = future.exception(_CHECK)
            except WaitTimeoutError:
                if not (future.done() or self._loop.is_running()):
                    raise ShuttingDown from None
            except CancelledError:
                return ShuttingDown()
            else:
                return error if error is None or isinstance(error, Exception) else ShuttingDown()

    def _offer(self, ready: "ReadyModel", query: Query, prediction: Prediction, started: float) -> None:
        """Offer the answer to the sinks, with the identifiers of the guest's request."""
        from runtime.telemetry.logs import bound

        ids = bound()
        headers = {b"x-request-id": ids.get("request_id", ""), b"traceparent": ids.get("traceparent", "")}
        outcome = Outcome(
            _PROTOCOL,
            ready.name,
            ready.version,
            OK,
            started,
            perf_counter() - started,
            (query,),
            (prediction,),
            ready,
            lambda name: headers[name].encode("latin-1") or None,
        )
        self._call_soon(lambda: self._service.sinks.offer(outcome))

    async def _find_and_load(self, name: str) -> "ReadyModel":
        return await self._service.model(name).load()

    async def _load(self, digest: str, model: bytes) -> Graph:
        loaded = self._loaded.pop(digest, None)
        if loaded is None:
            await self._make_room()
            loaded = self._loaded.get(digest) or self._new_model(digest, model)
        self._loaded[digest] = loaded  # the most recently used one
        loaded.waiting += 1
        try:
            graph = _ReadyGraph(await loaded.served.load())
        finally:
            loaded.waiting -= 1
            if not (loaded.served.ready or loaded.waiting) and self._loaded.get(digest) is loaded:
                await self._close(self._loaded.pop(digest))
        loaded.graphs.add(graph)
        return graph

    def _new_model(self, digest: str, model: bytes) -> _Loaded:
        """Return a model that is written, when it is pulled, to a folder of its own: it has no external data."""
        settings, now = self._service.settings, perf_counter()
        folder = settings.cache_dir / f"wasi-nn-{uuid.uuid4().hex}"
        path = folder / f"{digest}.onnx"
        own = replace(
            settings,
            model_uri=str(path),
            model_name=f"wasi-nn-{digest[:12]}",
            model_version=None,
            model_sha256=None,
            variants=None,
            variant=ORIGINAL,
            companions=Companions(),
        )
        written = [model]
        pull_file = puller(str(path), own)

        def pull() -> Pulled:
            if written:
                folder.mkdir(parents=True, mode=0o700)
                path.write_bytes(written.pop())
            return pull_file()

        start = ProcessStart(now, imported=now)
        served = ServedModel(str(own.model_name), own, pull, start, self._service.background)
        return _Loaded(served, folder)

    async def _make_room(self) -> None:
        """Close the least recently used model that no guest uses. Raises `NnError` (busy) if there is none."""
        while len(self._loaded) >= self._max_loaded:
            free = (digest for digest, each in self._loaded.items() if not each.graphs and not each.waiting)
            digest = next(free, None)
            if digest is None:
                message = f"guests use {len(self._loaded)} models from bytes; expected at most {self._max_loaded}"
                raise NnError(Code.BUSY, f"{message}; load a model of the process by its name, or try again")
            await self._close(self._loaded.pop(digest))

    async def _close(self, loaded: _Loaded, *, within: float | None = None) -> None:
        await loaded.served.close(within=within)
        await asyncio.to_thread(shutil.rmtree, loaded.folder, ignore_errors=True)


def in_order(graph: Graph, inputs: Mapping[str | int, np.ndarray]) -> list[np.ndarray]:
    """Return one array for each input, in the order of the graph. Raises `InvalidInput` for wrong names."""
    left = dict(inputs)
    arrays = []
    for place, spec in enumerate(graph.inputs):
        array = left.pop(place, None)
        if array is None:
            array = left.pop(spec.name, None)
        if array is None:
            raise InvalidInput(f"inputs.{spec.name}", got="nothing", expected=spec.describe())
        arrays.append(array)
    if left:
        names = ", ".join(spec.name for spec in graph.inputs)
        raise InvalidInput(f"inputs.{next(iter(left))}", got="an unknown input", expected=f"one of {names}")
    return arrays
