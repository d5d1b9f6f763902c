"""`model("payment-model").predict(rows)`, a blocking call for an author's function; `model()` is the main model.

The call converts the rows on the thread of the function; the event loop only runs them. In scalezero's server, the rows
share batches with all other requests. In a plain `functions-framework` process, the first call opens a service in the
background, once per process and after any fork.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

from runtime.author.rows import Rows, tensors
from runtime.errors import ShuttingDown, UnknownModel

if TYPE_CHECKING:
    from runtime.predictor import ReadyModel
    from runtime.served_model import ServedModel
    from runtime.service import Service
    from runtime.settings import Settings

T = TypeVar("T")
_PROTOCOL: Final = "function"  # in the prediction log
_lock = threading.Lock()
_ended = threading.Event()
_attached: "list[Attached]" = []  # at most one


class Attached(NamedTuple):
    """The service that the functions of this process use, and its event loop."""

    service: "Service"
    loop: asyncio.AbstractEventLoop


class Outputs(NamedTuple):
    """A prediction: one array per output, by name, with the rows along the first axis; the model's name and version."""

    outputs: Mapping[str, np.ndarray]
    model_name: str
    model_version: str


class Model(NamedTuple):
    """A model, identified by its name. The first prediction loads it."""

    name: str | None = None  # None: the main model
    folder: Path | None = None  # the folder of model.yaml, if the environment names no model

    def predict(self, rows: Rows | Mapping[str, Rows]) -> Outputs:
        """Predict a list or array of rows, or a mapping of them by input name; block until the answer arrives.

        Raises the errors of the HTTP API: `InvalidInput`, `QueueFull`, `DeadlineExceeded`, `ModelUnavailable`,
        `UnknownModel`.
        """
        attached = _attached[0] if _attached else _open_service(self)
        served = _served(attached.service, self.name)
        ready = served.ready or _wait_for(_load(attached.service, self.name), attached)
        outputs = _wait_for(_run(ready, tensors(rows, ready.signature), attached.service), attached)
        names = [spec.name for spec in ready.signature.outputs]
        return Outputs(dict(zip(names, outputs, strict=True)), ready.name, ready.version)


def model(name: str | None = None) -> Model:
    """Return the model of that name: the function's main model (None), or one of its other models.

    Outside of a scalezero process, if no environment variable names the model, the `model.yaml` in the folder of the
    calling module defines it.
    """
    caller = sys._getframe(1).f_globals.get("__file__")  # noqa: SLF001 - the author should not have to pass __file__
    return Model(name, Path(caller).resolve().parent if caller else None)


def attach(service: "Service", loop: asyncio.AbstractEventLoop) -> None:
    """Make the functions of this process use this service."""
    _ended.clear()
    _attached[:] = [Attached(service, loop)]


def detach() -> None:
    """Remove the service: the process is shutting down and does not open another one."""
    _attached.clear()
    _ended.set()


def attached_settings() -> "Settings | None":
    """Return the settings of the service that this process uses; None: it has opened none."""
    attached = list(_attached)  # another thread may detach it
    return attached[0].service.settings if attached else None


def _reset_after_fork() -> None:
    """Remove the service in a forked process, where its event loop has no thread; the next call opens another one.

    gunicorn forks its workers after it has imported the function, which may have made a prediction already.
    """
    global _lock, _ended  # another thread may have held the lock when the process was forked
    _lock, _ended = threading.Lock(), threading.Event()
    _attached.clear()


os.register_at_fork(after_in_child=_reset_after_fork)


def _served(service: "Service", name: str | None) -> "ServedModel":
    """Return the model of the name, or the main model. Raises `UnknownModel`."""
    name = service.main if name is None else name
    if name is None:
        raise UnknownModel("", list(service.models))
    return service.model(name)


async def _load(service: "Service", name: str | None) -> "ReadyModel":
    return await _served(service, name).load()


async def _run(ready: "ReadyModel", tensors: Sequence[np.ndarray], service: "Service") -> Sequence[np.ndarray]:
    from runtime.predictor import predict
    from runtime.tensors import Query

    started = perf_counter()
    query = Query(tensors)
    prediction = await predict(ready, query)
    if service.sinks.any:
        from runtime.sinks import Outcome
        from runtime.status import OK
        from runtime.telemetry.logs import bound

        seconds, ids = perf_counter() - started, bound()
        headers = {b"x-request-id": ids.get("request_id", ""), b"traceparent": ids.get("traceparent", "")}
        service.sinks.offer(
            Outcome(
                _PROTOCOL,
                ready.name,
                ready.version,
                OK,
                started,
                seconds,
                (query,),
                (prediction,),
                ready,
                lambda name: headers[name].encode("latin-1") or None,
            )
        )
    return prediction.outputs


def _wait_for(work: Coroutine[None, None, T], attached: Attached) -> T:
    """Run the coroutine on the service's event loop, and block this thread until it is done."""
    return asyncio.run_coroutine_threadsafe(work, attached.loop).result()


def _open_service(wanted: Model) -> Attached:
    """Open a service in a process without scalezero's server, on an event loop in a separate thread."""
    from runtime.declared import settings_for
    from runtime.service import Service, begin, has_model
    from runtime.telemetry.process import process_started

    with _lock:
        if _attached:
            return _attached[0]
        if _ended.is_set():
            raise ShuttingDown
        settings = settings_for(wanted.folder)
        if not has_model(settings):
            raise UnknownModel(wanted.name or "", [])
        starts = begin(settings)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="scalezero", daemon=True).start()
        service = Service(settings, process_started=process_started(), starts=starts)
        asyncio.run_coroutine_threadsafe(service.open(), loop).result()
        attach(service, loop)
        return _attached[0]
