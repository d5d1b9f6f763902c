"""What is measured, in plain numbers that cost next to nothing to add to. The sinks beside this file read them.

Everything is written from the event loop's thread.
"""

from collections import Counter
from collections.abc import Sequence
from time import time
from typing import Final, NamedTuple

from runtime.telemetry.histogram import Histogram

SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_HELD_BACK: Final = 0.1  # seconds
_BULK: Final = 512  # facts that may wait to be counted
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ColdStart(NamedTuple):
    """The way from nothing to a model that answers: the ends of its phases, on `perf_counter`'s clock.

    The pull runs beside the imports; the phase `pull` is what was left of it after them.
    """

    process_started: float
    imported: float  # the process was able to load a model
    begun: float  # the load was asked for; before `imported` where the pull began with the process
    pulled: float
    verified: float
    opened: float
    ready: float  # warm
    pull_seconds: float  # all of the pull, what ran beside the imports included

    def phases(self, since: float) -> dict[str, float]:
        """Seconds of each phase after `since`, in order; together with `idle` they fill the time until `ready`."""
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

    def seen(self, arrived: float) -> dict[str, float]:
        """The phases that a caller waited through whose request arrived then, while nothing had been answered yet.

        A request that comes within a tenth of a second of the process being able to take it was held back until then,
        by a gateway or by retries of its own: its caller has waited since the process began.
        """
        held_back = arrived - max(self.imported, self.ready if self.begun < self.imported else 0.0) < _HELD_BACK
        phases = self.phases(self.process_started if held_back else arrived)
        if held_back:
            phases["idle"] += max(0.0, arrived - self.ready)
        return phases


class RunFacts(NamedTuple):
    """One finished run of a session; durations in seconds."""

    rows: int
    queued: Sequence[float]  # per request
    batched: float  # stacking and splitting
    ran: float  # in the session


class ModelMeasurements:
    """Everything counted for one model version in this process.

    What happens to every request is only appended; `count` works it off, in bulk and before anyone looks.
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
        self.last_run = 0.0  # when the last run ended, in seconds since the epoch; 0: there was none
        self.batching: str | None = None  # whether runs are shared; None before the model is loaded
        self._answers: list[tuple[str, str, float]] = []
        self._runs: list[RunFacts] = []

    def answered(self, protocol: str, code: str, seconds: float) -> None:
        """Take in one answered request."""
        self._answers.append((protocol, code, seconds))
        if len(self._answers) >= _BULK:
            self.count()

    def ran(self, facts: RunFacts) -> None:
        """Take in one finished run."""
        self.last_run = time()
        self._runs.append(facts)
        if len(self._runs) >= _BULK:
            self.count()

    def count(self) -> None:
        """Bring the histograms up to date."""
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
