"""Measurements of this process, as plain numbers that are cheap to update. The exporters in this package read them.

Update them only from the event loop's thread.
"""

from collections import Counter
from collections.abc import Sequence
from time import time
from typing import Final, NamedTuple

from runtime.telemetry.histogram import Histogram
from runtime.variants.choosing import Serving

SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_QUEUED_WINDOW: Final = 0.1  # seconds; see `ColdStart.request_phases`
_BATCH_SIZE: Final = 512  # requests or runs that are appended before the histograms are updated
MANAGEMENT: Final = "torchserve_management"  # the protocol whose requests are not inferences
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ColdStart(NamedTuple):
    """One cold start, from the start of the process to a ready model: the end of each phase, on `perf_counter`'s clock.

    The pull runs during the imports. The phase `pull` is the part of it after the imports.
    """

    process_started: float
    imported: float  # the imports are done, so the process can load a model
    begun: float  # the load was requested; before `imported` if the pull started with the process
    pulled: float
    verified: float
    opened: float
    ready: float  # after the warm-up
    pull_seconds: float  # the whole pull, including its time during the imports

    def phases(self, since: float) -> dict[str, float]:
        """Return the seconds of each phase after `since`, in order. With `idle` they add up to the time to `ready`."""
        ends = {
            "import": self.imported,
            "idle": max(self.imported, self.begun),
            "pull": self.pulled,
            "verify": self.verified,
            "session": self.opened,
            "warmup": self.ready,
        }
        phases = {}
        start = max(since, self.process_started)
        for name, end in ends.items():
            phases[name] = max(0.0, end - start)
            start = max(start, end)
        return phases

    def request_phases(self, arrived: float) -> dict[str, float]:
        """Return the seconds of each phase that a request waited for, if it arrived before the first response.

        A request that arrives within 0.1 s after the process can accept it was queued before, by a gateway or by the
        retries of its client. So its client has waited since the process started.
        """
        queued = arrived - max(self.imported, self.ready if self.begun < self.imported else 0.0) < _QUEUED_WINDOW
        phases = self.phases(self.process_started if queued else arrived)
        if queued:
            phases["idle"] += max(0.0, arrived - self.ready)
        return phases


class RunStats(NamedTuple):
    """One finished run of a session. Durations are in seconds."""

    rows: int
    queued: Sequence[float]  # per request
    batched: float  # stacking and splitting
    ran: float  # in the session


class LogCounts:
    """The numbers of predictions of the prediction log since the start of the process."""

    __slots__ = ("dropped", "emitted", "failed")

    def __init__(self) -> None:
        self.emitted = 0  # accepted by the sink, or written to the file
        self.dropped = 0  # the queue was full, or the process ended first
        self.failed = 0  # refused by the sink, or not written

    @property
    def facts(self) -> dict[str, int]:
        """The numbers, for a log line."""
        return {"emitted": self.emitted, "dropped": self.dropped, "failed": self.failed}


class ModelMeasurements:
    """All measurements of one model version in this process.

    Requests and runs are only appended. `count` adds them to the histograms, in bulk, and before they are read.
    """

    def __init__(self, model: str, version: str) -> None:
        self.model = model
        self.version = version
        self.requests: dict[tuple[str, str], Histogram] = {}  # (protocol, "ok" or an error's code) -> seconds
        self.queue = Histogram(SECONDS)  # per request
        self.batch = Histogram(SECONDS)  # stacking and splitting, per run
        self.run = Histogram(SECONDS)  # in the session, per run
        self.batch_rows = Histogram(ROWS)
        self.load_failures: Counter[str] = Counter()  # error code -> attempts
        self.cold_start: ColdStart | None = None
        self.last_run = 0.0  # when the last run ended, in seconds since the epoch; 0: no run yet
        self.batching: str | None = None  # whether requests share runs; None before the model is loaded
        self.serving: Serving | None = None  # the variant that is served; None before the model is loaded
        self._answers: list[tuple[str, str, float]] = []
        self._runs: list[RunStats] = []

    @property
    def inferences(self) -> dict[tuple[str, str], Histogram]:
        """The requests of all protocols except those that manage models."""
        return {kind: each for kind, each in self.requests.items() if kind[0] != MANAGEMENT}

    def record_request(self, protocol: str, code: str, seconds: float) -> None:
        """Record one answered request: its protocol, "ok" or an error code, and its duration."""
        self._answers.append((protocol, code, seconds))
        if len(self._answers) >= _BATCH_SIZE:
            self.count()

    def record_run(self, facts: RunStats) -> None:
        """Record one finished run."""
        self.last_run = time()
        self._runs.append(facts)
        if len(self._runs) >= _BATCH_SIZE:
            self.count()

    def count(self) -> None:
        """Add the appended requests and runs to the histograms."""
        answers, self._answers = self._answers, []
        runs, self._runs = self._runs, []
        by_kind: dict[tuple[str, str], list[float]] = {}
        for protocol, code, seconds in answers:
            by_kind.setdefault((protocol, code), []).append(seconds)
        for kind, values in by_kind.items():
            self.requests.setdefault(kind, Histogram(SECONDS)).add(values)
        self.queue.add(seconds for each in runs for seconds in each.queued)
        self.batch.add(each.batched for each in runs)
        self.run.add(each.ran for each in runs)
        self.batch_rows.add(each.rows for each in runs)
