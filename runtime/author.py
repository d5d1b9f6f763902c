"""What an author's function uses: `model("payment-model").predict(rows)`, an ordinary blocking call.

Under scalezero's own server the call joins the batches of every other request. Under a plain `functions-framework` the
same code opens a service of its own in the background, once per process and at the first call, that is after any fork.
"""

import asyncio
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from runtime.errors import InvalidInput, ShuttingDown, UnknownModel

if TYPE_CHECKING:
    from runtime.service import Service
    from runtime.tensors import TensorSpec

Rows: TypeAlias = np.ndarray | Sequence[object]
_lock: Final = threading.Lock()
_ended: Final = threading.Event()
_attached: "list[Attached]" = []  # at most one


class Attached(NamedTuple):
    """The service that this process' functions use, and the event loop that it lives on."""

    service: "Service"
    loop: asyncio.AbstractEventLoop


class Outputs(NamedTuple):
    """A prediction: one array per output by its name, rows along the first axis, and the version that made it."""

    outputs: Mapping[str, np.ndarray]
    model_name: str
    model_version: str


class Model(NamedTuple):
    """A model by its name. It is loaded when it is first needed."""

    name: str
    beside: Path | None = None  # where model.yaml lies, for a process that is not told by its environment

    def predict(self, rows: Rows | Mapping[str, Rows]) -> Outputs:
        """Predict a list or array of rows, or such for each input by its name; blocks until the answer is there.

        Raises what the HTTP API would answer with: `InvalidInput`, `QueueFull`, `DeadlineExceeded`, `ModelUnavailable`.
        """
        attached = _attached[0] if _attached else _open_own(self)
        answer: Future[Outputs] = asyncio.run_coroutine_threadsafe(
            _predict(attached.service, self.name, rows), attached.loop
        )
        return answer.result()


def model(name: str) -> Model:
    """The model of that name, for the module that calls this.

    Outside of a scalezero process, and where no environment variable says which model to serve, the resources in the
    `model.yaml` beside the calling module do.
    """
    caller = sys._getframe(1).f_globals.get("__file__")  # noqa: SLF001 - the author should not have to pass __file__
    return Model(name, Path(caller).resolve().parent if caller else None)


def attach(service: "Service", loop: asyncio.AbstractEventLoop) -> None:
    """Make the functions of this process use that service."""
    _ended.clear()
    _attached[:] = [Attached(service, loop)]


def detach() -> None:
    """Forget the service: this process is ending, and opens no other."""
    _attached.clear()
    _ended.set()


async def _predict(service: "Service", name: str, rows: Rows | Mapping[str, Rows]) -> Outputs:
    from runtime.predictor import predict
    from runtime.tensors import Query

    ready = await service.model(name).load()
    by_name = rows if isinstance(rows, Mapping) else {ready.signature.inputs[0].name: rows}
    tensors = []
    for spec in ready.signature.inputs:
        if spec.name not in by_name:
            raise InvalidInput(f"rows.{spec.name}", got="nothing", expected=spec.describe())
        tensors.append(_tensor(f"rows.{spec.name}", by_name[spec.name], spec))
    answer = await predict(ready, Query(tensors))
    named = zip([spec.name for spec in ready.signature.outputs], answer.outputs, strict=True)
    return Outputs(dict(named), ready.name, ready.version)


def _tensor(field: str, rows: Rows, spec: "TensorSpec") -> np.ndarray:
    from runtime.protocols import json_tensors

    if not isinstance(rows, np.ndarray):
        return json_tensors.tensor(field, list(rows), spec)
    if not np.can_cast(rows.dtype, spec.dtype, "same_kind"):
        raise InvalidInput(field, got=f"element type {rows.dtype.name}", expected=spec.describe())
    return rows.astype(spec.dtype, copy=False)


def _open_own(wanted: Model) -> Attached:
    """Open a service for a process that is not ours, on an event loop in a thread of its own."""
    from runtime.declared import settings_for
    from runtime.service import Service, begin
    from runtime.telemetry.process import process_started

    with _lock:
        if _attached:
            return _attached[0]
        if _ended.is_set():
            raise ShuttingDown
        settings = settings_for(wanted.beside)
        if settings.model_uri is None:
            raise UnknownModel(wanted.name, [])
        pull = begin(settings)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="scalezero", daemon=True).start()
        service = Service(settings, process_started=process_started(), pull=pull)
        asyncio.run_coroutine_threadsafe(service.open(), loop).result()
        attach(service, loop)
        return _attached[0]
