"""Opens and warms up a model on a thread of its own, for no longer than a load may take.

    artifact -> session -> facts of its graph -> warm-up -> Opened

The thread is a daemon, so one that never returns keeps no process from ending. It is not left behind for another one
either: the next attempt waits for what is under way.
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
from runtime.errors import InvalidModel, ModelUnavailable, RunTimeout, ScalezeroError, ShuttingDown
from runtime.model import operators
from runtime.model.signature import Signature
from runtime.tensors import STRING

if TYPE_CHECKING:
    from runtime.model.session import Session

T = TypeVar("T")
_RETURNS_WITHIN: Final = 1.0  # seconds that a stopped warm-up may take


class OutOfLineError(Exception):
    """Stands for a BaseException, such as a library's panic or `sys.exit`: it ends an attempt, not the event loop."""


def contained(work: Callable[[], T]) -> T:
    """Do the work on this thread; whatever ends it is an Exception."""
    try:
        return work()
    except Exception:
        raise
    except BaseException as error:
        raise OutOfLineError from error


class Opened(NamedTuple):
    """A session that runs. `at` and `warm` are on `perf_counter`'s clock."""

    signature: Signature
    computation: Computation
    evidence: Evidence
    version: str  # that the file carries
    at: float
    warm: float
    warm_ups: list[float]  # seconds of a steady run, if any


class Opener:
    """Opens one model, again where that failed; at most one thread at a time."""

    def __init__(self, name: str, *, threads: int, run_timeout: float) -> None:
        """`threads` is for ONNX Runtime's pool; `run_timeout`, in seconds, bounds the warm-up."""
        self._name = name
        self._threads = threads
        self._run_timeout = run_timeout
        self._under_way: _Opening | None = None

    async def open(self, artifact: Artifact, *, within: float) -> Opened:
        """Open the artifact in so many seconds. Raises `InvalidModel`, and `ModelUnavailable` when the time is over."""
        end = perf_counter() + within
        while True:
            if self._under_way is None:
                self._under_way = _Opening(artifact, self._name, self._threads, self._run_timeout)
            opening = self._under_way
            if not await _ended(opening, self._name, end):
                reason = f"its {opening.phase} did not end within SCALEZERO_LOAD_TIMEOUT; the next attempt waits for it"
                raise ModelUnavailable(artifact.uri, reason)
            self._under_way = None
            if opening.artifact == artifact:
                return opening.result.result()

    def stop(self) -> None:
        """Stop a warm-up under way: the process ends."""
        if self._under_way is not None:
            self._under_way.stop(ShuttingDown())


async def _ended(opening: "_Opening", name: str, end: float) -> bool:
    """Wait until `end` for the outcome; a warm-up that takes longer is stopped, and has a moment more to return."""
    result = asyncio.wrap_future(opening.result)
    result.add_done_callback(asyncio.Future.exception)  # told by who reads `opening.result`: asyncio need not warn
    began = perf_counter()
    await asyncio.wait([result], timeout=max(0.0, end - began))
    if not result.done():
        opening.stop(RunTimeout(name, round(end - began, 3)))
        await asyncio.wait([result], timeout=_RETURNS_WITHIN)
    return result.done()


class _Opening:
    """One attempt, on a thread that starts with it."""

    def __init__(self, artifact: Artifact, name: str, threads: int, run_timeout: float) -> None:
        self.artifact = artifact
        self.phase = "opening"
        self.result: Future[Opened] = Future()
        self.result.set_running_or_notify_cancel()  # who waits may leave; the outcome still has its place
        self._name = name
        self._threads = threads
        self._run_timeout = run_timeout
        self._loop = asyncio.get_running_loop()
        self._warm_up: Stoppable | None = None
        self._stopped: ScalezeroError | None = None
        Thread(target=self._run, name="open", daemon=True).start()

    def stop(self, reason: ScalezeroError) -> None:
        """Stop the warm-up as soon as it can be."""
        self._stopped = reason
        if self._warm_up is not None:
            self._warm_up.stop(reason)

    def _run(self) -> None:
        try:
            self.result.set_result(contained(self._open))
        except Exception as error:  # noqa: BLE001 - it travels to whoever waits
            self.result.set_exception(error)

    def _open(self) -> Opened:
        from runtime.model.session import Session

        artifact = self.artifact
        try:
            session = Session(artifact.path, uri=artifact.uri, name=self._name, threads=self._threads)
        except InvalidModel as error:  # ONNX Runtime names the file with its folder, which callers need not know
            reason = str(error.details["reason"]).replace(f"{artifact.path.parent}/", "")
            raise InvalidModel(artifact.uri, reason) from error
        at = perf_counter()
        self.phase = "warm-up"
        self._warm_up = session.stoppable()
        if self._stopped is None:
            self._in_loop(self._bound_warm_up)
        else:
            self._warm_up.stop(self._stopped)
        warm_ups = session.warm_up(self._warm_up)
        parts = session.signature, computation_of(session), evidence_of(session), session.version
        return Opened(*parts, at=at, warm=perf_counter(), warm_ups=warm_ups)

    def _in_loop(self, act: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(act)

    def _bound_warm_up(self) -> None:
        if not self.result.done():
            self._loop.call_later(self._run_timeout, self.stop, RunTimeout(self._name, self._run_timeout))


def computation_of(session: "Session") -> Computation:
    """What runs this model, and what its runs depend on."""
    signature, facts = session.signature, session.facts
    strings = any(spec.dtype == STRING for spec in signature.inputs)  # of any length
    return Computation(
        session.run,
        session.stoppable,
        uniform=signature.uniform,
        by_shape=not strings and operators.costs_by_shape(facts),
        steps=tuple(facts.output_steps.get(spec.name) for spec in signature.outputs),
    )


def evidence_of(session: "Session") -> Evidence:
    """What the file says against sharing a run among callers."""
    signature, facts = session.signature, session.facts
    if not signature.batchable:
        return Evidence(rowless=signature.against_sharing)
    if not facts.known:
        return Evidence(doubt="the operators of a file in this format are not known")
    return Evidence(doubt=signature.against_sharing or operators.against_sharing(facts))
