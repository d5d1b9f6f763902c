"""Opening and warm-up of a model, on a separate thread and within the load timeout.

    artifact -> session -> facts of its graph -> warm-up -> Opened

The thread is a daemon thread, so one that never returns does not block the exit of the process. There is at most one:
after a timeout, the next attempt waits for the same thread.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from runtime.artifacts.fetch import Artifact
from runtime.batching.independence import Evidence
from runtime.batching.run import Computation, Stoppable
from runtime.errors import InvalidModel, ModelUnavailable, RejectedByModel, RunTimeout, ScalezeroError, ShuttingDown
from runtime.model import operators
from runtime.model.signature import Signature
from runtime.tensors import STRING
from runtime.variants.choosing import LoadCandidate
from runtime.variants.names import ORIGINAL

if TYPE_CHECKING:
    from runtime.model.session import Session

T = TypeVar("T")
_STOP_TIMEOUT: Final = 1.0  # seconds for a stopped warm-up to return
_ARTIFACT: Final = LoadCandidate()


class WrappedBaseException(Exception):
    """An Exception whose cause is a BaseException, such as a library's panic or `sys.exit`.

    A BaseException would end the event loop; this ends only the attempt.
    """


def run_guarded(work: Callable[[], T]) -> T:
    """Call `work` on this thread; raise `WrappedBaseException` for an exception that is no Exception."""
    try:
        return work()
    except Exception:
        raise
    except BaseException as error:
        raise WrappedBaseException from error


class Opened(NamedTuple):
    """An open session, warmed up. `at` and `warm` are on the clock of `perf_counter`."""

    signature: Signature
    computation: Computation
    evidence: Evidence
    version: str  # from the file
    at: float  # when the session was open
    warm: float  # when the warm-up was done
    warm_ups: list[float]  # seconds of a run after the first, if any


class Opener:
    """The attempts to open one model, with at most one thread at a time."""

    def __init__(self, name: str, *, threads: int, run_timeout: float) -> None:
        """Set the size of ONNX Runtime's thread pool, and the time limit of the warm-up, in seconds."""
        self._name = name
        self._threads = threads
        self._run_timeout = run_timeout
        self._current: _Opening | None = None

    async def open(self, artifact: Artifact, candidate: LoadCandidate = _ARTIFACT, *, within: float) -> Opened:
        """Open the artifact on the provider of the candidate.

        Raises `InvalidModel`, also for a variant that rejects the input of the warm-up, `ProviderUnavailable`, and
        `ModelUnavailable` after `within` seconds.
        """
        end = perf_counter() + within
        while True:
            if self._current is None:
                self._current = _Opening(artifact, candidate, self._name, self._threads, self._run_timeout)
            opening = self._current
            if not await _finished(opening, self._name, end):
                reason = f"{opening.phase} exceeded SCALEZERO_LOAD_TIMEOUT and continues; the next attempt waits for it"
                raise ModelUnavailable(artifact.uri, reason)
            self._current = None
            if (_file(opening.artifact), opening.candidate) == (_file(artifact), candidate):
                return opening.result.result()

    def stop(self) -> None:
        """Stop the current warm-up, because the process shuts down."""
        if self._current is not None:
            self._current.stop(ShuttingDown())


def _file(artifact: Artifact) -> Artifact:
    """Return the artifact without the properties of its fetch: a fetch from the cache has others than the first one."""
    return artifact._replace(from_cache=False, pull_seconds=0.0, verify_seconds=0.0)


async def _finished(opening: "_Opening", name: str, end: float) -> bool:
    """Wait until `end` for the result, stop a warm-up that takes longer, and return whether there is a result."""
    result = asyncio.wrap_future(opening.result)
    result.add_done_callback(asyncio.Future.exception)  # read from `opening.result`; this avoids asyncio's warning
    began = perf_counter()
    await asyncio.wait([result], timeout=max(0.0, end - began))
    if not result.done():
        opening.stop(RunTimeout(name, round(end - began, 3)))
        await asyncio.wait([result], timeout=_STOP_TIMEOUT)
    return result.done()


class _Opening:
    """One attempt, on its own thread, which the constructor starts."""

    def __init__(
        self, artifact: Artifact, candidate: LoadCandidate, name: str, threads: int, run_timeout: float
    ) -> None:
        self.artifact = artifact
        self.candidate = candidate
        self.phase = "opening"
        self.result: Future[Opened] = Future()
        self.result.set_running_or_notify_cancel()  # so that a caller that stops waiting does not cancel it
        self._name = name
        self._threads = threads
        self._run_timeout = run_timeout
        self._loop = asyncio.get_running_loop()
        self._warm_up: Stoppable | None = None
        self._stopped: ScalezeroError | None = None
        Thread(target=self._run, name="open", daemon=True).start()

    def stop(self, reason: ScalezeroError) -> None:
        """Stop the warm-up as soon as possible, or before it starts."""
        self._stopped = reason
        if self._warm_up is not None:
            self._warm_up.stop(reason)

    def _run(self) -> None:
        try:
            self.result.set_result(run_guarded(self._open))
        except Exception as error:  # noqa: BLE001 - raised where the future is awaited
            self.result.set_exception(error)

    def _open(self) -> Opened:
        from runtime.model.session import Session

        artifact = self.artifact
        try:
            session = Session(
                artifact.path,
                uri=artifact.uri,
                name=self._name,
                threads=self._threads,
                provider=self.candidate.provider,
                prepared_form=self.candidate.prepared,
            )
        except InvalidModel as error:  # ONNX Runtime's message contains the folder, which callers must not see
            reason = str(error.details["reason"]).replace(f"{artifact.path.parent}/", "")
            raise InvalidModel(artifact.uri, reason) from error
        at = perf_counter()
        self.phase = "warm-up"
        self._warm_up = session.stoppable()
        if self._stopped is None:
            self._call_in_loop(self._bound_warm_up)
        else:
            self._warm_up.stop(self._stopped)
        try:
            warm_ups = session.warm_up(self._warm_up, required=self.candidate.variant != ORIGINAL)
        except RejectedByModel as error:
            raise InvalidModel(artifact.uri, f"its first run failed: {error.details['reason']}") from error
        parts = session.signature, computation_of(session), evidence_of(session), session.version
        return Opened(*parts, at=at, warm=perf_counter(), warm_ups=warm_ups)

    def _call_in_loop(self, act: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed, so nothing waits for the result
            self._loop.call_soon_threadsafe(act)

    def _bound_warm_up(self) -> None:
        if not self.result.done():
            self._loop.call_later(self._run_timeout, self.stop, RunTimeout(self._name, self._run_timeout))


def computation_of(session: "Session") -> Computation:
    """Return the functions that run this model, and the properties of its runs that the batcher needs."""
    signature, facts = session.signature, session.facts
    strings = any(spec.dtype == STRING for spec in signature.inputs)  # a string may have any length
    return Computation(
        session.run,
        session.stoppable,
        uniform=signature.uniform,
        by_shape=not strings and operators.costs_by_shape(facts),
        steps=tuple(facts.output_steps.get(spec.name) for spec in signature.outputs),
    )


def evidence_of(session: "Session") -> Evidence:
    """Return the reasons against shared runs that the file contains."""
    signature, facts = session.signature, session.facts
    if not signature.batchable:
        return Evidence(no_batch_axis=signature.reason_against_sharing)
    if not facts.known:
        return Evidence(dependent_rows="the operators of a file in this format cannot be read")
    return Evidence(dependent_rows=signature.reason_against_sharing or operators.reason_against_sharing(facts))
