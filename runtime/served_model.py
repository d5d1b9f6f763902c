"""The states of one model in this process: not loaded, loading, ready, or failed and to be retried.

    pull -> open the session -> warm up -> create the batcher          (loading.py: which file, on which provider)

Loading is single-flight: the first request starts it, and all later requests wait for the same attempt.
If the attempt fails, all of them fail, and the next request starts another attempt.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from functools import partial
from threading import Thread
from time import perf_counter
from typing import NamedTuple

from runtime.artifacts.uris import VERSION_QUERY, is_archive
from runtime.background import Background, retry_pauses
from runtime.batching import independence
from runtime.batching.batcher import Batcher
from runtime.batching.cost import Line
from runtime.batching.independence import SharingStatus
from runtime.batching.policy import Limits
from runtime.batching.run import Run
from runtime.configuration.values import VERSION_LABEL, is_version_label
from runtime.errors import (
    InvalidModel,
    LoadFailed,
    ModelUnavailable,
    QueueFull,
    ScalezeroError,
    ShuttingDown,
    public_uri,
)
from runtime.loading import Pulled, is_refusal
from runtime.model.cpu import usable_cpus
from runtime.opening import Opened, Opener, WrappedBaseException, run_guarded
from runtime.predictor import ReadyModel
from runtime.settings import Settings
from runtime.telemetry.measurements import ColdStart, ModelMeasurements, RunStats
from runtime.variants.cpu_class import cpu_class

_log = logging.getLogger("scalezero.model")
_RETRY_AFTER = 1  # seconds; for callers beyond the maximum that can wait for a load


class State(Enum):
    """The state of a model."""

    NOT_LOADED = "not_loaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class ProcessStart(NamedTuple):
    """The times when the process started and when its imports were done, on the clock of `perf_counter`."""

    started: float
    imported: float


class _PhaseTimes:
    """The end time of each phase of a load, on the clock of `perf_counter`."""

    __slots__ = ("begun", "opened", "pulled", "warm")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.pulled = self.opened = self.warm = 0.0


class Pull:
    """A pull on its own thread, which starts before the heavy imports."""

    def __init__(self, pull: Callable[[], Pulled]) -> None:
        """Start `pull` on a new thread."""
        self.result: Future[Pulled] = Future()
        self.result.set_running_or_notify_cancel()  # so that a caller that stops waiting does not cancel it
        Thread(target=self._run, args=(pull,), name="pull", daemon=True).start()

    def _run(self, pull: Callable[[], Pulled]) -> None:
        try:
            self.result.set_result(run_guarded(pull))
        except Exception as error:  # noqa: BLE001 - raised where the future is awaited
            self.result.set_exception(error)


class ServedModel:
    """A model version that this process serves; it is loaded when it is first needed."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        pull: Callable[[], Pulled],
        process: ProcessStart,
        background: Background,
    ) -> None:
        """Create it in the state not loaded; `pull` pulls the model, `background` runs the tasks that load it."""
        self.name = name
        self.uri = public_uri(settings.model_uri) if settings.model_uri else None  # as shown in answers and logs
        self.error: ScalezeroError | None = None
        self.ready: ReadyModel | None = None
        self.measurements = ModelMeasurements(self.name, settings.model_version or "")
        self.first_attempt_ended = asyncio.Event()  # set when the first attempt has ended, successful or not
        self._settings = settings
        self._pull = pull
        self._process = process
        self._background = background
        self.first_answer = math.inf  # its time; requests that arrived before it waited for the cold start
        self._waiting = 0  # callers that wait for the load
        self._loading: asyncio.Task[ReadyModel | ScalezeroError] | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._final_error: ScalezeroError | None = None
        self._opener = Opener(name, threads=settings.threads or usable_cpus(), run_timeout=settings.run_timeout)

    @property
    def settings(self) -> Settings:
        """The settings of this model version: its batching and limits."""
        return self._settings

    @property
    def state(self) -> State:
        """The current state."""
        if self.ready:
            return State.READY
        if self._loading:
            return State.LOADING
        return State.FAILED if self.error else State.NOT_LOADED

    @property
    def version(self) -> str | None:
        """The version; None: it is only known after loading."""
        return self.ready.version if self.ready else self._settings.model_version

    def may_have_name(self, name: str) -> bool:
        """Return whether the model's archive has this name in it, or is not pulled yet and might have it."""
        uri = self._settings.model_uri
        if self._settings.model_name is not None or uri is None or not is_archive(uri.partition(VERSION_QUERY)[0]):
            return False
        return self.ready is None or self.ready.artifact.metadata.get("model_name") == name

    async def load(self, pull: Pull | None = None, *, begun: float | None = None) -> ReadyModel:
        """Return the ready model; load it if necessary. Raises `ModelUnavailable` errors; the next call tries again."""
        if self.ready:
            return self.ready
        if self._final_error:
            raise self._final_error
        if self._loading is None:
            attempt = self._attempt(pull, perf_counter() if begun is None else begun)
            self._loading = self._background.start(f"load {self.name}", attempt)
        if self._waiting >= self._settings.queue_size:
            raise QueueFull(limit=self._settings.queue_size, retry_after=_RETRY_AFTER)
        loading = self._loading
        self._waiting += 1
        try:
            outcome = await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled():  # the load was cancelled, not this caller
                raise ShuttingDown from None
            raise
        finally:
            self._waiting -= 1
        if isinstance(outcome, ScalezeroError):
            raise outcome
        return outcome

    def prefetch(self, pull: Pull, stop_retrying: Callable[[ScalezeroError], bool] = lambda _: False) -> None:
        """Load before the first request, from a pull that started with the process, and retry while loading fails.

        `stop_retrying` is called with each failure and returns whether to stop; later callers get the last failure.
        """
        self._retrying = self._background.start(f"prefetch {self.name}", self._keep_trying(pull, stop_retrying))

    async def close(self, *, within: float | None = None) -> None:
        """Finish the queued requests within this many seconds (None: the grace period), then release the model.

        Later calls of `load` raise `ShuttingDown`.
        """
        self._final_error = self._final_error or ShuttingDown()
        for task in (self._retrying, self._loading):
            if task:
                task.cancel()
        self._opener.stop()
        if self.ready:
            await self.ready.batcher.close(within=self._settings.grace_period if within is None else within)
            self.ready = None

    async def _keep_trying(self, pull: Pull | None, stop_retrying: Callable[[ScalezeroError], bool]) -> None:
        begun: float | None = self._process.started
        for pause in retry_pauses():
            try:
                await self.load(pull, begun=begun)
            except ScalezeroError as error:
                if stop_retrying(error):
                    self._final_error = error
                    return
                pull, begun = None, None
                await asyncio.sleep(pause)
            else:
                return

    async def _attempt(self, pull: Pull | None, begun: float) -> ReadyModel | ScalezeroError:
        """Load once. A failure is returned, not raised, so that all waiting callers get it."""
        times = _PhaseTimes(begun)
        attempt_began = perf_counter()
        try:
            pulled = await asyncio.wrap_future((pull or Pull(self._pull)).result)
            times.pulled = perf_counter()
            self.ready = await self._open(pulled, times, attempt_began + self._settings.load_timeout)
        except ScalezeroError as error:
            self._failed(error)
            return error
        except Exception as error:  # noqa: BLE001 - a library may raise anything
            unexpected = _unexpected(str(self.uri), error)
            _log.error("loading failed unexpectedly", extra={"model": self.name}, exc_info=error)
            self._failed(unexpected)
            return unexpected
        finally:
            self._loading = None
            self.first_attempt_ended.set()
        self.error = None
        self._loaded(self.ready, times)
        return self.ready

    async def _open(self, pulled: Pulled, times: _PhaseTimes, until: float) -> ReadyModel:
        """Open the pulled candidate, or the first of the next ones that is not refused; `until` is the time limit."""
        while True:
            artifact, serving, pull_next = pulled
            try:
                opened = await self._opener.open(artifact, serving.candidate, within=until - perf_counter())
            except Exception as error:
                if pull_next is None or not is_refusal(error):
                    raise
                pulled = await asyncio.wrap_future(Pull(partial(pull_next, error)).result)
                times.pulled = perf_counter()
            else:
                times.opened, times.warm = opened.at, opened.warm
                return self._serve(pulled, opened)

    def _serve(self, pulled: Pulled, opened: Opened) -> ReadyModel:
        settings, artifact, candidate = self._settings, pulled.artifact, pulled.serving.candidate
        version = settings.model_version or artifact.metadata.get("version") or opened.version
        if not is_version_label(version):
            raise InvalidModel(artifact.uri, f"invalid version {version!r}; expected {VERSION_LABEL}")
        limits = Limits(
            batch_size=settings.batch_size,
            max_wait=settings.max_wait,
            timeout=settings.timeout,
            queue_size=settings.queue_size,
            run_timeout=settings.run_timeout,
        )
        status = independence.initial_status(
            settings.batching, opened.evidence, candidate.rows, batch_size=limits.batch_size
        )
        batcher = Batcher(
            opened.computation,
            limits,
            status,
            model=self.name,
            version=version,
            on_run=self._ran,
            on_status_change=self._batching_changed,
        )
        if candidate.cost is not None:
            batcher.expect(Line(candidate.cost.per_row, candidate.cost.fixed))
        for seconds in opened.warm_ups:
            batcher.record_warm_up(seconds)
        self._batching_changed(status)
        return ReadyModel(self.name, version, artifact, opened.signature, batcher, pulled.serving)

    def _batching_changed(self, status: SharingStatus) -> None:
        self.measurements.batching = status.state.value
        if status.state is not independence.State.UNPROVEN:
            facts = {"model": self.name, "state": status.state.value, "reason": status.reason}
            shares = status.state in {independence.State.PROVEN, independence.State.FORCED}
            _log.info("requests share runs" if shares else "each request has its own run", extra=facts)

    def _loaded(self, ready: ReadyModel, times: _PhaseTimes) -> None:
        artifact = ready.artifact
        cold_start = ColdStart(
            process_started=self._process.started,
            imported=self._process.imported,
            begun=times.begun,
            pulled=times.pulled - artifact.verify_seconds,
            verified=times.pulled,
            opened=times.opened,
            ready=times.warm,
            pull_seconds=artifact.pull_seconds,
        )
        self.measurements.version = ready.version
        self.measurements.cold_start = cold_start
        self.measurements.serving = ready.serving
        facts = {f"{phase}_ms": round(seconds * 1e3, 3) for phase, seconds in cold_start.phases(0.0).items()}
        _log.info(
            "model ready",
            extra={
                "model": self.name,
                "version": ready.version,
                "sha256": ready.serving.artifact_sha256 or ready.artifact.sha256,
                "uri": self.uri,
                **ready.serving.facts,
                **({"cpu_class": cpu_class()} if ready.serving.reason else {}),  # it is read from a file
                **facts,
            },
        )

    def _failed(self, error: ScalezeroError) -> None:
        self.error = error
        self.measurements.load_failures[error.code] += 1
        _log.error("model not loaded", extra={"model": self.name, "code": error.code, "reason": str(error)})

    def _ran(self, run: Run) -> None:
        if self.first_answer == math.inf:
            self.first_answer = perf_counter()
        started = run.started
        queued = [started - ticket.arrived for ticket in run.tickets]
        self.measurements.record_run(RunStats(run.rows, queued, run.batched, run.ran))


def _unexpected(uri: str, error: Exception) -> ModelUnavailable:
    """Return an unexpected exception as an error for callers, without its text, which may contain paths and secrets."""
    if isinstance(error, OSError):
        return ModelUnavailable(uri, f"{type(error).__name__}: {error.strerror or 'no reason given'}")
    return LoadFailed(uri, error.__cause__ if isinstance(error, WrappedBaseException) and error.__cause__ else error)
