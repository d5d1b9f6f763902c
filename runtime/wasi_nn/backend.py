"""Where the graphs of a guest come from, and who computes on them.

    Backend          what a session asks for; every call blocks the thread of the guest
    ServiceBackend   answers from the models of this process, through its event loop

A guest's call joins the batches of all other requests for the model.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as WaitTimeoutError
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import numpy as np

from runtime.artifacts.external import ORT_MAGIC
from runtime.errors import ShuttingDown
from runtime.sinks import Outcome
from runtime.status import OK
from runtime.tensors import Prediction, Query
from runtime.wasi_nn.faults import Code, NnError, fault_of
from runtime.wasi_nn.folders import remove_leftovers
from runtime.wasi_nn.graphs import Graph, ReadyGraph, in_order
from runtime.wasi_nn.passed_models import PassedModels

if TYPE_CHECKING:
    from runtime.predictor import ReadyModel
    from runtime.service import Service

T = TypeVar("T")
_PROTOCOL: Final = "wasi_nn"  # in the prediction log
_CHECK: Final = 1.0  # seconds between two looks at whether the event loop still runs


class Backend(Protocol):
    """Loads graphs and computes on them. Every call blocks; the errors are those of the runtime, or `NnError`."""

    def load(self, model: bytes) -> Graph:
        """Return the graph of an ONNX model."""

    def load_by_name(self, name: str) -> Graph:
        """Return the graph of a model of this process."""

    def compute(self, graph: Graph, inputs: Mapping[str | int, np.ndarray]) -> Sequence[np.ndarray]:
        """Return all outputs, in the order of the graph, for all inputs, by name or place."""


class ServiceBackend:
    """The models of a service. One for all guests of a process; any number of threads may call it."""

    def __init__(self, service: "Service", loop: asyncio.AbstractEventLoop, *, max_loaded: int = 8) -> None:
        """Use the service on its event loop; `max_loaded` is how many models from bytes are open at a time."""
        self._service = service
        self._loop = loop
        self._passed = PassedModels(service, limit=max_loaded)

    def load(self, model: bytes) -> Graph:
        """Return the graph of an ONNX model, which is opened at most once for all guests.

        Raises `NnError`: the errors of a load, and busy if guests use all places.
        """
        if model[4:8] == ORT_MAGIC:  # its reader trusts the file more than that of ONNX
            raise NnError(Code.INVALID_ENCODING, "the model: got ONNX Runtime's own format; expected an ONNX model")
        digest = hashlib.sha256(model).hexdigest()
        return self._run(self._passed.load(digest, model))

    def load_by_name(self, name: str) -> Graph:
        """Return the graph of a model of this process, in its default version; pull it if it is not loaded.

        Raises `UnknownModel`, and the errors of a load as `NnError`.
        """
        served = self._service.model(name)
        return ReadyGraph(served.ready or self._run(self._find_and_load(name)))

    def compute(self, graph: Graph, inputs: Mapping[str | int, np.ndarray]) -> Sequence[np.ndarray]:
        """Return all outputs. Raises `InvalidInput` for wrong names, and the errors of a prediction as `NnError`."""
        assert isinstance(graph, ReadyGraph)  # noqa: S101 - every graph is from this backend
        query = Query(in_order(graph, inputs))
        started = perf_counter()
        prediction = self._wait(self._submit(graph.ready, query))
        if self._service.sinks.any:
            self._offer(graph.ready, query, prediction, started)
        return prediction.outputs

    def remove_leftovers(self) -> None:
        """Remove the files of models from bytes that processes left which were killed. Blocks."""
        remove_leftovers(self._service.settings.cache_dir)

    async def close(self) -> None:
        """Close the models from bytes. Called on the event loop, before the service is closed."""
        await self._passed.close()

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
        with suppress(ShuttingDown):  # the guest gets its answer all the same
            self._call_soon(lambda: self._service.sinks.offer(outcome))

    async def _find_and_load(self, name: str) -> "ReadyModel":
        return await self._service.model(name).load()
