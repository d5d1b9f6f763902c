"""One model's life in this process: not loaded, loading, ready, or failed and ready to be tried again.

    pull (fetch) -> open the session -> warm up -> a batcher in front of it

Loading is single-flight: the first request starts it, and all later requests wait for the same attempt.
A failed attempt fails all of them, and the next request starts another attempt.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from threading import Thread
from time import perf_counter
from typing import NamedTuple

from runtime.artifacts.fetch import Artifact
from runtime.artifacts.uris import VERSION, is_archive
from runtime.background import Background
from runtime.batching import independence
from runtime.batching.batcher import Batcher
from runtime.batching.independence import Standing
from runtime.batching.policy import Limits
from runtime.batching.run import Run
from runtime.configuration.values import WORD, is_word
from runtime.errors import (
    InvalidModel,
    LoadFailed,
    ModelUnavailable,
    QueueFull,
    ScalezeroError,
    ShuttingDown,
    public_uri,
)
from runtime.model.cpu import usable_cpus
from runtime.opening import Opener, OutOfLineError, contained
from runtime.predictor import ReadyModel
from runtime.settings import Settings
from runtime.telemetry.measurements import ColdStart, ModelMeasurements, RunFacts

_log = logging.getLogger("scalezero.model")
_RETRY_AFTER = 1  # seconds; for callers above the number that can wait for a load
_RETRY_FIRST, _RETRY_MOST = 1.0, 30.0  # seconds between attempts that nobody asked for


class State(Enum):
    """Where a model is in its life."""

    NOT_LOADED = "not_loaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class ProcessStart(NamedTuple):
    """When the process began and when its imports were done, on `perf_counter`'s clock."""

    started: float
    imported: float


class _Marks:
    """Readings of the clock at the ends of the phases."""

    __slots__ = ("begun", "opened", "pulled", "warm")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.pulled = self.opened = self.warm = 0.0


class Pull:
    """A pull under way on a thread of its own, begun before the heavy imports."""

    def __init__(self, fetch: Callable[[], Artifact]) -> None:
        """Start `fetch` now."""
        self.artifact: Future[Artifact] = Future()
        self.artifact.set_running_or_notify_cancel()  # who waits may leave; the outcome still has its place
        Thread(target=self._run, args=(fetch,), name="pull", daemon=True).start()

    def _run(self, fetch: Callable[[], Artifact]) -> None:
        try:
            self.artifact.set_result(contained(fetch))
        except Exception as error:  # noqa: BLE001 - it travels to whoever waits
            self.artifact.set_exception(error)


class ServedModel:
    """A model by its name, loaded when it is first needed."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        fetch: Callable[[], Artifact],
        process: ProcessStart,
        background: Background,
    ) -> None:
        """`fetch` pulls the artifact; `background` has the tasks that load it."""
        self.name = name
        self.uri = public_uri(settings.model_uri) if settings.model_uri else None  # as answers and logs show it
        self.error: ScalezeroError | None = None
        self.ready: ReadyModel | None = None
        self.measurements = ModelMeasurements(self.name, settings.model_version or "")
        self.tried = asyncio.Event()  # set once a first attempt has ended, well or not
        self._settings = settings
        self._fetch = fetch
        self._process = process
        self._background = background
        self.first_answer = math.inf  # when; requests that arrived before it saw the cold start
        self._waiting = 0  # callers that wait for it to be loaded
        self._loading: asyncio.Task[ReadyModel | ScalezeroError] | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._given_up: ScalezeroError | None = None
        self._opener = Opener(name, threads=settings.threads or usable_cpus(), run_timeout=settings.run_timeout)

    @property
    def settings(self) -> Settings:
        """What it is served by: its own batching and limits."""
        return self._settings

    @property
    def state(self) -> State:
        """Where this model is in its life now."""
        if self.ready:
            return State.READY
        if self._loading:
            return State.LOADING
        return State.FAILED if self.error else State.NOT_LOADED

    @property
    def version(self) -> str | None:
        """The version, as far as it is known before the model is loaded."""
        return self.ready.version if self.ready else self._settings.model_version

    def may_be_called(self, name: str) -> bool:
        """Whether the archive that the model comes from gives it this name, or is not here yet to tell."""
        uri = self._settings.model_uri
        if self._settings.model_name is not None or uri is None or not is_archive(uri.partition(VERSION)[0]):
            return False
        return self.ready is None or self.ready.artifact.metadata.get("model_name") == name

    async def load(self, pull: Pull | None = None, *, begun: float | None = None) -> ReadyModel:
        """The ready model, loaded if need be. Raises `ModelUnavailable` errors; the next call tries again."""
        if self.ready:
            return self.ready
        if self._given_up:
            raise self._given_up
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
            if loading.cancelled():  # it was not this caller who left
                raise ShuttingDown from None
            raise
        finally:
            self._waiting -= 1
        if isinstance(outcome, ScalezeroError):
            raise outcome
        return outcome

    def prefetch(self, pull: Pull, gives_up: Callable[[ScalezeroError], bool] = lambda _: False) -> None:
        """Load without being asked, from a pull begun with the process, and keep trying while that fails.

        `gives_up` gets each failure and returns whether to stop retrying; later callers get the last failure.
        """
        self._retrying = self._background.start(f"prefetch {self.name}", self._keep_trying(pull, gives_up))

    async def close(self, *, within: float | None = None) -> None:
        """Finish what is queued, in so many seconds (None: the grace period); load nothing more, and let go of it."""
        self._given_up = self._given_up or ShuttingDown()
        for task in (self._retrying, self._loading):
            if task:
                task.cancel()
        self._opener.stop()
        if self.ready:
            await self.ready.batcher.close(within=self._settings.grace_period if within is None else within)
            self.ready = None

    async def _keep_trying(self, pull: Pull | None, gives_up: Callable[[ScalezeroError], bool]) -> None:
        pause = _RETRY_FIRST
        begun: float | None = self._process.started
        while True:
            try:
                await self.load(pull, begun=begun)
            except ScalezeroError as error:
                if gives_up(error):
                    self._given_up = error
                    return
                pull, begun = None, None
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_MOST)
            else:
                return

    async def _attempt(self, pull: Pull | None, begun: float) -> ReadyModel | ScalezeroError:
        """Load once. A failure is returned, not raised, so that all waiting callers get it."""
        marks = _Marks(begun)
        attempt_began = perf_counter()
        try:
            artifact = await asyncio.wrap_future((pull or Pull(self._fetch)).artifact)
            marks.pulled = perf_counter()
            left = self._settings.load_timeout - (marks.pulled - attempt_began)
            self.ready = await self._open(artifact, marks, left)
        except ScalezeroError as error:
            self._failed(error)
            return error
        except Exception as error:  # noqa: BLE001 - whatever a library raises
            unexpected = _unexpected(str(self.uri), error)
            _log.error("loading failed unexpectedly", extra={"model": self.name}, exc_info=error)
            self._failed(unexpected)
            return unexpected
        finally:
            self._loading = None
            self.tried.set()
        self.error = None
        self._loaded(self.ready, artifact, marks)
        return self.ready

    async def _open(self, artifact: Artifact, marks: _Marks, within: float) -> ReadyModel:
        opened = await self._opener.open(artifact, within=within)
        marks.opened, marks.warm = opened.at, opened.warm
        settings = self._settings
        version = settings.model_version or artifact.metadata.get("version") or opened.version
        if not is_word(version):
            raise InvalidModel(artifact.uri, f"its version {version!r} is none: expected {WORD}")
        limits = Limits(
            batch_size=settings.batch_size,
            max_wait=settings.max_wait,
            timeout=settings.timeout,
            queue_size=settings.queue_size,
            run_timeout=settings.run_timeout,
        )
        standing = independence.first_standing(settings.batching, opened.evidence, batch_size=limits.batch_size)
        batcher = Batcher(
            opened.computation,
            limits,
            standing,
            model=self.name,
            version=version,
            report=self._ran,
            changed=self._batching_changed,
        )
        for seconds in opened.warm_ups:
            batcher.warmed_up(seconds)
        self._batching_changed(standing)
        return ReadyModel(self.name, version, artifact, opened.signature, batcher)

    def _batching_changed(self, standing: Standing) -> None:
        self.measurements.batching = standing.state.value
        if standing.state is not independence.State.UNPROVEN:
            facts = {"model": self.name, "state": standing.state.value, "reason": standing.reason}
            shares = standing.state in {independence.State.PROVEN, independence.State.FORCED}
            _log.info("requests share runs" if shares else "each request has its own run", extra=facts)

    def _loaded(self, ready: ReadyModel, artifact: Artifact, marks: _Marks) -> None:
        cold_start = ColdStart(
            process_started=self._process.started,
            imported=self._process.imported,
            begun=marks.begun,
            pulled=marks.pulled - artifact.verify_seconds,
            verified=marks.pulled,
            opened=marks.opened,
            ready=marks.warm,
            pull_seconds=artifact.pull_seconds,
        )
        self.measurements.version = ready.version
        self.measurements.cold_start = cold_start
        facts = {f"{phase}_ms": round(seconds * 1e3, 3) for phase, seconds in cold_start.phases(0.0).items()}
        _log.info(
            "model ready",
            extra={
                "model": self.name,
                "version": ready.version,
                "sha256": ready.artifact.sha256,
                "uri": self.uri,
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
        self.measurements.ran(RunFacts(run.rows, queued, run.batched, run.ran))


def _unexpected(uri: str, error: Exception) -> ModelUnavailable:
    """Say what callers may know of an error that is none of ours: its text may hold paths and secrets."""
    if isinstance(error, OSError):
        return ModelUnavailable(uri, f"{type(error).__name__}: {error.strerror or 'no reason given'}")
    return LoadFailed(uri, error.__cause__ if isinstance(error, OutOfLineError) and error.__cause__ else error)
